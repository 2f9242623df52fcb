//! What the policies that decide say of a request: each is asked for real, in order, on a request
//! like the one that was typed. No server is called; what would have been asked is told instead.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use policy::message::Request;
use policy::{
    Answer, Call, Caller, Connection, Exchange, Flow, Phase, Refusal, Remote, Step, Unanswered,
    codes,
};
use serde_json::{Value, json};
use snapshot::{ChainStep, Listener, Snapshot, UpstreamTls};

/// Longest that is waited for a policy that does work of its own, as hashing a password.
const WAIT: Duration = Duration::from_secs(10);

/// What a policy says.
#[derive(Debug)]
pub enum Verdict {
    /// It is not asked: it does not decide who may call, or counts.
    NotAsked,
    /// Its condition does not hold.
    Skipped,
    /// The request goes on; the caller, where this policy made it known.
    Passes(Option<String>),
    /// It says no.
    Refuses(Said),
    /// It answers itself, with this status.
    Answers(u16),
    /// It would ask these servers, and decide by what they say.
    WouldAsk(Vec<String>),
    /// It did not come to an end here.
    Unknown,
    /// What stands before it ended the request, or could not be told.
    NotReached,
}

/// A refusal, as its caller and operators have it.
#[derive(Debug)]
pub struct Said {
    /// The code's name.
    pub code: &'static str,
    /// The status.
    pub status: u16,
    /// What happened.
    pub title: &'static str,
    /// More of that, for this request: what callers are told, and what the log has.
    pub more: Vec<String>,
    /// What to do.
    pub cure: &'static str,
}

impl Verdict {
    /// In one word, for machines.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::Skipped => "skipped",
            Self::Passes(_) => "passes",
            Self::Refuses(_) => "refuses",
            Self::Answers(_) => "answers",
            Self::WouldAsk(_) => "would_ask",
            Self::Unknown => "unknown",
            Self::NotReached => "not_reached",
        }
    }

    /// All of it, for machines.
    pub fn to_json(&self) -> Value {
        let mut json = json!({ "verdict": self.word() });
        match self {
            Self::Passes(Some(caller)) => json["caller"] = json!(caller),
            Self::Answers(status) => json["status"] = json!(status),
            Self::WouldAsk(asked) => json["would_ask"] = json!(asked),
            Self::Refuses(said) => {
                json["code"] = json!(said.code);
                json["status"] = json!(said.status);
                json["what"] = json!(said.title);
                json["more"] = json!(said.more);
                json["cure"] = json!(said.cure);
            }
            _ => {}
        }
        json
    }

    /// In words; none where there is nothing to say.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::NotAsked => Vec::new(),
            Self::Skipped => vec!["is left out: its condition does not hold".to_owned()],
            Self::Passes(None) => vec!["lets it pass".to_owned()],
            Self::Passes(Some(caller)) => vec![format!("knows the caller: {caller}")],
            Self::Answers(status) => vec![format!("answers with {status}")],
            Self::WouldAsk(asked) => vec![format!("would ask {}", asked.join(", then "))],
            Self::Unknown => vec!["did not come to an end here".to_owned()],
            Self::NotReached => vec!["is not reached".to_owned()],
            Self::Refuses(said) => {
                let first = format!("refuses: {} {}: {}", said.status, said.code, said.title);
                let more = said.more.iter().map(|more| format!("  {more}"));
                [first].into_iter().chain(more).chain([format!("  {}", said.cure)]).collect()
            }
        }
    }

    /// Whether the request ends here.
    pub const fn ends(&self) -> bool {
        !matches!(self, Self::NotAsked | Self::Skipped | Self::Passes(_))
    }
}

impl Said {
    fn of(refusal: &Refusal) -> Self {
        let more = [&refusal.detail, &refusal.note].into_iter().flatten();
        Self {
            code: refusal.code.name,
            status: refusal.code.status,
            title: refusal.code.title,
            more: more.map(|text| text.to_string()).collect(),
            cure: refusal.code.cure,
        }
    }
}

/// Ways to servers that call none, and remember who would have been called.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// What would have been asked since this was asked last.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heard")
    }
}

impl snapshot::Remotes for Heard {
    fn to(&self, _: UpstreamTls) -> Arc<dyn Remote> {
        Arc::new(self.clone())
    }
}

