//! The body of a response as it streams: the endpoint may not pause for too long, and what the
//! exchange takes (its place among the running, its count on the endpoint) is held until the body
//! ends.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{Clock, Instant};
use policy::message::{BodyError, BodyStream, Frame};

use super::attempt::Busy;
use super::outlier::Verdict;
use super::upstream::{Lane, Running, Upstream};
use crate::deadline::Deadline;

/// How long an endpoint may take over a body.
pub(super) struct Watch {
    /// Between two pieces.
    pub idle: Duration,
    /// When the exchange is over.
    pub total_by: Option<Instant>,
    /// The time.
    pub clock: Clock,
    /// Waits.
    pub deadline: Deadline,
}

/// A response's body under watch.
pub(super) struct Guarded {
    stream: Box<dyn BodyStream>,
    watch: Watch,
    /// Whether the endpoint has been asked for a piece and the timer runs.
    asked: bool,
    upstream: Rc<Upstream>,
    lane: Rc<Lane>,
    held: Option<(Running, Busy)>,
}

impl Guarded {
    /// Watches over `stream`, from the endpoint of `lane`.
    pub fn new(
        stream: Box<dyn BodyStream>,
        watch: Watch,
        upstream: Rc<Upstream>,
        lane: Rc<Lane>,
        held: (Running, Busy),
    ) -> Self {
        Self { stream, watch, asked: false, upstream, lane, held: Some(held) }
    }

    /// The endpoint did not send the body to its end.
    fn fail(&mut self, what: &str) {
        let endpoint = &self.lane.endpoint;
        endpoint.failed(&format!("{}: {what}", endpoint.label));
        self.upstream.judge(endpoint, Verdict::NoAnswer, self.watch.clock.now());
        self.held = None;
    }

    /// The time of the exchange is over. Nobody is blamed: it may be the caller who reads slowly.
    fn end(&mut self) {
        let endpoint = &self.lane.endpoint;
        endpoint.failed(&format!("{}: timeouts.total passed within the body", endpoint.label));
        self.held = None;
    }
}

impl BodyStream for Guarded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self.stream.poll_frame(cx) {
            Poll::Ready(frame) => {
                self.asked = false;
                match &frame {
                    Some(Ok(Frame::Data(_))) => {}
                    Some(Ok(Frame::Trailers(_))) | None => self.held = None,
                    Some(Err(_)) => self.fail("the body broke off"),
                }
                return Poll::Ready(frame);
            }
            // A body that ended or failed is not asked again.
            Poll::Pending if self.held.is_none() => return Poll::Ready(None),
            Poll::Pending => {}
        }
        let watch = &mut self.watch;
        if !self.asked {
            self.asked = true;
            let idle_by = watch.clock.now().after(watch.idle);
            watch.deadline.set(watch.total_by.map_or(idle_by, |total| total.min(idle_by)));
        }
        if watch.deadline.poll(cx).is_pending() {
            return Poll::Pending;
        }
        if watch.total_by.is_some_and(|by| watch.clock.now() >= by) {
            self.end();
        } else {
            self.fail("timeouts.idle passed within the body");
        }
        Poll::Ready(Some(Err(BodyError::Timeout)))
    }

    fn remaining(&self) -> Option<u64> {
        self.stream.remaining()
    }
}
