//! Section L: how exactly limits hold, at their edges and under a flood of keys.
#![allow(non_snake_case, reason = "cases are called by their number")]

use std::time::Duration;

use base::Instant;
use policy::message::Known;
use policy::{Exchange, Policy};
use serde_json::{Value, json};

use super::KIND;
use crate::harness::{Bench, exchange, refusal};

const ALGORITHMS: [&str; 3] = ["token_bucket", "sliding_window", "fixed_window"];

/// A limit, and calls that come when a test says so.
struct Calls {
    policy: std::sync::Arc<dyn Policy>,
}

impl Calls {
    fn new(settings: &Value) -> Self {
        let policy = Bench::default().compile(&KIND, settings);
        Self { policy: policy.unwrap_or_else(|bad| panic!("{settings}: {bad:?}")) }
    }

    fn of(algorithm: &str, limit: u64, window: &str) -> Self {
        Self::new(&json!({ "limit": limit, "window": window, "algorithm": algorithm }))
    }

    /// What `exchange`, that came `millis` after some moment, hears: `passes` or a code.
    fn hears(&self, exchange: &mut Exchange, millis: u64) -> &'static str {
        let moment = Duration::from_hours(24) + Duration::from_millis(millis);
        exchange.started = Instant::from_nanos(moment.as_nanos() as u64);
        exchange.wall = Duration::from_secs(1_790_000_000) + moment;
        let refused = refusal(self.policy.on_request(exchange));
        refused.map_or("passes", |refusal| refusal.code.name)
    }

    fn passes(&self, millis: u64) -> bool {
        self.hears(&mut exchange(), millis) == "passes"
    }

    /// How many of `calls` at the same time pass.
    fn burst(&self, calls: usize, millis: u64) -> usize {
        (0..calls).filter(|_| self.passes(millis)).count()
    }
}

/// 1,000 calls a second for 30 s at a limit of 100 a second: 100 a second pass, within a hundredth,
/// beside what may come at once at the beginning.
///
/// Seen to fail: with a bucket whose `interval` is a fiftieth longer.
#[test]
fn fa_L01_accuracy_of_a_limit_on_one_instance() {
    for algorithm in ALGORITHMS {
        let calls = Calls::of(algorithm, 100, "1s");
        let passed: Vec<u64> = (0..30_000).filter(|millis| calls.passes(*millis)).collect();
        let later = passed.iter().filter(|millis| **millis >= 2_000).count();
        assert!((2_772..=2_828).contains(&later), "{algorithm}: {later} in 28 s");
        let first = passed.iter().filter(|millis| **millis < 1_000).count();
        let most = if algorithm == "token_bucket" { 200 } else { 100 };
        assert!(first <= most, "{algorithm}: {first} in the first second");
    }
    let calls = Calls::new(&json!({ "limit": 100, "window": "1s", "burst": 7 }));
    assert_eq!(calls.burst(50, 0), 7, "as many at once as are said");
}

/// Two bursts close to a window's edge: a token bucket and a sliding window let no more of both
/// together through than the limit and what came back between them. A fixed window lets each
/// through, as its manual says.
///
/// Seen to fail: with a sliding window that forgets the one before.
#[test]
fn fa_L02_bursts_at_a_windows_edge() {
    for (algorithm, together) in
        [("token_bucket", 100), ("sliding_window", 99), ("fixed_window", 199)]
    {
        let calls = Calls::of(algorithm, 100, "60s");
        assert!(calls.passes(0));
        let passed = calls.burst(200, 59_900) + calls.burst(200, 60_100);
        assert_eq!(passed, together, "{algorithm}");
    }
    let calls = Calls::new(&json!({
        "limit": 100, "window": "1m", "algorithm": "fixed_window", "aligned": true,
    }));
    assert_eq!(calls.burst(200, 0), 100);
    assert_eq!(calls.burst(200, 39_999), 0, "the clock's minute is not over");
    assert_eq!(calls.burst(200, 40_000), 100, "now it is");
}

