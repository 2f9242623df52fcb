//! Asks Open Policy Agent whether a caller may do this, by rules in Rego.
//!
//! The agent is asked by its Data API: `POST /v1/data/<decision>`, with the request and the caller
//! as `input`. The rule's value is the decision: `true` or `false`, or an object with `allow`.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - opa:
//!           url: http://127.0.0.1:8181
//!           decision: orders/allow
//!           cache: { ttl: 5s }
//! applications:
//!   - name: shop
//!     keys:
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! ```rego
//! package orders
//!
//! default allow := false
//!
//! allow if {
//!   input.request.method == "GET"
//!   input.caller.application == "shop"
//! }
//! ```
//!
//! In `input`:
//!
//! - `request.method`, `scheme`, `host`, `path`, `segments`, `version`, `client`: the request as
//!   the gateway understands it; escapes in the path as they are.
//! - `request.query`, `request.headers`: for each name the list of its values; of header fields
//!   those in `request_headers`.
//! - `request.body.value`, `request.body.whole`: where `body` says so: JSON, else text; and whether
//!   it is all of it.
//! - `caller.name`, `application`, `organization`, `credential`, `by`, `subject`, `issuer`,
//!   `scopes`, `groups`, `labels`, `claims`: who the request was authenticated as; `caller` is null
//!   where nobody said.
//! - `api`, `version`, `route`, `params`: what matched.
//!
//! What becomes of the request:
//!
//! - The agent answers `true`, or an object with `allow: true`: it goes on. Of the object's
//!   `headers` the upstream gets those in `upstream_headers`, of its `response_headers` the client
//!   those in `client_headers`.
//! - It answers `false`, or an object with `allow: false`: 403 `opa_denied`; where the object's
//!   `status` is 401, 404 or 429, `opa_unauthenticated`, `opa_hidden` or `opa_limited`. Its
//!   `reason` is logged.
//! - It has no such rule, or that is undefined for this input: 403 `opa_undefined`.
//! - It is away, slow, answers an error, more than 64 KiB, or what is no decision: 503
//!   `opa_unavailable`.
//!
//! Decisions are used again for `cache.ttl`, by default for the very same input; `cache.by` names
//! what counts instead.

mod input;
mod result;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problems, Secret};
use policy::message::{Held, Known, Name};
use policy::{
    Call, Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal,
    Remote, Stage, Step,
};
use serde_json::{Value, json};

use crate::asked::{Answers, By, Fields, Keyed, Told};
use result::{Decision, Field};
use settings::Settings;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "opa",
    phase: Phase::Authorize,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&DENIED, &UNAUTHENTICATED, &HIDDEN, &LIMITED, &UNDEFINED, &UNAVAILABLE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static DENIED: Code = Code {
    name: "opa_denied",
    status: 403,
    grpc: 7,
    title: "The rules do not allow this",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Ask whoever runs the API for the right to do this; the log has the rule's reason.",
};

static UNAUTHENTICATED: Code = Code {
    name: "opa_unauthenticated",
    status: 401,
    grpc: 16,
    title: "The rules ask who is calling",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Show a credential, or another one; the log has the rule's reason.",
};

static HIDDEN: Code = Code {
    name: "opa_hidden",
    status: 404,
    grpc: 5,
    title: "There is no such thing",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Check the path. Operators see in the log whether a rule hides it, and why.",
};

static LIMITED: Code = Code {
    name: "opa_limited",
    status: 429,
    grpc: 8,
    title: "The rules allow no more of this for now",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Try again later; the log has the rule's reason.",
};

static UNDEFINED: Code = Code {
    name: "opa_undefined",
    status: 403,
    grpc: 7,
    title: "No rule decides this",
    proxy_error: "http_request_denied",
    fault: Fault::Gateway,
    cure: "Operators check the policy's decision against the packages that the agent has loaded, and \
           give the rule a default.",
};

static UNAVAILABLE: Code = Code {
    name: "opa_unavailable",
    status: 503,
    grpc: 14,
    title: "The policy agent gives no answer",
    proxy_error: "destination_unavailable",
    fault: Fault::Gateway,
    cure: "Try again later; operators find in the log what the agent answered, and check that it \
           runs, the policy's url and its timeout.",
};

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 64 << 10;

/// Time after which an agent that gave no answer is asked the same again, where answers are kept.
const AGAIN: Duration = Duration::from_secs(1);

/// Asks an agent.
#[derive(Debug)]
struct Opa {
    url: String,
    remote: Arc<dyn Remote>,
    token: Option<Secret>,
    told: Vec<Name>,
    body: Option<usize>,
    upstream: Fields,
    client: Fields,
    within: Duration,
    kept: Option<Cache>,
}

