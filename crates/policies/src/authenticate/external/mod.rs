//! Asks an authorizer of yours whether a request may go on, and who its caller is.
//!
//! The authorizer is a service that speaks HTTP (as with nginx' `auth_request` and Traefik's
//! `forwardAuth`) or Envoy's `ext_authz` v3 over gRPC. It is asked before the request goes on, and
//! where it gives no clear answer, nothing goes on: there is no way to fail open.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - external:
//!           url: http://127.0.0.1:9191/verify
//!           upstream_headers: [x-user, x-roles]
//!           identify: { subject: x-user }
//!           cache: { ttl: 10s, by: [{ header: authorization }, method, path] }
//! ```
//!
//! It is told the request as the gateway understands it, path and host canonical, the same that
//! routes and upstreams see: over HTTP in `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and
//! `-For`, in `X-Gateward-Api` and `X-Gateward-Route`; over gRPC in `attributes`, the API and route
//! in `context_extensions`. Of header fields it gets those in `request_headers`, with all their
//! values; of the body its beginning, where `body` says so. Over gRPC a field that is no text is
//! refused with 400, since it can't be told.
//!
//! - It answers 2xx, over gRPC status 0: the request goes on.
//! - It answers 401, or denies with it over gRPC: 401 `external_unauthenticated`, with its
//!   `WWW-Authenticate`.
//! - It answers another 3xx or 4xx, or denies over gRPC: 403 `external_denied`; or its own answer,
//!   where `answer: true`.
//! - It is away, slow, breaks off, answers 5xx, more than 64 KiB, what is no answer, or what can't
//!   be a header field: 503 `external_unavailable`, or 403 `external_undecided` where `on_error:
//!   forbidden`.
//!
//! Of its answer the upstream gets the fields in `upstream_headers` and nothing else. What clients
//! send under these names is removed from every request of the document, in every spelling, whether
//! the authorizer answers with such a field or not. The client gets those in `client_headers`.
//! Over gRPC that is all that is taken from a yes: what it says of query parameters
//! (`query_parameters_to_set`, `query_parameters_to_remove`) and dynamic metadata has no effect.
//!
//! It runs with the policies that authenticate, as it may say who calls: with `identify` the fields
//! named there become the caller that later policies see, and a yes without `subject` is no answer.
//! Where it only judges, and others say who calls, write it behind them: policies of a phase run as
//! written, and the authorizer over gRPC is told the caller known so far.
//!
//! Decisions are used again for `cache.ttl`, by default for requests that would tell the authorizer
//! the same to the last byte; `cache.by` names what counts instead.

mod decide;
mod grpc;
mod http;
mod messages;
mod settings;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Pointer, Problem, Problems, Secret};
use policy::message::{Held, Known, Name};
use policy::{
    Call, Code, Compile, Directory, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture,
    Refusal, Remote, Stage, Step, codes,
};
use serde_json::Value;

use crate::asked::{Answers, By, Fields, Keyed, Told};
use settings::{OnError, Settings};
use verdict::Verdict;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "external",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[
        &UNAUTHENTICATED,
        &DENIED,
        &UNAVAILABLE,
        &UNDECIDED,
        &UNTOLD,
        &policy::codes::APPLICATION_DISABLED,
        &policy::codes::ORGANIZATION_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static UNAUTHENTICATED: Code = Code {
    name: "external_unauthenticated",
    status: 401,
    grpc: 16,
    title: "The authorizer does not know the caller",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Show the credential that WWW-Authenticate asks for.",
};

static DENIED: Code = Code {
    name: "external_denied",
    status: 403,
    grpc: 7,
    title: "The authorizer denies the request",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Ask whoever runs the API for the right to do this; the authorizer's own log says why.",
};

static UNAVAILABLE: Code = Code {
    name: "external_unavailable",
    status: 503,
    grpc: 14,
    title: "The authorizer gives no answer",
    proxy_error: "destination_unavailable",
    fault: Fault::Gateway,
    cure: "Try again later; operators find in the log what the authorizer answered, and check that \
           it runs, the policy's url and its timeout.",
};

static UNDECIDED: Code = Code {
    name: "external_undecided",
    status: 403,
    grpc: 7,
    title: "The authorizer gives no answer",
    proxy_error: "http_request_denied",
    fault: Fault::Gateway,
    cure: "Operators find in the log what the authorizer answered, and check that it runs, the \
           policy's url and its timeout.",
};

static UNTOLD: Code = Code {
    name: "external_untold",
    status: 400,
    grpc: 3,
    title: "The authorizer can't be told the request",
    proxy_error: "http_request_error",
    fault: Fault::Caller,
    cure: "Send a usual method, and header fields that are text.",
};

/// Most bytes of an answer's body.
const ANSWER_BYTES: usize = 64 << 10;

/// Time after which an authorizer that gave no answer is asked the same again, where answers are
/// kept.
const AGAIN: Duration = Duration::from_secs(1);

/// Asks an authorizer.
#[derive(Debug)]
struct External {
    decider: Decider,
    remote: Arc<dyn Remote>,
    asking: Asking,
    body: Option<settings::Body>,
    upstream: Fields,
    client: Fields,
    identify: Option<Identify>,
    answer: bool,
    on_error: OnError,
    kept: Option<Cache>,
    directory: Arc<Directory>,
}

/// Who decides.
#[derive(Debug)]
enum Decider {
    Http(http::Http),
    /// By its URL.
    Grpc(String),
}

/// What a decider is told beside the request itself.
#[derive(Debug)]
struct Asking {
    told: Vec<Name>,
    fixed: Vec<(Name, Secret)>,
    context: BTreeMap<String, String>,
    within: Duration,
}

/// The beginning of a body, where it is told.
struct Beginning(Option<Held>);

/// Which fields say who the caller is.
#[derive(Debug)]
struct Identify {
    subject: Name,
    application: Option<Name>,
    groups: Option<Name>,
    scopes: Option<Name>,
}

/// Decisions that are used again.
#[derive(Debug)]
struct Cache {
    ttl: Duration,
    by: By,
    answers: Arc<Answers<Verdict>>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let read: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let decider = read.decider(at, &mut problems);
    let asking = read.asking(at, &mut problems);
    let (upstream, client) = read.passed(at, &mut problems);
    let identify = read.identity(at, &mut problems);
    let by = read.cache.by(&at.key("cache"), &mut problems);
    let remote = cx.world.remote(&read.tls, &at.key("tls"));
    let remote = remote.map_err(|wrong| problems.extend(wrong));
    if read.identify.is_some() && identify.is_none() && problems.is_empty() {
        let what = "`identify` names no field that says who calls";
        problems.push(Problem::new(&at.key("identify"), what).hint("write `subject: x-user`"));
    }
    let (Some(decider), Ok(remote), true) = (decider, remote, problems.is_empty()) else {
        return Err(problems);
    };
    // Whatever clients send under these names goes before any policy sees it.
    let own = upstream.iter().filter(|name| Known::of(name.as_str().as_bytes()) == Known::Other);
    cx.identity_headers.extend(own.map(|name| name.as_str().to_owned()));
    let kept = (!read.cache.ttl.get().is_zero()).then(|| {
        let mut key = Keyed::new();
        key.add(settings.to_string().as_bytes());
        let key = format!("{} decisions {}", cx.id, crate::jose::encode(key.finish()));
        let answers = cx.carry.keep(&key, || Answers::new(read.cache.entries));
        Cache { ttl: read.cache.ttl.get(), by, answers }
    });
    Ok(Arc::new(External {
        decider,
        remote,
        asking,
        body: read.body,
        upstream: Fields(upstream),
        client: Fields(client),
        identify,
        answer: read.answer,
        on_error: read.on_error,
        kept,
        directory: cx.directory.clone(),
    }))
}

impl Policy for External {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        Step::Wait(Box::pin(async move {
            let outcome = self.ask(exchange).await;
            let decided = outcome.and_then(|verdict| self.decide(exchange, &verdict));
            match decided {
                Ok(flow) => flow,
                Err(refusal) => Flow::Refuse(Box::new(refusal)),
            }
        }))
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        self.client.settle(exchange);
        Step::next()
    }
}

