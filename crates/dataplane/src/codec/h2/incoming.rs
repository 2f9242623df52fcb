//! A body as it comes by a stream.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use policy::message::{BodyError, BodyStream, Frame};

use super::fields;
use crate::deadline::{Deadline, Timers};
use crate::patience::Patience;

/// Bytes of a piece that is passed on by itself.
const GATHER_BELOW: usize = 256;

/// Bytes that small pieces are gathered to.
const GATHER_MAX: usize = 8 << 10;

/// A body as it comes by a stream. The peer may send more as pieces are taken; that is the
/// backpressure. The h2 crate holds it to its `Content-Length`: one byte more or less and it is
/// broken (RFC 9113 §8.1.1).
///
/// `K` is what lives as long as the body: a place on the connection, a task that sends the other
/// direction.
pub(super) struct Incoming<K> {
    stream: RecvStream,
    first: Option<Bytes>,
    left: Option<u64>,
    ended: bool,
    patience: Patience,
    timers: Rc<Timers>,
    deadline: Deadline,
    watch: Option<Rc<Watch>>,
    keep: Option<K>,
}

/// What the other half of a stream wants to know about its body.
#[derive(Default)]
pub(super) struct Watch {
    received: Cell<u64>,
    rate: Cell<u64>,
    wanted: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Watch {
    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// The body must come at this many bytes a second, while it is waited for; 0: any.
    pub fn keep_pace(&self, rate: u64) {
        self.rate.set(rate);
    }

    /// Ready once somebody has asked for the body.
    pub fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        if self.wanted.get() {
            return Poll::Ready(());
        }
        self.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn want(&self) {
        if !self.wanted.replace(true)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

impl<K> Incoming<K> {
    /// What comes by `stream`, `length` bytes where that is known, with no pause longer than
    /// `idle`.
    pub fn new(
        stream: RecvStream,
        length: Option<u64>,
        timers: &Rc<Timers>,
        idle: Duration,
    ) -> Self {
        Self {
            stream,
            first: None,
            left: length,
            ended: false,
            patience: Patience::new(idle),
            timers: timers.clone(),
            deadline: Deadline::new(timers),
            watch: None,
            keep: None,
        }
    }

    /// Tells `watch` what happens.
    pub fn watched(mut self, watch: Rc<Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Keeps `keep` until the end.
    pub fn keeping(mut self, keep: K) -> Self {
        self.keep = Some(keep);
        self
    }

    /// The whole body, if it has come in one piece already. Else that piece will be the first.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(Ok(bytes))) = self.stream.poll_data(&mut cx) else { return None };
        self.release(&bytes);
        if self.stream.is_end_stream() {
            self.count(&bytes);
            return Some(bytes);
        }
        self.first = Some(bytes);
        None
    }

    /// Lets the peer send as much again.
    fn release(&mut self, bytes: &Bytes) {
        // Fails only for more than was received.
        let _ = self.stream.flow_control().release_capacity(bytes.len());
    }

    fn count(&self, bytes: &Bytes) {
        if let Some(watch) = &self.watch {
            watch.received.set(watch.received.get() + bytes.len() as u64);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.left = Some(0);
        self.deadline.clear();
        self.keep = None;
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame, BodyError>>> {
        self.end();
        Poll::Ready(Some(Err(error)))
    }

    fn take(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame, BodyError>>> {
        self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
        self.deadline.clear();
        let rate = self.watch.as_ref().map_or(0, |watch| watch.rate.get());
        self.patience.moved(bytes.len() as u64, rate, || self.timers.now());
        self.count(&bytes);
        Poll::Ready(Some(Ok(Frame::Data(bytes))))
    }

    /// Adds to a small piece what has come behind it: pieces of a byte each would cost their
    /// framing on every way they take from here.
    fn gather(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        if first.len() >= GATHER_BELOW || self.stream.is_end_stream() {
            return first;
        }
        let mut all = BytesMut::new();
        while all.len() < GATHER_MAX
            && let Poll::Ready(Some(Ok(next))) = self.stream.poll_data(cx)
        {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&next);
        }
        if all.is_empty() { first } else { all.freeze() }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(bytes) = self.first.take().filter(|bytes| !bytes.is_empty()) {
            return self.take(bytes);
        }
        loop {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    let bytes = self.gather(bytes, cx);
                    self.release(&bytes);
                    return self.take(bytes);
                }
                Some(Err(_)) => return self.fail(BodyError::Broken),
                None => break,
            }
        }
        let trailers = match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => trailers,
            Err(_) => return self.fail(BodyError::Broken),
        };
        self.end();
        let trailers = trailers.as_ref().map(fields::read_trailers);
        let trailers = trailers.filter(|trailers| !trailers.is_empty());
        Poll::Ready(trailers.map(|trailers| Ok(Frame::Trailers(trailers))))
    }
}

impl<K> BodyStream for Incoming<K> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(watch) = &self.watch {
            watch.want();
        }
        if let Poll::Ready(frame) = self.poll_stream(cx) {
            return Poll::Ready(frame);
        }
        self.deadline.set(self.patience.ends(self.timers.now()));
        ready!(self.deadline.poll(cx));
        self.fail(BodyError::Timeout)
    }

    fn remaining(&self) -> Option<u64> {
        self.left
    }
}
