//! The calls the demo prints: each with what to expect of it. A test makes every one of them.

use std::fmt::Write;

use crate::terminal::{DIM, HEAD, paint};

/// A call to try.
pub struct Call {
    /// What it shows.
    pub shows: &'static str,
    /// The command, ready to paste.
    pub command: String,
    /// What comes of it: the status of its last answer.
    pub status: u16,
    /// What to look at.
    pub expect: &'static str,
}

fn call(shows: &'static str, command: String, status: u16, expect: &'static str) -> Call {
    Call { shows, command, status, expect }
}

/// All calls, in order, for a gateway at `base` with an admin listener at `admin` and an API key.
pub fn calls(base: &str, admin: &str, key: &str) -> Vec<Call> {
    let with_key = format!("-H 'X-API-Key: {key}'");
    let mut calls = vec![
        call(
            "An answer of the gateway itself",
            format!("curl -i {base}/hello"),
            200,
            "no upstream is asked",
        ),
        call(
            "Without a key",
            format!("curl -i {base}/shop/v1/orders"),
            401,
            "a problem document that says what is missing, with a stable code",
        ),
        call(
            "With the key",
            format!("curl -i {with_key} {base}/shop/v1/orders"),
            200,
            "three orders, and how many calls are left (RateLimit)",
        ),
        call(
            "A new order",
            format!(
                "curl -i {with_key} -H 'Content-Type: application/json' -d '{{\"item\":\"milk\",\"quantity\":1}}' {base}/shop/v1/orders"
            ),
            201,
            "the order with its number",
        ),
        call("One order", format!("curl -i {with_key} {base}/shop/v1/orders/1"), 200, "coffee"),
    ];
    calls.extend(refused_and_watched(base, admin, &with_key));
    calls
}

/// Those that show what is refused, moved and watched.
fn refused_and_watched(base: &str, admin: &str, with_key: &str) -> Vec<Call> {
    vec![
        call(
            "An order that is not there",
            format!("curl -i {with_key} {base}/shop/v1/orders/999"),
            404,
            "the orders API's own answer, passed on as it is",
        ),
        call(
            "A method no route has",
            format!("curl -i {with_key} -X DELETE {base}/shop/v1/orders/1"),
            405,
            "Allow names those that are",
        ),
        call(
            "More than the limit allows",
            format!(
                "for i in 1 2 3 4 5 6; do curl -i -s {with_key} {base}/shop/v1/orders | head -n 1; done"
            ),
            429,
            "429 as soon as 5 calls in 10 s are used up, and Retry-After",
        ),
        call(
            "An address that has moved",
            format!("curl -i {base}/orders"),
            308,
            "Location points at the new one",
        ),
        call(
            "A stream of events",
            format!("curl -i -N --max-time 3 {with_key} {base}/shop/v1/events"),
            200,
            "an event every second as it happens; ends after three",
        ),
        call(
            "Health and revision",
            format!("curl -i {admin}/status"),
            200,
            "what runs, and how the endpoints are doing",
        ),
        call("Metrics", format!("curl -i {admin}/metrics"), 200, "for Prometheus"),
    ]
}

/// The calls as people read them.
pub fn print(calls: &[Call], colours: bool) -> String {
    let mut out = String::new();
    for (number, call) in calls.iter().enumerate() {
        let title = paint(&format!("{}. {}", number + 1, call.shows), HEAD, colours);
        let expect = paint(&format!("   → {}: {}", call.status, call.expect), DIM, colours);
        let _ = write!(out, "{title}\n   {}\n{expect}\n\n", call.command);
    }
    out
}
