//! Lets callers prove who they are in one of several ways.
//!
//! The policies inside are tried in order, and the first that lets the caller in decides who it is.
//! A request that shows nothing one of them could judge goes on to the next; so does one whose
//! credential is wrong, since the same field may hold the credential of another way.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - any_of:
//!           policies:
//!             - api_key: {}
//!             - api_key: { query: key }
//!             - anonymous: { application: guests }
//!       - rate: { limit: 1000, window: 1m, by: application }
//!       - { rate: { limit: 10, window: 1m, by: client }, when: 'caller.by == "anonymous"' }
//! applications:
//!   - name: shop
//!     keys:
//!       # printf %s KEY | sha256sum
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! Where none lets the caller in, it hears the most specific of what they said: that something
//! could not be decided before that it is not enough, that before a credential is not valid, and
//! that one is missing last. A 401 carries the challenges of all ways in one `WWW-Authenticate`.
//! The log has what each of them said.
//!
//! `anonymous` and `optional` stand last, and let in only who showed nothing: a request with a
//! wrong credential is refused, not taken for a stranger's. What the other policies would read a
//! credential from is removed before the request goes on. A policy that answers by itself, as one
//! that sends browsers to log in, ends the search: put it behind the others.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::Request;
use policy::{Compile, Exchange, Flow, Phase, Policy, PolicyKind, Posture, Stage, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::combination::{self, Nested, Outcome, Part, Saved};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "any_of",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// The ways.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AnyOf")]
struct Settings {
    /// The policies of which one must let the caller in, in the order they are tried; at most 16.
    policies: Vec<Nested>,
}

/// Tries one after the other.
#[derive(Debug)]
struct AnyOf {
    parts: Vec<Part>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let at = at.key("policies");
    let parts = combination::compile(&settings.policies, &at, cx)?;
    let last = parts.len().saturating_sub(1);
    let early = parts.iter().take(last).enumerate().filter(|(_, part)| part.open);
    let problems: Problems = early
        .map(|(number, part)| {
            let what = format!("`{}` lets everybody in who shows nothing", part.kind.name);
            let hint = "put it last: what stands behind it is never asked";
            Problem::new(&at.index(number), what).hint(hint)
        })
        .collect();
    if problems.is_empty() { Ok(Arc::new(AnyOf { parts })) } else { Err(problems) }
}

impl Policy for AnyOf {
    // Waits even where no part does: a part's step borrows the exchange that the next one needs.
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        Step::Wait(Box::pin(self.run(exchange)))
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match combination::ran(exchange, self, &self.parts).next() {
            Some(part) => part.policy.on_response(exchange),
            None => Step::next(),
        }
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

impl AnyOf {
    async fn run(&self, exchange: &mut Exchange) -> Flow {
        let mut said = Outcome::default();
        for (number, part) in self.parts.iter().enumerate() {
            let before = Saved::of(exchange);
            match part.run(exchange).await {
                Flow::Continue => {
                    let proof = part.was_shown(before.caller.as_ref(), exchange.caller.as_ref());
                    if said.was_shown() && !proof {
                        before.restore(exchange);
                        break;
                    }
                    self.let_in(number, exchange);
                    return Flow::Continue;
                }
                Flow::Refuse(refusal) => {
                    said.add(part.kind.name, refusal);
                    before.restore(exchange);
                }
                reply @ Flow::Reply(_) => {
                    combination::note(exchange, self, 1 << number);
                    return reply;
                }
            }
        }
        said.refusal().map_or(Flow::Continue, Flow::Refuse)
    }

    /// The part of this number let the caller in: nothing of the other ways goes on.
    fn let_in(&self, number: usize, exchange: &mut Exchange) {
        combination::note(exchange, self, 1 << number);
        let others = self.parts.iter().enumerate().filter(|(other, _)| *other != number);
        others.for_each(|(_, other)| other.policy.hide(&mut exchange.request));
    }
}

#[cfg(test)]
mod tests {
    use policy::{Caller, Code, Fault, Refusal};

    use super::*;
    use crate::harness::{exchange, refusal};

    static WRONG: Code = Code {
        name: "wrong",
        status: 401,
        grpc: 16,
        title: "Wrong",
        proxy_error: "http_request_denied",
        fault: Fault::Caller,
        cure: "None.",
    };

    /// Takes the field `x` out, names a caller, and only then looks whether it is the right one.
    #[derive(Debug)]
    struct Takes(&'static str);

    impl Policy for Takes {
        fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
            let x = policy::message::Name::new("x").unwrap();
            let right = exchange.request.headers.get(&x) == Some(self.0.as_bytes());
            exchange.request.headers.remove(&x);
            exchange.request.target.query = None;
            exchange.caller = Some(Caller {
                application: None,
                credential: self.0.into(),
                by: "takes",
                grant: None,
            });
            if right { Step::next() } else { Step::refuse(Refusal::new(&WRONG)) }
        }
    }

    #[test]
    fn what_a_way_that_failed_did_is_put_back_before_the_next() {
        let part = |wanted| Part { kind: &KIND, policy: Arc::new(Takes(wanted)), open: false };
        let any = AnyOf { parts: vec![part("a"), part("b")] };
        let with = |value: &str| {
            let mut exchange = exchange();
            exchange.request.headers.append("X", value);
            exchange.request.target.query = Some("q".to_owned());
            let refused = refusal(any.on_request(&mut exchange)).is_some();
            (refused, exchange)
        };
        let (refused, exchange) = with("b");
        assert!(!refused && exchange.request.headers.is_empty());
        assert_eq!(exchange.caller.as_ref().map(|caller| &*caller.credential), Some("b"));
        let (refused, exchange) = with("c");
        assert!(refused && exchange.caller.is_none(), "whom a way named that failed is nobody");
        assert_eq!(exchange.request.headers.len(), 1);
        assert_eq!(exchange.request.target.query.as_deref(), Some("q"));
    }
}