/// Decisions that are used again.
#[derive(Debug)]
struct Cache {
    ttl: Duration,
    by: By,
    answers: Arc<Answers<Decision>>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let read: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let url = read.url(at, &mut problems);
    let lists = read.lists(at, &mut problems);
    let body = read.body(at, &mut problems);
    let by = read.cache.by(&at.key("cache"), &mut problems);
    let remote = cx.world.remote(&read.tls, &at.key("tls"));
    let remote = remote.map_err(|wrong| problems.extend(wrong));
    let (Some(url), Ok(remote), true) = (url, remote, problems.is_empty()) else {
        return Err(problems);
    };
    let own = lists.upstream.iter();
    let own = own.filter(|name| Known::of(name.as_str().as_bytes()) == Known::Other);
    cx.identity_headers.extend(own.map(|name| name.as_str().to_owned()));
    let kept = (!read.cache.ttl.get().is_zero()).then(|| {
        let mut key = Keyed::new();
        key.add(settings.to_string().as_bytes());
        let key = format!("{} decisions {}", cx.id, crate::jose::encode(key.finish()));
        let answers = cx.carry.keep(&key, || Answers::new(read.cache.entries));
        Cache { ttl: read.cache.ttl.get(), by, answers }
    });
    Ok(Arc::new(Opa {
        url,
        remote,
        token: read.token,
        told: lists.told,
        body,
        upstream: Fields(lists.upstream),
        client: Fields(lists.client),
        within: read.timeout.get(),
        kept,
    }))
}

impl Policy for Opa {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        Step::Wait(Box::pin(async move {
            let outcome = self.ask(exchange).await;
            let done = outcome.and_then(|told| self.decide(exchange, &told.value));
            match done {
                Ok(()) => Flow::Continue,
                Err(refusal) => Flow::Refuse(Box::new(refusal)),
            }
        }))
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        self.client.settle(exchange);
        Step::next()
    }
}

impl Opa {
    async fn ask(&self, x: &mut Exchange) -> Result<Arc<Told<Decision>>, Refusal> {
        let held = self.beginning(x).await?;
        let input = input::input(x, &self.told, held.as_ref());
        let question = json!({ "input": input }).to_string();
        let now = x.wall;
        let Some(kept) = &self.kept else {
            let value = decision(self.remote.clone(), self.call(question)).await;
            return Ok(Arc::new(Told { value, until: now, good: false }));
        };
        let key = kept.by.key(x, |keyed| keyed.add(question.as_bytes()));
        if let Some(told) = kept.answers.find(&key, now) {
            return Ok(told);
        }
        let (remote, ttl, call) = (self.remote.clone(), kept.ttl, self.call(question));
        let asks = || async move {
            let value = decision(remote, call).await;
            let good = matches!(value, Decision::Allowed { .. });
            let holds = match &value {
                Decision::Nothing(_) => AGAIN.min(ttl),
                _ => ttl,
            };
            Told { value, until: now + holds, good }
        };
        Ok(kept.answers.clone().ask(key, now, asks).await)
    }

    /// The beginning of the request's body, where it is told. It still goes on as it came.
    async fn beginning(&self, x: &mut Exchange) -> Result<Option<Held>, Refusal> {
        match self.body {
            Some(most) => x.request.body.hold(most).await.map(Some).map_err(Refusal::from),
            None => Ok(None),
        }
    }

    fn call(&self, question: String) -> Call {
        let mut call = Call::post(&self.url, "application/json", question);
        if let Some(token) = &self.token {
            call = call.header("authorization", format!("Bearer {}", token.expose()));
        }
        Call { most: ANSWER_BYTES, ..call.within(self.within).again() }
    }

    fn decide(&self, x: &mut Exchange, decision: &Decision) -> Result<(), Refusal> {
        match decision {
            Decision::Allowed { upstream, client } => self.allow(x, upstream, client),
            Decision::Denied { status, reason } => {
                let code = match status {
                    401 => &UNAUTHENTICATED,
                    404 => &HIDDEN,
                    429 => &LIMITED,
                    _ => &DENIED,
                };
                let mut refusal = Refusal::new(code);
                if *status == 401 {
                    refusal = refusal.header("WWW-Authenticate", "Bearer");
                }
                Err(match reason {
                    Some(reason) => refusal.note(reason.as_str()),
                    None => refusal,
                })
            }
            Decision::Undefined => {
                let what = format!("{} has no result for this input", self.url);
                Err(Refusal::new(&UNDEFINED).note(what))
            }
            Decision::Nothing(why) => {
                Err(Refusal::new(&UNAVAILABLE).note(format!("{}: {why}", self.url)))
            }
        }
    }

    fn allow(&self, x: &mut Exchange, upstream: &[Field], client: &[Field]) -> Result<(), Refusal> {
        fn each(fields: &[Field]) -> impl Iterator<Item = (&str, &[u8])> {
            fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
        }
        let whole = self.upstream.replace(&mut x.request.headers, each(upstream))
            && self.client.append(&mut x.for_response, each(client));
        if !whole {
            let what = "a field of its result can't be a header field";
            return Err(Refusal::new(&UNAVAILABLE).note(what));
        }
        Ok(())
    }
}

async fn decision(remote: Arc<dyn Remote>, call: Call) -> Decision {
    match remote.call(call).await {
        Ok(answer) if answer.status == 200 => result::read(&answer.body),
        Ok(answer) => Decision::Nothing(format!("it answered {}", answer.status)),
        Err(why) => Decision::Nothing(why.to_string()),
    }
}
