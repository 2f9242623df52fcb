//! Asks callers to prove who they are in several ways at once.
//!
//! Every policy inside must let the caller in: a machine by its key and its user by a token, say.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - all_of:
//!           policies:
//!             - api_key: { header: x-partner-key }
//!             - any_of:
//!                 policies: [ { api_key: { header: x-api-key } }, { api_key: { query: key } } ]
//! applications:
//!   - name: shop
//!     keys:
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! They run in order, each on what the one before left of the request. Who calls is whom the last
//! of them named; its application, and what its credential says, are those of the one before where
//! it names none. Where two of them name different applications, the call is refused with 403.
//!
//! Where one is not satisfied, the call is refused as that one says. The others are looked at all
//! the same, so that a call that shows half of what is asked is told what is missing, and never
//! taken for one that shows nothing.

use std::sync::Arc;

use base::{Pointer, Problems};
use policy::message::Request;
use policy::{
    Caller, Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal,
    Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::combination::{self, Nested, Outcome, Part, Saved};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "all_of",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&DISAGREE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static DISAGREE: Code = Code {
    name: "credentials_disagree",
    status: 403,
    grpc: 7,
    title: "The credentials belong to different applications",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send credentials of one application; the log says which were shown.",
};

/// The proofs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AllOf")]
struct Settings {
    /// The policies that must all let the caller in, in the order they run; at most 16.
    policies: Vec<Nested>,
}

/// Asks one after the other.
#[derive(Debug)]
struct AllOf {
    parts: Vec<Part>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let parts = combination::compile(&settings.policies, &at.key("policies"), cx)?;
    Ok(Arc::new(AllOf { parts }))
}

impl Policy for AllOf {
    // Waits even where no part does: a part's step borrows the exchange that the next one needs.
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        Step::Wait(Box::pin(self.run(exchange)))
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if combination::ran(exchange, self, &self.parts).next().is_none() {
            return Step::next();
        }
        Step::Wait(Box::pin(async move {
            for part in combination::ran(exchange, self, &self.parts).rev() {
                let flow = match part.policy.on_response(exchange) {
                    Step::Done(flow) => flow,
                    Step::Wait(flow) => flow.await,
                };
                if !matches!(flow, Flow::Continue) {
                    return flow;
                }
            }
            Flow::Continue
        }))
    }

    fn on_end(&self, exchange: &Exchange) {
        for part in combination::ran(exchange, self, &self.parts) {
            part.policy.on_end(exchange);
        }
    }

    fn hide(&self, request: &mut Request) {
        self.parts.iter().for_each(|part| part.policy.hide(request));
    }
}

impl AllOf {
    async fn run(&self, exchange: &mut Exchange) -> Flow {
        let start = Saved::of(exchange);
        let (mut said, mut proven, mut all) = (Outcome::default(), false, 0);
        let mut caller: Option<Caller> = None;
        for (number, part) in self.parts.iter().enumerate() {
            exchange.caller.clone_from(&start.caller);
            match part.run(exchange).await {
                Flow::Continue => {
                    all |= 1 << number;
                    proven |= part.was_shown(start.caller.as_ref(), exchange.caller.as_ref());
                    match joined(caller.take(), exchange.caller.take()) {
                        Ok(joined) => caller = joined,
                        Err(refusal) => {
                            said.add(part.kind.name, refusal);
                            break;
                        }
                    }
                }
                Flow::Refuse(refusal) => {
                    let absent = refusal.absent;
                    said.add(part.kind.name, refusal);
                    if !absent {
                        break;
                    }
                }
                reply @ Flow::Reply(_) if said.is_empty() => {
                    combination::note(exchange, self, all | 1 << number);
                    return reply;
                }
                Flow::Reply(_) => break,
            }
        }
        match said.refusal() {
            None => {
                exchange.caller = caller;
                combination::note(exchange, self, all);
                Flow::Continue
            }
            Some(mut refusal) => {
                refusal.absent &= !proven;
                start.restore(exchange);
                Flow::Refuse(refusal)
            }
        }
    }
}

/// Who calls, where `first` and then `second` were named.
fn joined(first: Option<Caller>, second: Option<Caller>) -> Result<Option<Caller>, Box<Refusal>> {
    let (first, mut second) = match (first, second) {
        (first, second) if combination::is_stranger(second.as_ref()) => {
            return Ok(first.or(second));
        }
        (first, Some(second)) if !combination::is_stranger(first.as_ref()) => (first, second),
        (_, second) => return Ok(second),
    };
    let Some(first) = first else { return Ok(Some(second)) };
    if let (Some(one), Some(other)) = (first.application_name(), second.application_name())
        && one != other
    {
        let note = format!("`{one}` by {}, `{other}` by {}", first.by, second.by);
        return Err(Box::new(Refusal::new(&DISAGREE).note(note)));
    }
    second.application = second.application.or(first.application);
    second.grant = second.grant.or(first.grant);
    Ok(Some(second))
}