impl External {
    async fn ask(&self, x: &mut Exchange) -> Result<Arc<Told<Verdict>>, Refusal> {
        let beginning = self.beginning(x).await?;
        let stamp = grpc::Stamp {
            id: x.id.to_string(),
            wall: x.wall,
            port: x.connection.peer.map_or(0, |peer| peer.port()),
        };
        let question = |stamp| {
            self.decider
                .question(x, &self.asking, &beginning, stamp)
                .ok_or_else(|| Refusal::new(&UNTOLD))
        };
        let call = question(Some(&stamp))?;
        let Some(kept) = &self.kept else {
            let (decider, remote) = (Decided::of(&self.decider), self.remote.clone());
            let value = decider.call(remote, call).await;
            return Ok(Arc::new(Told { value, until: Duration::ZERO, good: false }));
        };
        let unstamped = question(None)?;
        let key = kept.by.key(x, |keyed| add(&unstamped, keyed));
        if let Some(told) = kept.answers.find(&key, x.wall) {
            return Ok(told);
        }
        let (decided, remote) = (Decided::of(&self.decider), self.remote.clone());
        let (now, ttl) = (x.wall, kept.ttl);
        let question = || async move {
            let value = decided.call(remote, call).await;
            let (holds, good) = match &value {
                Verdict::Allowed(_) => (ttl, true),
                Verdict::Denied(_) => (ttl, false),
                Verdict::Nothing(_) => (AGAIN.min(ttl), false),
            };
            Told { value, until: now + holds, good }
        };
        Ok(kept.answers.clone().ask(key, now, question).await)
    }

    /// The beginning of the request's body, which still goes on as it came.
    async fn beginning(&self, x: &mut Exchange) -> Result<Beginning, Refusal> {
        let Some(body) = &self.body else { return Ok(Beginning(None)) };
        let most = usize::try_from(body.max.0).unwrap_or(usize::MAX);
        let held = x.request.body.hold(most).await.map_err(Refusal::from)?;
        if !held.whole && !body.partial {
            let detail = format!("at most {most} bytes are taken");
            return Err(Refusal::new(&codes::BODY_TOO_LARGE).detail(detail));
        }
        Ok(Beginning(Some(held)))
    }
}

/// What a decider speaks.
#[derive(Clone, Copy)]
enum Decided {
    Http,
    Grpc,
}

impl Decided {
    const fn of(decider: &Decider) -> Self {
        match decider {
            Decider::Http(_) => Self::Http,
            Decider::Grpc(_) => Self::Grpc,
        }
    }

    async fn call(self, remote: Arc<dyn Remote>, call: Call) -> Verdict {
        match (remote.call(call).await, self) {
            (Ok(answer), Self::Http) => http::read(answer),
            (Ok(answer), Self::Grpc) => grpc::read(&answer),
            (Err(why), _) => Verdict::Nothing(why.to_string()),
        }
    }
}

/// All that a question tells.
fn add(call: &Call, keyed: &mut Keyed) {
    keyed.add(call.method.as_bytes());
    keyed.add(call.url.as_bytes());
    keyed.add(&(call.headers.len() as u64).to_le_bytes());
    for (name, value) in &call.headers {
        keyed.add(name.as_bytes());
        keyed.add(value);
    }
    keyed.add(&call.body);
}
