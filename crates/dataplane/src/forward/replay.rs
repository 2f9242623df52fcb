//! A request's body that can be sent more than once. What goes to the endpoint is kept beside it,
//! up to a bound; what is longer can be sent only as long as nothing of it has been lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll};

use base::Instant;
use bytes::Bytes;
use policy::message::{Body, BodyError, BodyStream, Frame, Headers};

use crate::core::Core;
use crate::deadline::Timers;

/// A request's body, for as many tries as it takes.
pub(crate) enum Replay {
    /// None.
    Empty,
    /// All of it is here.
    Full(Bytes),
    /// It is still coming.
    Stream(Rc<RefCell<Source>>),
}

/// How far the sending of a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The client has to send more.
    Client,
    /// The endpoint has to take what it was given at this time.
    Endpoint(Instant),
    /// All was given away at this time.
    Done(Instant),
}

/// A body that is still coming.
pub(crate) struct Source {
    body: Body,
    timers: Rc<Timers>,
    progress: Progress,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    kept_max: usize,
    trailers: Option<Headers>,
    ended: bool,
    lost: bool,
    /// Which try the body is for; earlier ones get nothing more.
    current: u32,
    watcher: Option<Box<dyn Watcher>>,
    /// Which trailers go on; all of them without.
    gate: Option<Gate>,
}

/// Lets through the trailers that a client may send.
struct Gate {
    core: Rc<Core>,
    grpc: bool,
}

/// Someone who wants a copy of a body, without ever slowing it down.
pub(crate) trait Watcher {
    /// The whole body has passed. Not called for one that was too long to keep or broke off.
    fn whole(self: Box<Self>, pieces: &[Bytes]);
}

impl Replay {
    /// A body of which `kept_max` bytes are kept.
    pub fn new(body: Body, kept_max: usize, timers: &Rc<Timers>) -> Self {
        match body {
            Body::Empty => Self::Empty,
            Body::Full(bytes) => Self::Full(bytes),
            stream @ Body::Stream(_) => Self::Stream(Rc::new(RefCell::new(Source {
                body: stream,
                timers: timers.clone(),
                progress: Progress::Client,
                kept: Vec::new(),
                kept_bytes: 0,
                kept_max,
                trailers: None,
                ended: false,
                lost: false,
                current: 0,
                watcher: None,
                gate: None,
            }))),
        }
    }

    /// Holds back the trailers that a client may not send; only a `grpc` call's may be any.
    pub fn guarded(self, core: &Rc<Core>, grpc: bool) -> Self {
        if let Self::Stream(source) = &self {
            source.borrow_mut().gate = Some(Gate { core: core.clone(), grpc });
        }
        self
    }

    /// The body for the next try, from its start. Only where [`Replay::is_whole`].
    pub fn body(&self) -> Body {
        match self {
            Self::Empty => Body::Empty,
            Self::Full(bytes) => Body::Full(bytes.clone()),
            Self::Stream(source) => {
                let mut inner = source.borrow_mut();
                inner.current += 1;
                let unsent: VecDeque<Bytes> = inner.kept.iter().cloned().collect();
                let number = inner.current;
                let trailers = inner.trailers.clone();
                Body::Stream(Box::new(Sending { source: source.clone(), number, unsent, trailers }))
            }
        }
    }

    /// Whether nothing of the body is lost, so that it can be sent from its start.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Empty | Self::Full(_) => true,
            Self::Stream(source) => !source.borrow().lost,
        }
    }

    /// How far its sending has come; a body that is all here was given away at `started`.
    pub fn progress(&self, started: Instant) -> Progress {
        match self {
            Self::Empty | Self::Full(_) => Progress::Done(started),
            Self::Stream(source) => source.borrow().progress,
        }
    }

    /// There will be no other try: nothing needs to be kept.
    pub fn settle(&self) {
        if let Self::Stream(source) = self {
            source.borrow_mut().settle();
        }
    }
}

impl Gate {
    /// Whether any of the trailers go on. Takes out the others.
    fn admits(&self, trailers: &mut Headers) -> bool {
        let running = self.core.running();
        let dropped = running.fields(false, None).admit_trailers(trailers, self.grpc);
        running.observed.trailers_dropped(dropped);
        !trailers.is_empty()
    }
}

impl Source {
    /// Lets `watcher` have the body once all of it has passed.
    pub fn watch(&mut self, watcher: Box<dyn Watcher>) {
        self.watcher = Some(watcher);
    }

    fn settle(&mut self) {
        if self.watcher.is_none() {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.kept = Vec::new();
        self.lost = true;
        self.watcher = None;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut frame = self.body.poll_frame(cx);
        if let Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) = &mut frame
            && let Some(gate) = &self.gate
            && !gate.admits(trailers)
        {
            frame = Poll::Ready(None);
        }
        match &frame {
            Poll::Pending => self.progress = Progress::Client,
            Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                self.progress = Progress::Endpoint(self.timers.now());
                self.keep(data);
                // Who knows the length does not ask for the end.
                if self.body.is_empty() {
                    self.passed();
                }
            }
            Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => {
                self.trailers = Some(trailers.clone());
                self.ended = true;
                self.passed();
            }
            Poll::Ready(None) => {
                self.ended = true;
                self.passed();
            }
            Poll::Ready(Some(Err(_))) => self.lose(),
        }
        frame
    }

    fn keep(&mut self, data: &Bytes) {
        if self.lost {
            return;
        }
        self.kept_bytes = self.kept_bytes.saturating_add(data.len());
        if self.kept_bytes > self.kept_max {
            return self.lose();
        }
        self.kept.push(data.clone());
    }

    /// The last byte was given away.
    fn passed(&mut self) {
        self.progress = Progress::Done(self.timers.now());
        if let Some(watcher) = self.watcher.take() {
            watcher.whole(&self.kept);
        }
    }
}

/// The body of one try.
struct Sending {
    source: Rc<RefCell<Source>>,
    number: u32,
    /// What earlier tries read, to be sent again first.
    unsent: VecDeque<Bytes>,
    trailers: Option<Headers>,
}

impl BodyStream for Sending {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut source = self.source.borrow_mut();
        if source.current != self.number {
            return Poll::Ready(Some(Err(BodyError::Broken)));
        }
        if let Some(again) = self.unsent.pop_front() {
            let now = source.timers.now();
            let last = self.unsent.is_empty() && source.body.is_empty();
            source.progress = if last { Progress::Done(now) } else { Progress::Endpoint(now) };
            return Poll::Ready(Some(Ok(Frame::Data(again))));
        }
        if let Some(trailers) = self.trailers.take() {
            source.progress = Progress::Done(source.timers.now());
            return Poll::Ready(Some(Ok(Frame::Trailers(trailers))));
        }
        if source.ended {
            source.progress = Progress::Done(source.timers.now());
        }
        source.poll(cx)
    }

    fn remaining(&self) -> Option<u64> {
        let unsent: u64 = self.unsent.iter().map(|piece| piece.len() as u64).sum();
        let source = self.source.borrow();
        let rest = if source.ended { 0 } else { source.body.remaining()? };
        Some(unsent + rest)
    }
}
