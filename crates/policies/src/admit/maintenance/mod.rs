//! Closes an API for a while, and says until when.
//!
//! Requests are refused with 503 before anything else is asked of them. `times` says when, so that
//! nobody has to be awake for it; without them, it is closed from the reload that adds the policy
//! to the one that removes it.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - maintenance:
//!           times:
//!             - { from: "2027-01-31T22:00:00+01:00", until: "2027-02-01T02:00:00+01:00" }
//!           allow: [ 10.0.0.0/8 ]
//!           message: The database moves.
//! ```
//!
//! `Retry-After` says when it is over, where that is known: at the end of the time it is in, or
//! after `retry_after` where there are no `times`. Whoever comes from a network in `allow` gets
//! through, to try what was changed before everybody does.

use std::sync::Arc;
use std::time::Duration;

use base::{Moment, Pointer, Problem, Problems, Span};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::networks::{self, Networks};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "maintenance",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&CLOSED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static CLOSED: Code = Code {
    name: "maintenance",
    status: 503,
    grpc: 14,
    title: "This is closed for maintenance",
    proxy_error: "http_request_denied",
    fault: Fault::Gateway,
    cure: "Try again when Retry-After says; operators change the times in the maintenance policy, \
           or remove it.",
};

/// When an API is closed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Maintenance")]
struct Settings {
    /// When it is closed; always unless given.
    times: Option<Vec<Time>>,
    /// After which time callers are told to try again, where there are no `times`.
    retry_after: Option<Span>,
    /// Networks and addresses that get through.
    allow: Vec<String>,
    /// What callers are told.
    message: Option<String>,
}

/// A time at which it is closed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MaintenanceTime")]
struct Time {
    /// When it begins.
    from: Moment,
    /// When it is over.
    until: Moment,
}

/// Refuses for a while.
#[derive(Debug)]
struct Maintenance {
    /// None: always.
    times: Option<Vec<Time>>,
    retry_after: Option<Duration>,
    allow: Networks,
    message: Option<Box<str>>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let times = settings.times.as_deref();
    if times.is_some_and(<[Time]>::is_empty) {
        let problem = Problem::new(&at.key("times"), "an empty list closes nothing, ever");
        problems.push(problem.hint("write when, or leave `times` out to close now"));
    }
    if times.is_some() && settings.retry_after.is_some() {
        let what = "`retry_after` stands beside `times`, whose ends are told";
        let hint = "leave out one of them";
        problems.push(Problem::new(&at.key("retry_after"), what).hint(hint));
    }
    for (number, time) in times.unwrap_or_default().iter().enumerate() {
        if time.until <= time.from {
            let what = "it is over before it begins";
            let at = at.key("times").index(number).key("until");
            problems.push(Problem::new(&at, what).hint("let `until` be the later of the two"));
        }
    }
    let allow = settings.allow.iter().enumerate().filter_map(|(number, text)| {
        let read = networks::read(text).map_err(|bad| {
            let at = at.key("allow").index(number);
            problems.push(Problem::new(&at, bad.what).hint(bad.hint));
        });
        read.ok()
    });
    let allow = Networks::new(allow.collect());
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(Maintenance {
        times: settings.times,
        retry_after: settings.retry_after.map(Span::get),
        allow,
        message: settings.message.map(Into::into),
    }))
}

impl Policy for Maintenance {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let Some(after) = self.closed(exchange.wall) else { return Step::next() };
        if self.allow.have(exchange.client) {
            return Step::next();
        }
        let mut refusal = Refusal::new(&CLOSED);
        if let Some(after) = after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            refusal = refusal.header("Retry-After", seconds.max(1).to_string());
        }
        if let Some(message) = &self.message {
            refusal = refusal.detail(message.clone());
        }
        Step::refuse(refusal)
    }
}

impl Maintenance {
    /// Whether it is closed at `now`, and for how much longer where that is known.
    fn closed(&self, now: Duration) -> Option<Option<Duration>> {
        let Some(times) = &self.times else { return Some(self.retry_after) };
        let within = times.iter().filter(|time| time.from.get() <= now && now < time.until.get());
        // The last end of those that overlap.
        let until = within.map(|time| time.until.get()).max()?;
        Some(Some(until.saturating_sub(now)))
    }
}