/// Keys that are nearly alike are told apart or not as is said, whoever writes them: none, an empty
/// one, one in other letters, one that is like another kind's.
///
/// Seen to fail: with a key that is a value's bytes alone, whatever kind it is of.
#[test]
fn fa_L08_tricks_with_keys() {
    let with = |value: Option<&str>| {
        let mut exchange = exchange();
        if let Some(value) = value {
            exchange.request.headers.append("X-Tenant", value);
        }
        exchange
    };
    let settings = |by: Value, missing: &str| json!({ "limit": 1, "window": "1m", "by": by, "missing": missing });
    let header = || json!({ "header": "x-tenant" });
    let calls = Calls::new(&settings(header(), "share"));
    for (value, hears) in [
        (Some("a"), "passes"),
        (Some("a"), "rate_limited"),
        (Some("A"), "passes"),
        (Some(""), "passes"),
        (None, "passes"),
        (None, "rate_limited"),
        (Some(""), "rate_limited"),
        (Some("a"), "rate_limited"),
    ] {
        assert_eq!(calls.hears(&mut with(value), 0), hears, "{value:?}");
    }
    let mut twice = with(Some("a"));
    twice.request.headers.append("X-Tenant", "new");
    assert_eq!(calls.hears(&mut twice, 0), "rate_limited", "a second field is no second key");
    let calls = Calls::new(&settings(header(), "refuse"));
    assert_eq!(calls.hears(&mut with(None), 0), "rate_key_missing");
    let calls = Calls::new(&settings(json!("client"), "share"));
    for (address, hears) in [
        ("192.0.2.1", "passes"),
        ("::ffff:192.0.2.1", "rate_limited"),
        ("2001:db8::1", "passes"),
        ("2001:db8::ffff:1", "rate_limited"),
        ("2001:db8:0:1::1", "passes"),
    ] {
        let mut exchange = exchange();
        exchange.client = address.parse().unwrap();
        assert_eq!(calls.hears(&mut exchange, 0), hears, "{address}");
    }
    let cel = r#"[request.headers["x-tenant"], request.path]"#;
    let calls = Calls::new(&settings(json!({ "cel": cel }), "share"));
    let mut one = with(Some("a"));
    one.request.target.path = "b/".into();
    let mut other = with(Some("ab"));
    other.request.target.path = "/".into();
    assert_eq!(calls.hears(&mut one, 0), "passes");
    assert_eq!(calls.hears(&mut other, 0), "passes", "parts of a key do not run together");
}

/// A refusal says which limit it was and when to come again, and who comes then passes; answers say
/// what is left, which is true.
///
/// Seen to fail: with a wait that is rounded down to seconds.
#[test]
fn fa_L09_what_a_refusal_for_a_limit_says() {
    for algorithm in ALGORITHMS {
        let calls = Calls::of(algorithm, 3, "10s");
        let mut millis = 0;
        for round in 0..20 {
            millis += 137 * round;
            let mut one = exchange();
            if calls.hears(&mut one, millis) == "passes" {
                let _ = calls.policy.on_response(&mut one);
                let left = one.response.headers.get(Known::RateLimit).unwrap_or_default();
                let left = String::from_utf8_lossy(left).into_owned();
                let remaining = one.rates[0].remaining;
                assert!(left.contains(&format!(";r={remaining};t=")), "{left}");
                assert_eq!(calls.burst(9, millis), remaining as usize, "{algorithm}: what is left");
            }
            let mut refused = exchange();
            refused.started = Instant::from_nanos(
                (Duration::from_hours(24) + Duration::from_millis(millis)).as_nanos() as u64,
            );
            let refusal = refusal(calls.policy.on_request(&mut refused)).unwrap();
            assert_eq!((refusal.code.name, refusal.code.status), ("rate_limited", 429));
            let (name, after) = &refusal.headers[0];
            assert_eq!(*name, "Retry-After");
            let after: u64 = after.parse().unwrap();
            assert!((1..=20).contains(&after), "{algorithm}: {after}");
            millis += after * 1_000;
            assert!(calls.passes(millis), "{algorithm}: it waited {after} s as it was told");
        }
    }
}

/// A flood of keys, ten times as many as are told apart, gives nobody a call more than is due, and
/// newcomers get through while the others come once each.
///
/// Seen to fail: where whoever comes to a place that another had begins anew.
#[test]
fn fa_L10_a_limiter_under_a_flood_of_keys() {
    for algorithm in ALGORITHMS {
        let calls = Calls::new(&json!({
            "limit": 20, "window": "60s", "algorithm": algorithm, "by": { "header": "x-key" },
            "keys": 1024,
        }));
        let hears = |key: &str, millis| {
            let mut exchange = exchange();
            exchange.request.headers.append("X-Key", key);
            calls.hears(&mut exchange, millis)
        };
        let burst = |key: &str, millis| (0..30).filter(|_| hears(key, millis) == "passes").count();
        assert_eq!(burst("greedy", 0), 20);
        assert_eq!((0..10).filter(|_| hears("half", 0) == "passes").count(), 10);
        let passed = (0..10_240).filter(|key| hears(&key.to_string(), 1) == "passes").count();
        assert!(passed >= 10_000, "{algorithm}: {passed} of the flood, each within its limit");
        // Each of these uses more than `half`, which so loses its place.
        for key in 0..4_096 {
            let key = format!("more {key}");
            let _ = (0..12).filter(|_| hears(&key, 1) == "passes").count();
        }
        assert_eq!(burst("greedy", 2), 0, "{algorithm}: it is not free");
        assert!(burst("half", 2) <= 10, "{algorithm}: it has no more than was left");
    }
}
