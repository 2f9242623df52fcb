//! A body that is let through at a pace. It holds one piece of what it paces, no more, and asks for
//! the next when that is gone.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base::Instant;
use bytes::Bytes;
use policy::message::{Body, BodyError, BodyStream, Frame};
use policy::{Timer, Timers};

use super::flow::{Buckets, Flow, Way};
use crate::limit::keyed::{Keyed, Spot};

/// Whose bytes are counted, and how.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub table: Arc<Keyed<Buckets>>,
    /// The key's hash in it.
    pub key: u64,
    /// Most keys told apart.
    pub keys: usize,
    pub way: Way,
    pub flow: Flow,
}

/// Bytes that were taken of a bucket. Those that did not go are given back when this is dropped.
struct Taken {
    meter: Meter,
    spot: Spot,
    bytes: usize,
    at: Instant,
    gone: bool,
}

impl Meter {
    fn take(&self, now: Instant, bytes: usize) -> Option<Taken> {
        let now = now.as_nanos();
        let (at, spot) = self.table.open(self.key, self.keys, now, |buckets| {
            buckets.take(self.way, self.flow, now, bytes as u64)
        })?;
        let at = Instant::from_nanos(at);
        Some(Taken { meter: self.clone(), spot, bytes, at, gone: false })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.gone {
            let Meter { table, way, flow, .. } = &self.meter;
            let bytes = self.bytes as u64;
            table.again(self.spot, |buckets| buckets.give_back(*way, *flow, bytes));
        }
    }
}

/// A body that is let through at a pace.
pub(super) struct Paced {
    body: Body,
    meter: Meter,
    timers: Rc<dyn Timers>,
    timer: Option<Box<dyn Timer>>,
    held: Bytes,
    taken: Option<Taken>,
}

impl Paced {
    /// `body`, at the pace of `meter`. One that is known to be empty stays as it is.
    pub(super) fn pace(body: Body, meter: Meter, timers: &Rc<dyn Timers>) -> Body {
        if body.is_empty() {
            return body;
        }
        let (timers, held) = (timers.clone(), Bytes::new());
        Body::Stream(Box::new(Self { body, meter, timers, timer: None, held, taken: None }))
    }

    /// Ready when what was taken may go.
    fn poll_moment(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        if self.timers.now() >= at {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| self.timers.clone().timer(at));
        timer.set(at);
        timer.poll(cx)
    }
}

impl BodyStream for Paced {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.held.is_empty() {
            match ready!(self.body.poll_frame(cx)) {
                Some(Ok(Frame::Data(data))) => self.held = data,
                other => return Poll::Ready(other),
            }
        }
        if self.taken.is_none() {
            let bytes = self.held.len().min(self.meter.flow.piece());
            self.taken = self.meter.take(self.timers.now(), bytes);
        }
        let Some(at) = self.taken.as_ref().map(|taken| taken.at) else {
            return Poll::Ready(Some(Err(BodyError::Broken)));
        };
        ready!(self.poll_moment(cx, at));
        let bytes = self.taken.take().map_or(0, |mut taken| {
            taken.gone = true;
            taken.bytes
        });
        Poll::Ready(Some(Ok(Frame::Data(self.held.split_to(bytes.min(self.held.len()))))))
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.body.remaining()?.saturating_add(self.held.len() as u64))
    }
}

#[cfg(test)]
mod tests;
