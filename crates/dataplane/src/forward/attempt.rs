//! One try: a connection, the request, the head of the response, and the timers that run meanwhile.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use base::Instant;
use policy::Exchange;
use snapshot::{Retry, Timeouts};

use super::acquire::{Acquired, Need, Speech, acquire};
use super::breaker::Pass;
use super::compose::Composed;
use super::failure::Failure;
use super::replay::{Progress, Replay};
use super::timing::{Timer, Timing};
use super::upstream::{Lane, Upstream};
use crate::codec::{Interim, Sent, grpc};
use crate::core::{Core, Running};
use crate::deadline::Deadline;

/// What every try of an exchange has in common.
pub(crate) struct Call<'c> {
    /// The core it runs on.
    pub core: &'c Core,
    /// What it runs by.
    pub running: &'c Running,
    /// Where it goes.
    pub upstream: &'c Rc<Upstream>,
    /// How long it waits for what.
    pub timeouts: Timeouts,
    /// What is tried again.
    pub retry: &'c Retry,
    /// The request.
    pub composed: &'c mut Composed,
    /// Its body.
    pub body: Replay,
    /// When the exchange is over.
    pub ends: Ends,
    /// Leave to send it; how it ends is told to the breaker.
    pub pass: Pass<'c>,
    /// Interim responses go here.
    pub interim: &'c Interim,
}

/// When an exchange is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// By when; none where it may go on for ever.
    pub by: Option<Instant>,
    /// Whether the caller asks for it, by a deadline of its own that comes before ours.
    pub asked: bool,
}

impl Ends {
    /// By the timeouts of the route and what the caller asks for.
    pub fn new(timeouts: &Timeouts, x: &Exchange, now: Instant) -> Self {
        let total = timeouts.total.map(|total| x.started.after(total));
        let left = grpc::time_left(&x.request.headers, now.since(x.started));
        let asked = left.map(|left| now.after(left));
        Self {
            by: [total, asked].into_iter().flatten().min(),
            asked: asked.is_some_and(|asked| total.is_none_or(|total| asked < total)),
        }
    }
}

/// A request that an endpoint works on.
pub(crate) struct Busy(Rc<Lane>);

impl Busy {
    /// One more.
    pub fn new(lane: Rc<Lane>) -> Self {
        lane.endpoint.active.fetch_add(1, Relaxed);
        Self(lane)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.endpoint.active.fetch_sub(1, Relaxed);
        self.0.pool.ended();
    }
}

impl Call<'_> {
    /// Sends the request by `lane` and reads the head of the response into `x`. The try began at
    /// `started`.
    pub async fn attempt(
        &mut self,
        lane: &Lane,
        fresh: bool,
        started: Instant,
        x: &mut Exchange,
    ) -> Result<Sent, Failure> {
        let protocol = self.upstream.config().protocol;
        let scheme = lane.endpoint.key.scheme.of_requests();
        let (grpc, upgrade) = (x.request.is_grpc(), x.request.upgrade.is_some());
        let need = Need {
            speech: Speech::of(grpc, upgrade, protocol, scheme),
            fresh,
            connect: self.timeouts.connect,
            total_by: self.ends.by,
        };
        let Acquired { connection, reused, took } =
            acquire(self.core, self.upstream, lane, need, started).await?;
        x.upstream.reused = reused;
        x.times.connect = took;
        let begun = started.after(took);
        let timing = Timing {
            first_byte: self.timeouts.first_byte,
            idle: self.timeouts.idle,
            try_by: self.retry.per_try.map(|per_try| started.after(per_try)),
            total_by: self.ends.by,
        };
        let outgoing = self.composed.outgoing(&lane.endpoint);
        let body = self.body.body();
        let mut sending = pin!(connection.send(&outgoing, body, self.interim, &mut x.response));
        let mut deadline = Deadline::new(&self.core.timers);
        let sent = poll_fn(|cx| {
            if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
                return Poll::Ready(Ok(sent));
            }
            let Some((at, timer)) = timing.due(self.body.progress(begun)) else {
                return Poll::Pending;
            };
            deadline.set(at);
            deadline.poll(cx).map(|()| Err(timer))
        });
        match sent.await {
            Ok(sent) => {
                x.times.first_byte = self.core.timers.now().since(begun);
                sent.map_err(|error| {
                    let mut failure = Failure::from(error);
                    failure.note = format!("{}: {}", lane.endpoint.label, failure.note).into();
                    failure
                })
            }
            Err(timer) => {
                let note = format!("{}: {} passed", lane.endpoint.label, timer.setting());
                Err(Failure::late(timer, self.is_blameless(timer, begun), note))
            }
        }
    }

    /// Whether it is no fault of the endpoint that `timer` fired: the caller still had to send, or
    /// would not wait for longer itself. Else callers could have endpoints ejected.
    fn is_blameless(&self, timer: Timer, begun: Instant) -> bool {
        let sending = matches!(self.body.progress(begun), Progress::Client);
        sending || (timer == Timer::Total && self.ends.asked)
    }
}
