//! What `explain` has to say, as data.

use policy::message::Request;
use policy::{Refusal, Values, codes};
use serde_json::{Value, json};
use snapshot::{Action, ChainStep, Found, HostRewrite, Listener, Route, Snapshot};

use super::judge::{Said, Verdict};

/// Routes that lost, shown at most.
const LOSERS_MAX: usize = 20;

/// The whole answer.
pub struct Answer {
    /// The listener.
    pub listener: String,
    /// Host and canonical path the request has.
    pub request: Option<(String, String)>,
    /// The route that takes it.
    pub takes: Option<Takes>,
    /// The refusal it gets otherwise: code, status, what to do.
    pub refusal: Option<(&'static str, u16, String)>,
    /// Routes that do not take it: name, path, why; nearest first.
    pub lost: Vec<(String, String, String)>,
    /// How many more there are.
    pub more: usize,
    /// The policies that run, in order.
    pub chain: Vec<Step>,
}

/// The route that takes the request.
pub struct Takes {
    /// The API, with its version.
    pub api: String,
    /// The route.
    pub route: String,
    /// Where it stands in the document.
    pub at: String,
    /// The path's parameters.
    pub params: Vec<(String, String)>,
    /// What happens after the policies.
    pub then: String,
    /// Where it may go: upstream, its endpoints, share in percent.
    pub upstreams: Vec<(String, Vec<String>, f64)>,
    /// The path and query the upstream sees.
    pub path: Option<String>,
    /// The host the upstream sees.
    pub host: Option<String>,
}

/// A policy of the chain.
pub struct Step {
    /// The phase.
    pub phase: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// What this use is called.
    pub id: String,
    /// For whom it was written: document, api, route.
    pub level: String,
    /// Where it stands in the document.
    pub at: String,
    /// Whether it has a condition.
    pub conditional: bool,
    /// What it says of the request.
    pub verdict: Verdict,
}

impl Answer {
    /// What happens to `request` on `listener`.
    pub fn new(snapshot: &Snapshot, listener: &Listener, request: &Request) -> Self {
        let mut values = Values::new();
        let found = snapshot.router.find(listener.number, request, &mut values);
        let considered = snapshot.router.explain(listener.number, request);
        let lost: Vec<_> = considered
            .iter()
            .filter(|one| one.verdict != snapshot::Verdict::Takes)
            .map(|one| {
                (
                    format!("{} / {}", one.route.api, one.route.name),
                    one.path.clone(),
                    one.verdict.to_string(),
                )
            })
            .collect();
        let (takes, refusal, chain) = match found {
            Found::Route(route) => {
                (Some(takes(snapshot, route, request, &values)), None, &*route.chain)
            }
            Found::MethodNotAllowed(allow) => {
                let code = &codes::METHOD_NOT_ALLOWED;
                (
                    None,
                    Some((code.name, code.status, format!("Allow: {allow}"))),
                    &snapshot.fallback,
                )
            }
            Found::NotFound => {
                let code = &codes::ROUTE_NOT_FOUND;
                (
                    None,
                    Some((code.name, code.status, "no route matches".to_owned())),
                    &snapshot.fallback,
                )
            }
        };
        Self {
            listener: format!("{} ({})", listener.name, listener.bind),
            request: Some((
                request.target.authority.as_str().to_owned(),
                request.target.path.clone(),
            )),
            takes,
            refusal,
            more: lost.len().saturating_sub(LOSERS_MAX),
            lost: lost.into_iter().take(LOSERS_MAX).collect(),
            chain: chain.steps.iter().map(step).collect(),
        }
    }

    /// What happens to a request that is refused before it is routed.
    pub fn refused(listener: &Listener, refusal: &Refusal) -> Self {
        let detail = refusal.detail.as_deref().unwrap_or(refusal.code.title);
        Self {
            listener: format!("{} ({})", listener.name, listener.bind),
            request: None,
            takes: None,
            refusal: Some((refusal.code.name, refusal.code.status, detail.to_owned())),
            lost: Vec::new(),
            more: 0,
            chain: Vec::new(),
        }
    }

    /// With what the policies of its chain say.
    pub fn judged(mut self, verdicts: Result<Vec<Verdict>, Said>) -> Self {
        let verdicts = verdicts.unwrap_or_else(|said| {
            let what = said.more.into_iter().next().unwrap_or_else(|| said.title.to_owned());
            self.refusal = Some((said.code, said.status, what));
            self.chain.iter().map(|_| Verdict::NotReached).collect()
        });
        for (step, verdict) in self.chain.iter_mut().zip(verdicts) {
            step.verdict = verdict;
        }
        self
    }

