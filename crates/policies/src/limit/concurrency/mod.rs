//! Limits how many requests may be under way at once.
//!
//! A request takes a place when it comes, and gives it back when it is over: after the last byte of
//! its answer, or when whoever asked is gone. Streams, gRPC calls and WebSockets keep their place
//! until they close. What finds no place is refused with 429 at once.
//!
//! ```yaml
//! apis:
//!   - name: reports
//!     path: /reports
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - concurrency: { limit: 4, by: application }
//!       - concurrency: { limit: 100, by: none }
//!         id: all-reports
//! ```
//!
//! `by` says whose places they are, and `missing` what becomes of requests without such a key; both
//! are those of [rate](rate.md). `by: none` bounds all of them together, which protects an upstream
//! that can do only so much at a time.
//!
//! `rate` bounds how often somebody comes; this, how much of the upstream's time they take. A slow
//! upstream makes callers wait, not pile up.
//!
//! Places are this instance's own and outlive reloads: with a lower limit, whoever is under way
//! stays, and nobody else comes in until there is room.

mod table;

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step, codes,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::limit::by::{By, Missing, Written};
use table::Table;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "concurrency",
    phase: Phase::Limit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&LIMITED, &KEYLESS, &codes::CONDITION_FAILED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static LIMITED: Code = Code {
    name: "concurrency_limited",
    status: 429,
    grpc: 8,
    title: "Too many requests at once",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Wait until one of the requests under way is over; close streams that are no longer read.",
};

static KEYLESS: Code = Code {
    name: "concurrency_key_missing",
    status: 403,
    grpc: 7,
    title: "The request does not say what it is limited by",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send the header field that the limit is counted by, or authenticate.",
};

/// How many requests may be under way at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Concurrency")]
struct Settings {
    /// Requests that may be under way at once.
    #[schemars(range(min = 1))]
    limit: u32,
    /// Whose requests are counted together.
    #[serde(default)]
    by: Written,
    /// What becomes of requests without the key that `by` names.
    #[serde(default)]
    missing: Missing,
}

/// Counts requests under way.
#[derive(Debug)]
struct Concurrency {
    limit: u32,
    by: By,
    missing: Missing,
    table: Arc<Table>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    if settings.limit == 0 {
        let what = "a limit of 0 lets nothing through";
        let hint = "to keep everyone out use the ip policy or remove the route";
        problems.push(Problem::new(&at.key("limit"), what).hint(hint));
    }
    match settings.by.compile(&at.key("by")) {
        Ok(by) if problems.is_empty() => {
            let kept = format!("concurrency {} {by}", cx.id);
            Ok(Arc::new(Concurrency {
                limit: settings.limit,
                missing: settings.missing,
                table: cx.carry.keep(&kept, Table::default),
                by,
            }))
        }
        Ok(_) => Err(problems),
        Err(wrong) => {
            problems.extend(wrong);
            Err(problems)
        }
    }
}

impl Policy for Concurrency {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let key = match self.by.key(exchange, self.missing, &KEYLESS) {
            Ok(Some(key)) => key,
            Ok(None) => return Step::next(),
            Err(refusal) => return Step::refuse(refusal),
        };
        let Some(place) = self.table.take(key, self.limit) else {
            return Step::refuse(Refusal::new(&LIMITED).header("Retry-After", "1"));
        };
        exchange.held.push(Box::new(place));
        Step::next()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::harness::{Bench, exchange, refusal};

    fn code(policy: &Arc<dyn Policy>, exchange: &mut Exchange) -> &'static str {
        refusal(policy.on_request(exchange)).map_or("passes", |refusal| refusal.code.name)
    }

    #[test]
    fn a_place_is_kept_until_the_exchange_is_over_however_it_ends() {
        let settings = json!({ "limit": 1 });
        let mut bench = Bench::default();
        let policy = bench.compile(&KIND, &settings).unwrap();
        let (mut first, mut second) = (exchange(), exchange());
        assert_eq!(code(&policy, &mut first), "passes");
        assert_eq!(code(&policy, &mut second), "concurrency_limited");
        assert_eq!(code(&policy, &mut second), "concurrency_limited", "nothing was taken by it");
        let _ = policy.on_response(&mut first);
        assert_eq!(code(&policy, &mut second), "concurrency_limited", "its body still goes out");
        first.clear();
        assert_eq!(code(&policy, &mut second), "passes");
        drop(second);
        assert_eq!(code(&policy, &mut exchange()), "passes", "the connection broke");
    }

    #[test]
    fn places_outlive_a_reload_and_a_lower_limit_drops_nobody() {
        let mut bench = Bench::default();
        let policy = bench.compile(&KIND, &json!({ "limit": 2 })).unwrap();
        let (mut first, mut second, mut third) = (exchange(), exchange(), exchange());
        assert_eq!(code(&policy, &mut first), "passes");
        assert_eq!(code(&policy, &mut second), "passes");
        let policy = bench.compile(&KIND, &json!({ "limit": 1 })).unwrap();
        drop(first);
        assert_eq!(code(&policy, &mut third), "concurrency_limited", "one is still there");
        drop(second);
        assert_eq!(code(&policy, &mut third), "passes");
    }
}
