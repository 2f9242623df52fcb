//! Traces: W3C Trace Context in and out, spans to a collector by OTLP/HTTP.
//!
//! A caller's decision to sample is kept; where it made none, a share of requests is traced. What
//! is not sampled costs its ids and nothing else.

pub(crate) mod context;
#[cfg(test)]
mod decoded;
mod export;
mod otlp;
mod protobuf;
pub(crate) mod span;

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use base::{SpanId, TraceId};
use policy::message::Known;
use policy::{Exchange, TraceContext};
use tokio::sync::mpsc::{Sender, channel};

use super::metrics::Metrics;
use export::{Collector, Message};
use span::Span;

/// Spans that wait for the collector at most; more are dropped and counted.
const QUEUE: usize = 4_096;

/// Wait before another look at a full queue.
const FULL: Duration = Duration::from_millis(10);

/// The exporters of an instance.
#[derive(Default)]
pub(crate) struct Traces {
    current: Mutex<Option<Exporter>>,
}

/// An exporter that runs, and what it was started with.
struct Exporter {
    otlp: String,
    service: String,
    queue: Sender<Message>,
}

/// How the exchanges of one snapshot are traced.
pub(crate) struct Tracing {
    /// Trace ids whose lower 63 bits are below this are sampled.
    threshold: u64,
    queue: Sender<Message>,
    metrics: Arc<Metrics>,
}

impl Traces {
    /// How a snapshot's exchanges are traced. The exporter stays the same where collector and
    /// service do.
    pub fn follow(
        &self,
        traces: &snapshot::Traces,
        metrics: &Arc<Metrics>,
    ) -> Result<Tracing, String> {
        let tracing = |queue| Tracing {
            threshold: threshold(traces.sample),
            queue,
            metrics: metrics.clone(),
        };
        let collector = Collector::new(&traces.otlp)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |running: &&Exporter| running.otlp == traces.otlp && running.service == traces.service;
        if let Some(running) = current.as_ref().filter(same) {
            return Ok(tracing(running.queue.clone()));
        }
        let (queue, received) = channel(QUEUE);
        let exporter = export::run(received, collector, traces.service.clone(), metrics.clone());
        start(exporter).map_err(|error| format!("the exporter of traces can't start: {error}"))?;
        let (otlp, service) = (traces.otlp.clone(), traces.service.clone());
        *current = Some(Exporter { otlp, service, queue: queue.clone() });
        Ok(tracing(queue))
    }

    /// Waits until what was recorded before is exported, but no longer than this.
    pub fn flush(&self, patience: Duration) -> bool {
        let queue = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.as_ref().map(|running| running.queue.clone())
        };
        let Some(queue) = queue else { return true };
        let until = Instant::now() + patience;
        let (done, wait) = sync_channel(1);
        while queue.try_send(Message::Flush(done.clone())).is_err() {
            // The queue is full. It empties, unless the collector hangs.
            if Instant::now() >= until || queue.is_closed() {
                return false;
            }
            thread::sleep(FULL);
        }
        wait.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// Runs an exporter on a thread of its own, until nobody can send to it any more.
fn start(exporter: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = thread::Builder::new().name("gateward-spans".into());
    thread.spawn(move || runtime.block_on(exporter)).map(drop)
}

impl Tracing {
    /// Hands a span over; drops it where too many wait.
    pub fn record(&self, span: Span) {
        if self.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.metrics.spans_dropped.add(1);
        }
    }
}

/// The share of traces as a bound for 63 bits of their ids, the same for every service that samples
/// by id.
fn threshold(share: f64) -> u64 {
    const ALL: f64 = (1_u64 << 63) as f64;
    (share.clamp(0.0, 1.0) * ALL) as u64
}

/// Reads an exchange's place in a trace from its request, or gives it one where `tracing` is on. A
/// `tracestate` without a valid `traceparent`, or that is malformed itself, is removed (W3C Trace
/// Context §3.3.1).
pub(crate) fn begin(tracing: Option<&Tracing>, x: &mut Exchange) {
    let headers = &mut x.request.headers;
    let parent = context::parent(headers);
    let Some(tracing) = tracing else {
        if let Some(parent) = parent {
            x.trace = TraceContext { trace: parent.trace, parent: parent.span, ..x.trace };
        }
        return;
    };
    if headers.has(Known::TraceState)
        && (parent.is_none() || !context::is_state(headers.all(Known::TraceState)))
    {
        headers.remove(Known::TraceState);
    }
    let span = SpanId::random();
    x.trace = match parent {
        Some(parent) => {
            TraceContext { trace: parent.trace, parent: parent.span, span, sampled: parent.sampled }
        }
        None => {
            let trace = TraceId::random();
            let sampled = (trace.0 as u64 >> 1) < tracing.threshold;
            TraceContext { trace, parent: SpanId::default(), span, sampled }
        }
    };
}

#[cfg(test)]
mod tests;