    /// The answer for machines.
    pub fn to_json(&self) -> Value {
        let takes = self.takes.as_ref();
        let upstreams = takes.map(|takes| {
            let one = |(name, endpoints, share): &(String, Vec<String>, f64)| {
                json!({ "name": name, "endpoints": endpoints, "percent": share })
            };
            takes.upstreams.iter().map(one).collect::<Vec<_>>()
        });
        let params = takes.map(|takes| {
            takes.params.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()
        });
        json!({
            "listener": self.listener,
            "host": self.request.as_ref().map(|(host, _)| host),
            "path": self.request.as_ref().map(|(_, path)| path),
            "api": takes.map(|takes| &takes.api),
            "route": takes.map(|takes| &takes.route),
            "at": takes.map(|takes| &takes.at),
            "params": params,
            "then": takes.map(|takes| &takes.then),
            "upstreams": upstreams,
            "upstream_path": takes.and_then(|takes| takes.path.as_ref()),
            "upstream_host": takes.and_then(|takes| takes.host.as_ref()),
            "refusal": self.refusal.as_ref().map(refusal_json),
            "chain": self.chain.iter().map(Step::to_json).collect::<Vec<_>>(),
            "lost": self.lost.iter().map(lost_json).collect::<Vec<_>>(),
            "more": self.more,
        })
    }
}

fn refusal_json((code, status, what): &(&'static str, u16, String)) -> Value {
    json!({ "code": code, "status": status, "what": what })
}

fn lost_json((route, path, why): &(String, String, String)) -> Value {
    json!({ "route": route, "path": path, "why": why })
}

impl Step {
    fn to_json(&self) -> Value {
        json!({
            "phase": self.phase,
            "policy": self.kind,
            "id": self.id,
            "level": self.level,
            "at": self.at,
            "conditional": self.conditional,
            "says": self.verdict.to_json(),
        })
    }
}

fn step(step: &ChainStep) -> Step {
    Step {
        phase: step.phase.word(),
        kind: step.kind,
        id: step.id.to_string(),
        level: format!("{:?}", step.level).to_lowercase(),
        at: step.at.to_string(),
        conditional: step.when.is_some(),
        verdict: Verdict::NotAsked,
    }
}

fn takes(snapshot: &Snapshot, route: &Route, request: &Request, values: &Values) -> Takes {
    let value = |start: u32, end: u32| {
        request.target.path.get(start as usize..end as usize).unwrap_or_default()
    };
    let mut takes = Takes {
        api: route.api.to_string(),
        route: route.name.to_string(),
        at: route.at.to_string(),
        params: (route.names.params.iter().zip(values))
            .map(|(name, (start, end))| (name.to_string(), value(*start, *end).to_owned()))
            .collect(),
        then: String::new(),
        upstreams: Vec::new(),
        path: None,
        host: None,
    };
    match &route.action {
        Action::Forward(forward) => {
            let total = forward.split.parts().last().map_or(0, |part| part.up_to);
            let mut before = 0;
            for part in forward.split.parts() {
                let Some(upstream) = snapshot.upstreams.get(part.upstream) else { continue };
                let endpoints =
                    upstream.endpoints.iter().map(|endpoint| endpoint.url.to_string()).collect();
                let share = (part.up_to - before) as f64 * 100.0 / total.max(1) as f64;
                before = part.up_to;
                takes.upstreams.push((upstream.name.to_string(), endpoints, share));
            }
            let mut path = String::new();
            takes.path =
                forward.path(&request.target.path, values, &mut path).is_ok().then_some(path);
            takes.host = Some(match &forward.host {
                HostRewrite::Keep => request.target.authority.as_str().to_owned(),
                HostRewrite::Endpoint => "the endpoint's own".to_owned(),
                HostRewrite::Fixed(host) => host.to_string(),
            });
            "goes to an upstream".clone_into(&mut takes.then);
        }
        Action::Redirect(redirect) => {
            takes.then = format!("is redirected with {}", redirect.status.code())
        }
        Action::Respond(answer) => {
            takes.then = format!("is answered here with {}", answer.status.code())
        }
    }
    takes
}
