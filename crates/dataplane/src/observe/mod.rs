//! What operations sees: metrics, access logs, traces.
//!
//! An exchange passes here three times: [`start`] gives it its ids, [`tried`] records each try of
//! an endpoint, [`finish`] records it when it is over. All three only add to memory of their own
//! core, or hand over to a thread in the background; none waits.

mod lines;
pub(crate) mod log;
pub(crate) mod metrics;
mod refused;
pub(crate) mod reloads;
pub(crate) mod trace;

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Instant, RequestId, SpanId};
use policy::message::{Known, Status};
use policy::{Code, Exchange};
use snapshot::{ChainStep, Snapshot};

use crate::core::{Core, Running};
use crate::enforce::guard;
use crate::overload::{Overload, OverloadStatus};
use lines::Lines;
use log::{Logs, Writer};
use metrics::{Handles, Metrics, TryCount};
use refused::RefusedLines;
use reloads::Reloads;
use trace::{Traces, Tracing};

/// What observes an instance, from its start to its end. Shared by all cores; outlives snapshots.
pub struct Observer {
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) overload: Arc<Overload>,
    pub(crate) reloads: Reloads,
    pub(crate) started: Instant,
    pub(crate) started_wall: Duration,
    workers: usize,
    logs: Logs,
    traces: Traces,
    refused: Arc<RefusedLines>,
    relays: Arc<Lines>,
}

/// What observes the exchanges of one snapshot. Made once per swap, shared by all cores.
pub(crate) struct Observed {
    /// How loaded the instance is.
    pub overload: Arc<Overload>,
    metrics: Arc<Metrics>,
    handles: Handles,
    tracing: Option<Tracing>,
    refused: Arc<RefusedLines>,
    relays: Arc<Lines>,
    /// Held for as long as anybody logs by this snapshot.
    _logs: Vec<Arc<Writer>>,
}

/// Lines a second and core on connections that were passed on.
const RELAY_LINES: u64 = 100;

impl Observed {
    /// Counts fields of a request that went because of how their names are written.
    pub fn names_dropped(&self, count: u64) {
        if count > 0 {
            self.metrics.names_dropped.add(count);
        }
    }

    /// Counts trailers of a request that went.
    pub fn trailers_dropped(&self, count: u64) {
        if count > 0 {
            self.metrics.trailers_dropped.add(count);
        }
    }
}

impl Observer {
    /// Observes an instance with this many cores.
    pub fn new(workers: usize, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            metrics: Arc::new(Metrics::new(workers)),
            overload: Overload::new(workers),
            reloads: Reloads::default(),
            started: clock.now(),
            started_wall: clock.wall(),
            clock,
            workers,
            logs: Logs::default(),
            traces: Traces::default(),
            refused: Arc::new(RefusedLines::new(workers)),
            relays: Arc::new(Lines::new(workers, RELAY_LINES)),
        })
    }

    /// Gets ready for a snapshot: opens its logs, finds its counters again, connects to its
    /// collector. An error says everything that stands in the way, and then nothing has changed.
    pub(crate) fn follow(&self, snapshot: &Snapshot) -> Result<Arc<Observed>, Vec<String>> {
        let logs = self.logs.follow(snapshot)?;
        let tracing = snapshot.traces.as_ref().map(|to| self.traces.follow(to, &self.metrics));
        Ok(Arc::new(Observed {
            overload: self.overload.clone(),
            metrics: self.metrics.clone(),
            handles: self.metrics.resolve(snapshot),
            tracing: tracing.transpose().map_err(|problem| vec![problem])?,
            refused: self.refused.clone(),
            relays: self.relays.clone(),
            _logs: logs,
        }))
    }

    /// Opens log files again, as after a rotation.
    pub fn reopen_logs(&self) {
        self.logs.reopen();
    }

    /// Writes out what was logged and exports what was traced, but takes no longer than this. False
    /// if something may be left.
    pub fn flush(&self, patience: Duration) -> bool {
        let half = patience / 2;
        let traced = self.traces.flush(half);
        self.logs.flush(patience - half) && traced
    }

    /// How loaded the instance is.
    pub fn overload(&self) -> OverloadStatus {
        self.overload.status()
    }

    /// What became of the documents that were to be taken.
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// Notes that a document was taken.
    pub fn taken(&self, revision: u64) {
        self.metrics.reloads_taken.add(1);
        self.reloads.taken(revision, self.clock.wall());
    }

    /// Notes that a document was refused, and why.
    pub fn refused(&self, problems: serde_json::Value) {
        self.metrics.reloads_refused.add(1);
        self.reloads.refused(problems, self.clock.wall());
    }

    /// Cores that serve.
    pub(crate) const fn workers(&self) -> usize {
        self.workers
    }
}

