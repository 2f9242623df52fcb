//! Smooths bursts: requests that come too early wait for their turn.
//!
//! The requests of each key go on at an even pace: `limit` in a `window`, one after the other with
//! the same time between them. One that comes earlier waits in its key's line. `burst` lets so many
//! go at once where nobody came before; 1 unless said.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - spike: { limit: 30, window: 1s, by: application }
//!       - id: all-orders
//!         spike: { limit: 600, window: 1m, burst: 5, wait: 2s, queue: 50, by: none }
//! ```
//!
//! Here an application's requests go on every 33 ms, and all of them together every 100 ms.
//!
//! `by` says whose pace it is, and `missing` what becomes of requests without such a key; both are
//! those of [rate](rate.md). Keys do not wait for each other.
//!
//! What would wait longer than `wait` is refused with 429 at once and takes nothing from later
//! requests; `Retry-After` says when to come again. So is what finds its line full (`queue`), or
//! too many waiting in all lines together (`queue_all`). Of those places no key may have more than
//! are free: one that floods the gateway takes half of them at most, and others still find room. A
//! caller that leaves while it waits frees its place, and those behind it go earlier.
//!
//! `rate` counts what came and refuses the rest; this spreads it out, for upstreams that stumble
//! over bursts. Both can stand together. Access logs tell the time waited as `queued_ms`.
//!
//! Lines are this instance's own and outlive reloads. `keys` are told apart (131,072 unless said);
//! of those that nothing is known of any more, nothing is kept. With more of them at a time,
//! newcomers share a line, so that a flood of keys frees nobody.

mod pace;
mod settings;
mod table;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base::{Instant, Pointer, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Flow, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
    Timer, Timers, codes,
};
use serde_json::Value;

use crate::limit::by::{By, Missing};
use crate::limit::report::retry_after;
use settings::Settings;
use table::{Arrival, Limits, Place, Table, Turn};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "spike",
    phase: Phase::Limit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&REFUSED, &KEYLESS, &codes::CONDITION_FAILED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static REFUSED: Code = Code {
    name: "spike_refused",
    status: 429,
    grpc: 8,
    title: "Too many requests in too short a time",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Wait as long as Retry-After says, and spread requests evenly over time.",
};

static KEYLESS: Code = Code {
    name: "spike_key_missing",
    status: 403,
    grpc: 7,
    title: "The request does not say what it is limited by",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send the header field that the limit is counted by, or authenticate.",
};

/// Has requests go on at an even pace.
#[derive(Debug)]
struct Spike {
    by: By,
    missing: Missing,
    limits: Limits,
    table: Arc<Table>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let by = settings.by.compile(&at.key("by")).map_err(|bad| problems.extend(bad)).ok();
    let limits = settings.limits(at).map_err(|bad| problems.extend(bad)).ok();
    let (Some(by), Some(limits)) = (by, limits) else { return Err(problems) };
    let kept = format!("spike {} {by}", cx.id);
    let table = cx.carry.keep(&kept, Table::default);
    Ok(Arc::new(Spike { by, missing: settings.missing, limits, table }))
}

impl Spike {
    /// What becomes of the request, by the moment `now`; none where it is not limited.
    fn arrive(&self, exchange: &Exchange, now: u64) -> Result<Option<Place>, Refusal> {
        let key = self.by.key(exchange, self.missing, &KEYLESS)?;
        let Some(key) = key else { return Ok(None) };
        let (after, why) = match self.table.arrive(key, &self.limits, now) {
            Arrival::Goes => return Ok(None),
            Arrival::Waits(place) => return Ok(Some(place)),
            Arrival::TooEarly(after) => (after, "it would have waited for too long"),
            Arrival::Full(after) => (after, "too many wait already"),
        };
        let (name, after) = retry_after(after);
        Err(Refusal::new(&REFUSED).header(name, after).note(why))
    }
}

impl Policy for Spike {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let now = exchange.timers.as_ref().map_or(exchange.started, |timers| timers.now());
        let place = match self.arrive(exchange, now.as_nanos()) {
            Ok(None) => return Step::next(),
            Ok(Some(place)) => place,
            Err(refusal) => return Step::refuse(refusal),
        };
        let Some(timers) = exchange.timers.clone() else {
            return Step::refuse(Refusal::new(&codes::POLICY_ERROR).note("there is no clock"));
        };
        Step::Wait(Box::pin(async move {
            let mut wait = Wait { place, timers: timers.clone(), timer: None };
            poll_fn(|cx| wait.poll(cx)).await;
            let waited = timers.now().since(now);
            exchange.times.queued = exchange.times.queued.saturating_add(waited);
            Flow::Continue
        }))
    }
}

/// A wait for one's turn.
struct Wait {
    place: Place,
    timers: Rc<dyn Timers>,
    /// Only the first of a line needs one.
    timer: Option<Box<dyn Timer>>,
}

impl Wait {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let at = match self.place.turn(self.timers.now().as_nanos(), cx.waker()) {
                Turn::Goes => return Poll::Ready(()),
                Turn::Behind => return Poll::Pending,
                Turn::At(at) => Instant::from_nanos(at),
            };
            let timer = self.timer.get_or_insert_with(|| self.timers.clone().timer(at));
            timer.set(at);
            ready!(timer.poll(cx));
        }
    }
}

#[cfg(test)]
mod tests;
