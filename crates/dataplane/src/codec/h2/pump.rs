//! A body as it goes by a stream.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use policy::message::{Body, BodyError, Frame};

use super::fields;
use super::pieces::Pieces;
use crate::deadline::{Deadline, Timers};
use crate::patience::Patience;

/// Carries a body into a stream, no faster than the peer lets it. The last piece carries the end of
/// the stream, so that a short answer is one write.
pub(super) struct Pump {
    body: Body,
    stream: SendStream<Bytes>,
    /// Taken from the body, not yet sent.
    held: Bytes,
    /// Bytes sent.
    sent: u64,
    /// What counts large pieces, where that has a bound.
    pieces: Option<Pieces>,
    /// Bytes a second the peer must take; 0: any.
    rate: u64,
    patience: Patience,
    timers: Rc<Timers>,
    deadline: Deadline,
}

/// Why a body could not be sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PumpFault {
    /// The peer reset the stream, or the connection broke.
    Gone,
    /// The peer took nothing for too long.
    Stalled,
    /// The body itself broke off.
    Body(BodyError),
}

impl Pump {
    /// `body` into `stream`. A peer that takes nothing for `idle`, or less than [`RATE_MIN`] all
    /// that time, is given up.
    pub fn new(body: Body, stream: SendStream<Bytes>, timers: &Rc<Timers>, idle: Duration) -> Self {
        Self {
            body,
            stream,
            held: Bytes::new(),
            sent: 0,
            pieces: None,
            rate: 0,
            patience: Patience::new(idle),
            timers: timers.clone(),
            deadline: Deadline::new(timers),
        }
    }

    /// Takes no more large pieces than these have room for.
    pub fn counted(mut self, pieces: Pieces) -> Self {
        self.pieces = Some(pieces);
        self
    }

    /// The peer must take this many bytes a second, while it is waited for; 0: any.
    pub fn paced(self, rate: u64) -> Self {
        Self { rate, ..self }
    }

    /// Bytes sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Resets the stream, so that the peer takes what it got for what it is: not all.
    pub fn reset(&mut self, reason: Reason) {
        self.body = Body::Empty;
        self.stream.send_reset(reason);
    }

    /// Ready when the body was sent to its end, or can't be.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpFault>> {
        loop {
            if self.held.is_empty() {
                match self.poll_body(cx) {
                    Poll::Ready(frame) => {
                        if self.take(frame)? {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Poll::Pending => {
                        // It is not the peer who is waited for.
                        self.deadline.clear();
                        ready!(self.stream.poll_reset(cx)).ok();
                        return Poll::Ready(Err(PumpFault::Gone));
                    }
                }
                continue;
            }
            let room = ready!(self.poll_room(cx))?;
            let piece = self.held.split_to(room.min(self.held.len()));
            if !self.held.is_empty() {
                self.send(piece, false)?;
                continue;
            }
            // Whether this piece is the last one is known only by asking for the next.
            match self.poll_body(cx) {
                Poll::Ready(None) => return Poll::Ready(self.send(piece, true)),
                Poll::Ready(frame) => {
                    self.send(piece, false)?;
                    if self.take(frame)? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Pending => self.send(piece, false)?,
            }
        }
    }

    /// The next piece of the body, if there is room for it.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(pieces) = &self.pieces {
            ready!(pieces.poll_room(cx));
        }
        self.body.poll_frame(cx)
    }

    /// Takes what the body gave; true at its end.
    fn take(&mut self, frame: Option<Result<Frame, BodyError>>) -> Result<bool, PumpFault> {
        match frame {
            Some(Ok(Frame::Data(bytes))) => {
                self.held = match &self.pieces {
                    Some(pieces) => pieces.count(bytes),
                    None => bytes,
                };
                Ok(false)
            }
            Some(Ok(Frame::Trailers(trailers))) => {
                let trailers = fields::write_trailers(&trailers);
                self.stream.send_trailers(trailers).map_err(|_| PumpFault::Gone)?;
                Ok(true)
            }
            Some(Err(error)) => Err(PumpFault::Body(error)),
            None => self.send(Bytes::new(), true).map(|()| true),
        }
    }

    fn send(&mut self, piece: Bytes, end: bool) -> Result<(), PumpFault> {
        self.sent += piece.len() as u64;
        self.patience.moved(piece.len() as u64, self.rate, || self.timers.now());
        self.stream.send_data(piece, end).map_err(|_| PumpFault::Gone)
    }

    /// Bytes the peer lets us send now, at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, PumpFault>> {
        self.stream.reserve_capacity(self.held.len());
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                self.deadline.clear();
                return Poll::Ready(Ok(room));
            }
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(PumpFault::Gone)),
                Poll::Pending => {
                    self.deadline.set(self.patience.ends(self.timers.now()));
                    ready!(self.deadline.poll(cx));
                    return Poll::Ready(Err(PumpFault::Stalled));
                }
            }
        }
    }
}