impl Remote for Heard {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Answer, Unanswered>> + Send>> {
        // What stands behind the path, or before the host, may be somebody's secret.
        let url = call.url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit('@').next().unwrap_or_default();
        let asked = format!("{} {scheme}://{host}/{path}", call.method);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let nothing = Unanswered::Unreachable("no server is called from here".into());
        Box::pin(std::future::ready(Err(nothing)))
    }
}

/// What each policy of the chain that `request` runs through says, in order; it comes from
/// `client`.
///
/// # Errors
/// It is refused before any policy is asked.
pub async fn judge(
    snapshot: &Snapshot,
    listener: &Listener,
    request: Request,
    client: IpAddr,
    heard: &Heard,
) -> Result<Vec<Verdict>, Said> {
    let connection = Connection {
        listener: listener.name.clone(),
        peer: Some((client, 0).into()),
        local: None,
        tls: None,
    };
    let mut x = Exchange::new(Arc::new(connection), 0);
    x.wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    x.request = request;
    let route = dataplane::find_route(snapshot, listener.number, &mut x);
    let chain = route.map_or(&snapshot.fallback, |route| &route.chain);
    if let Err(refusal) = dataplane::admit_fields(snapshot, listener, &mut x.request.headers) {
        return Err(Said::of(&refusal));
    }
    let mut verdicts = Vec::with_capacity(chain.steps.len());
    let mut ended = false;
    for step in chain.steps.iter() {
        let verdict = match step.phase {
            Phase::Admit | Phase::Authenticate | Phase::Authorize if ended => Verdict::NotReached,
            Phase::Admit | Phase::Authenticate | Phase::Authorize => ask(step, &mut x, heard).await,
            _ => Verdict::NotAsked,
        };
        ended |= verdict.ends();
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

async fn ask(step: &ChainStep, x: &mut Exchange, heard: &Heard) -> Verdict {
    match step.when.as_ref().map_or(Ok(true), |when| when.holds(x)) {
        Ok(true) => {}
        Ok(false) => return Verdict::Skipped,
        Err(why) => {
            let refusal = Refusal::new(&codes::CONDITION_FAILED).note(why);
            return Verdict::Refuses(Said::of(&refusal));
        }
    }
    let before = x.caller.as_ref().map(|caller| caller.credential.clone());
    heard.take();
    let flow = match step.policy.on_request(x) {
        Step::Done(flow) => flow,
        Step::Wait(flow) => match tokio::time::timeout(WAIT, flow).await {
            Ok(flow) => flow,
            Err(_) => return Verdict::Unknown,
        },
    };
    let asked = heard.take();
    match flow {
        Flow::Continue => {
            let caller = x.caller.as_ref();
            let new = caller.filter(|caller| before.as_ref() != Some(&caller.credential));
            Verdict::Passes(new.map(named))
        }
        Flow::Refuse(_) | Flow::Reply(_) if !asked.is_empty() => Verdict::WouldAsk(asked),
        Flow::Refuse(refusal) => Verdict::Refuses(Said::of(&refusal)),
        Flow::Reply(response) => Verdict::Answers(response.status.code()),
    }
}

/// Who calls, in words; never the credential.
fn named(caller: &Caller) -> String {
    let mut words = caller.name().unwrap_or("nobody known").to_owned();
    if let Some(application) = caller.application_name()
        && application != words
    {
        words.push_str(&format!(", application {application}"));
    }
    if let Some(organization) = caller.organization() {
        words.push_str(&format!(", organization {organization}"));
    }
    words.push_str(&format!(", by {}, credential `{}`", caller.by, caller.credential));
    let scopes: Vec<&str> = caller.scopes().collect();
    if !scopes.is_empty() {
        words.push_str(&format!(", scopes {}", scopes.join(" ")));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_would_be_asked_is_told_without_what_may_be_secret() {
        let heard = Heard::default();
        let secret = "https://me:word@id.example/token?key=hunter2";
        for url in [secret, "http://id.example", "nonsense"] {
            assert!(heard.call(Call::get(url)).await.is_err());
        }
        let asked = heard.take();
        assert_eq!(
            asked,
            ["GET https://id.example/token", "GET http://id.example/", "GET ://nonsense/"]
        );
        assert!(heard.take().is_empty());
    }
}
