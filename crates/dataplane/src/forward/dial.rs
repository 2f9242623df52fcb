//! A connection to an upstream for bytes alone. Until one stands nothing was sent: any endpoint may
//! be tried next.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use base::Instant;
use config::v1::RetryOn;
use policy::{Refusal, codes};
use smallvec::SmallVec;
use snapshot::{Balance, Split};

use super::acquire;
use super::attempt::Busy;
use super::bulkhead::{Count, Place};
use super::failure::Failure;
use super::outlier::Verdict;
use super::upstream::{Lane, Upstream};
use super::{choose, hashed, rules};
use crate::accept::io::Io;
use crate::codec::Permit;
use crate::core::{Core, Running};
use crate::deadline::Deadline;
use crate::observe;

/// A connection to an endpoint, and what it takes until it is dropped.
pub(crate) struct Dialed {
    /// The stream.
    pub io: Io,
    _held: (Place<Upstream>, Busy, Permit),
}

/// Where a connection was to go, for operators.
#[derive(Default)]
pub(crate) struct Way {
    /// The upstream.
    pub upstream: Option<Arc<str>>,
    /// The endpoint tried last.
    pub endpoint: Option<Arc<str>>,
    /// Tries.
    pub tries: u32,
}

/// Connects to an endpoint of `split` for a client at `client`, and notes in `way` which. Dropped
/// half-way, it leaves nothing behind.
pub(crate) async fn dial(
    core: &Core,
    running: &Running,
    split: &Split,
    client: Option<IpAddr>,
    way: &mut Way,
) -> Result<Dialed, Refusal> {
    let part = split.pick(fastrand::u64(..));
    let Some(upstream) = running.upstreams.get(part.upstream) else {
        return Err(Refusal::new(&codes::INTERNAL_ERROR).note("the listener's upstream is unknown"));
    };
    let config = upstream.config();
    way.upstream = Some(config.name.clone());
    let most = config.breaker.running;
    let Some(place) = Place::take(upstream, Count::Running, most) else {
        let note = format!("{}: {most} connections run (breaker.running)", config.name);
        return Err(Refusal::new(&codes::UPSTREAM_OVERLOADED).note(note));
    };
    upstream.shared().state.budget.request(core.timers.now());
    let hashes = !matches!(config.balance, Balance::By(_));
    let hash = client.filter(|_| hashes).map(hashed::of_address);
    let dialing = Dialing { core, running, upstream, hash };
    let mut failed: SmallVec<[u64; 4]> = SmallVec::new();
    loop {
        let now = core.timers.now();
        let lane = dialing.lane(&failed, now).await?;
        way.tries += 1;
        way.endpoint = Some(lane.endpoint.label.clone());
        let busy = Busy::new(lane.clone());
        match acquire::raw(core, upstream, &lane, now).await {
            Ok((io, permit)) => {
                let now = core.timers.now();
                upstream.judge(&lane.endpoint, Verdict::Answered, now);
                return Ok(Dialed { io, _held: (place, busy, permit) });
            }
            Err(failure) => {
                drop(busy);
                dialing.failed(&lane, &failure, way.tries, now);
                if !dialing.again(&failure, way.tries).await {
                    return Err(failure.refusal());
                }
                failed.push(lane.endpoint.id);
            }
        }
    }
}

/// What every try of a connection has in common.
struct Dialing<'d> {
    core: &'d Core,
    running: &'d Running,
    upstream: &'d Rc<Upstream>,
    hash: Option<u64>,
}

impl Dialing<'_> {
    /// A lane to an endpoint, another one than those that failed if there is one.
    async fn lane(&self, failed: &[u64], now: Instant) -> Result<Rc<Lane>, Refusal> {
        if let Some(lane) = self.upstream.pick(self.hash, failed, now) {
            return Ok(lane);
        }
        let by = now.after(self.upstream.config().timeouts.connect);
        choose::later(self.core, self.upstream, self.hash, failed, by).await
    }

    /// Counts a try that failed, begun at `began`; against the endpoint where it is its fault.
    fn failed(&self, lane: &Lane, failure: &Failure, tries: u32, began: Instant) {
        let now = self.core.timers.now();
        let tried = observe::metrics::TryCount {
            core: self.core.number,
            upstream: self.upstream.config().number,
            endpoint: lane.endpoint.written.load(Relaxed),
            outcome: Err(failure.code),
            took: now.since(began),
            again: tries > 1,
        };
        self.running.observed.tried(&tried);
        if failure.endpoint {
            lane.endpoint.failed(&failure.note);
            self.upstream.judge(&lane.endpoint, Verdict::NoAnswer, now);
        }
    }

    /// Whether there is another try, now: the rules of requests hold, nothing having been sent.
    async fn again(&self, failure: &Failure, tries: u32) -> bool {
        let retry = &self.upstream.config().retry;
        let may = failure.kind == Some(RetryOn::ConnectFailure)
            && retry.causes.contains(&RetryOn::ConnectFailure)
            && tries <= retry.attempts;
        let budget = &self.upstream.shared().state.budget;
        let now = self.core.timers.now();
        if !may || !budget.retry(now, retry.budget_percent, retry.budget_floor) {
            return false;
        }
        let wait = rules::backoff(retry, tries, &mut self.upstream.rng());
        Deadline::after(&self.core.timers, wait).passed().await;
        true
    }
}
