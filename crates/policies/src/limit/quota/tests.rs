//! What only shows when a call is over, and how long one has to wait.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::harness::{Bench, exchange, refusal};

fn policy(settings: &Value) -> Arc<dyn Policy> {
    let policy = Bench::default().compile(&KIND, settings);
    policy.unwrap_or_else(|bad| panic!("{settings}: {bad:?}"))
}

/// A call that has so many bytes each way; what it hears, and when it may come again.
fn call(policy: &Arc<dyn Policy>, wall: u64, bytes: (u64, u64)) -> (&'static str, u64) {
    let mut exchange = exchange();
    exchange.wall = Duration::from_secs(wall);
    if let Some(refusal) = refusal(policy.on_request(&mut exchange)) {
        let (_, after) = &refusal.headers[0];
        return (refusal.code.name, after.parse().unwrap());
    }
    (exchange.bytes_in, exchange.bytes_out) = bytes;
    policy.on_end(&exchange);
    ("passes", 0)
}

/// 2026-01-01.
const NEW_YEAR: u64 = 1_767_225_600;

#[test]
fn bytes_are_counted_when_a_call_is_over() {
    for (count, passes) in
        [("bytes", 1), ("request_bytes", 4), ("response_bytes", 2), ("calls", 10)]
    {
        let policy = policy(&json!({ "limit": 10, "window": "day", "by": "none", "count": count }));
        let passed = (0..20).filter(|_| call(&policy, NEW_YEAR, (3, 9)).0 == "passes").count();
        assert_eq!(passed, passes, "{count}");
        assert_eq!(call(&policy, NEW_YEAR + 86_400, (1, 1)).0, "passes", "{count}: another day");
    }
}

#[test]
fn who_waits_as_long_as_is_said_passes_and_nobody_waits_longer_than_needed() {
    for window in ["hour", "1h"] {
        let policy = policy(&json!({ "limit": 10, "window": window, "by": "none" }));
        let mut now = NEW_YEAR;
        for round in 0..40 {
            now += 97 * round % 1_000;
            while call(&policy, now, (0, 0)).0 == "passes" {}
            let (code, wait) = call(&policy, now, (0, 0));
            assert_eq!(code, "quota_exceeded");
            assert!(wait > 0 && wait <= 2 * 3_600, "{window}: {wait}");
            if wait > 1 {
                assert_ne!(call(&policy, now + wait - 1, (0, 0)).0, "passes", "{window}: {wait}");
            }
            now += wait;
            assert_eq!(call(&policy, now, (0, 0)).0, "passes", "{window}: after {wait} s");
        }
    }
}

#[test]
fn a_lower_limit_keeps_what_was_used_and_another_window_does_not() {
    let mut bench = Bench::default();
    let mut compile = |limit: u64, window: &str| {
        let settings = json!({ "limit": limit, "window": window, "by": "none" });
        bench.compile(&KIND, &settings).unwrap()
    };
    let policy = compile(5, "day");
    (0..4).for_each(|_| assert_eq!(call(&policy, NEW_YEAR, (0, 0)).0, "passes"));
    let policy = compile(4, "day");
    assert_eq!(call(&policy, NEW_YEAR, (0, 0)).0, "quota_exceeded");
    let policy = compile(4, "week");
    assert_eq!(call(&policy, NEW_YEAR, (0, 0)).0, "passes");
}