impl Observed {
    /// Counts a try to connect that belongs to no exchange.
    pub(crate) fn tried(&self, tried: &TryCount) {
        self.handles.tried(tried);
    }

    /// Whether there is room for a line on a connection that was passed on; if so, how many such
    /// lines found none since the last one.
    pub(crate) fn relay_line(&self, core: usize, second: u64) -> Option<u64> {
        self.relays.room(core, second)
    }
}

/// Gives an exchange its id and its place in a trace. To be called once, before its policies;
/// `trusted` is whether its peer is one whose word is taken (the listener's `client_address`).
pub(crate) fn start(running: &Running, x: &mut Exchange, trusted: bool) {
    let sent = if trusted { x.request.headers.get(Known::XRequestId) } else { None };
    x.id = sent.and_then(RequestId::parse).unwrap_or_else(|| RequestId::new(x.wall));
    trace::begin(running.observed.tracing.as_ref(), x);
}

/// Puts the exchange's id on its response. To be called once, just before the response is sent.
pub(crate) fn mark(x: &mut Exchange) {
    if !x.id.is_unset() {
        x.response.headers.set_known(Known::XRequestId, x.id.text());
    }
}

/// One try to get an answer from an endpoint.
pub(crate) struct Try {
    /// The upstream's number.
    pub upstream: usize,
    /// The endpoint's number, as written in the document.
    pub endpoint: usize,
    /// When it began.
    pub started: Instant,
    /// Its span, where the exchange is traced.
    pub span: SpanId,
}

impl Try {
    /// A try that begins now.
    pub fn new(x: &Exchange, upstream: usize, endpoint: usize, now: Instant) -> Self {
        let span = if x.trace.sampled { SpanId::random() } else { x.trace.span };
        Self { upstream, endpoint, started: now, span }
    }

    /// The `traceparent` that tells the endpoint where in the trace it stands.
    pub fn traceparent(&self, x: &Exchange) -> [u8; 55] {
        trace::context::format(x.trace.trace, self.span, x.trace.sampled)
    }
}

/// Records a try: the status it was answered with or the code it failed with, known `now`. To be
/// called when `x.upstream` says which endpoint it was and how many tries were made.
pub(crate) fn tried(
    running: &Running,
    x: &Exchange,
    one: &Try,
    outcome: Result<Status, &'static Code>,
    now: Instant,
) {
    running.observed.handles.tried(&TryCount {
        core: x.core,
        upstream: one.upstream,
        endpoint: one.endpoint,
        outcome: outcome.map(Status::class),
        took: now.since(one.started),
        again: x.upstream.attempts > 1,
    });
    if x.trace.sampled
        && let Some(tracing) = &running.observed.tracing
    {
        tracing.record(trace::span::of_try(x, one, outcome, now));
    }
}

/// Records an exchange that is over; `ran` are the policies whose `on_request` ran.
pub(crate) fn finish<'c>(
    core: &Core,
    running: &Running,
    x: &mut Exchange,
    ran: impl DoubleEndedIterator<Item = &'c ChainStep>,
) {
    let observed = &running.observed;
    x.times.total = core.clock.now().since(x.started);
    observed.metrics.count(&observed.handles, core.number, x);
    let mut logged = false;
    for step in ran.rev() {
        guard::end(step, x);
        logged |= step.kind == ACCESS_LOG;
    }
    x.held.clear();
    if let Some(code) = x.refusal
        && !logged
    {
        observed.refused.line(core.number, x, code);
    }
    if x.trace.sampled
        && let Some(tracing) = &observed.tracing
    {
        let route = x.route.as_ref().and_then(|route| running.snapshot.routes.get(route.number));
        tracing.record(trace::span::of_exchange(x, route.map(|route| &**route)));
    }
}

/// The policy that leaves a line for every exchange.
const ACCESS_LOG: &str = "access_log";

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
