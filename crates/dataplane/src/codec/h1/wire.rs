//! A client's connection as the server and the body of its current request share it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::Instant;
use bytes::{Buf, BytesMut};
use policy::message::{BodyError, BodyStream, Frame};
use tokio::io::AsyncWrite;

use super::body::{BodyReader, read_some};
use super::head::Framing;
use super::pump::{Out, Pump, PumpError};
use crate::accept::io::Io;
use crate::buffers::{self, SMALL};
use crate::deadline::{Deadline, Timers};

/// Bytes of further requests read while one is being answered; the rest waits in the socket.
const PIPELINE_MAX: usize = 16 << 10;

/// The connection: what was read and not used yet, what waits to be written, and how far the
/// current request's body is.
pub(super) struct Wire {
    pub io: Io,
    pub input: BytesMut,
    pub reader: BodyReader,
    /// The client waits for `100 Continue` before it sends the body.
    pub expecting: bool,
    /// Guards what is waited for of the client.
    pub deadline: Deadline,
    /// Guards what the client is to take.
    write_deadline: Deadline,
    /// Time between two pieces of a body, either way.
    pub body_idle: Duration,
    /// Bytes of the current request's body received.
    pub received: u64,
    /// Interim responses being written.
    out: Vec<u8>,
    out_at: usize,
}

impl Wire {
    pub fn new(io: Io, input: BytesMut, timers: &Rc<Timers>, body_idle: Duration) -> Self {
        Self {
            io,
            input,
            reader: BodyReader::new(Framing::None),
            expecting: false,
            deadline: Deadline::new(timers),
            write_deadline: Deadline::new(timers),
            body_idle,
            received: 0,
            out: Vec::new(),
            out_at: 0,
        }
    }

    /// A request's head is to be here by then; its body may pause for `body_idle`.
    pub fn expect(&mut self, by: Instant, body_idle: Duration) {
        self.deadline.set(by);
        self.body_idle = body_idle;
    }

    /// The body of a new request begins.
    pub fn start_body(&mut self, framing: Framing, expecting: bool) {
        self.received = 0;
        self.reader = BodyReader::new(framing);
        self.expecting = expecting;
    }

    /// Reads on; 0 at the end. Holds no memory while there is nothing.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        read_some(cx, &mut self.io, &mut self.input, SMALL)
    }

    /// Ready when the client has gone. Reads further requests, up to a bound, since the end comes
    /// after them.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_out(cx).is_err() {
            return Poll::Ready(());
        }
        while self.reader.is_done() && self.input.len() < PIPELINE_MAX {
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Adds to the interim responses to be written. Those the client is too slow for are left out.
    pub fn push_interim(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.out.len() < SMALL {
            if self.out.capacity() == 0 {
                self.out = buffers::output();
            }
            write(&mut self.out);
        }
    }

    /// Writes waiting interim responses as far as the client takes them.
    pub fn poll_out(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.out_at < self.out.len() {
            let rest = self.out.get(self.out_at..).unwrap_or_default();
            match Pin::new(&mut self.io).poll_write(cx, rest)? {
                Poll::Ready(written) => self.out_at += written,
                Poll::Pending => return Ok(()),
            }
        }
        if self.out_at > 0 {
            buffers::give_output(std::mem::take(&mut self.out));
            self.out_at = 0;
            let _ = Pin::new(&mut self.io).poll_flush(cx)?;
        }
        Ok(())
    }

    /// A buffer for the response's head, behind interim responses that still wait. None follow it.
    pub fn take_out(&mut self) -> Vec<u8> {
        self.expecting = false;
        if self.out.is_empty() {
            return buffers::output();
        }
        let mut out = std::mem::take(&mut self.out);
        out.drain(..self.out_at);
        self.out_at = 0;
        out
    }

    /// What came of writing a response on; an error when the client takes nothing for too long.
    /// `before`: what it had taken before.
    pub fn judge(
        &mut self,
        cx: &mut Context<'_>,
        pump: &Pump,
        before: u64,
        done: Poll<Result<(), PumpError>>,
    ) -> Poll<Result<(), PumpError>> {
        if done.is_ready() || !pump.waits_for_peer() {
            // While it is the upstream that is waited for, its own timeout runs.
            self.write_deadline.clear();
            return done;
        }
        if pump.taken > before || !self.write_deadline.is_set() {
            self.write_deadline.set_after(self.body_idle);
        }
        ready!(self.write_deadline.poll(cx));
        Poll::Ready(Err(PumpError::Io(io::ErrorKind::TimedOut.into())))
    }

    /// The next piece of the request's body.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.expecting {
            self.expecting = false;
            self.push_interim(|out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
        if self.poll_out(cx).is_err() {
            return Poll::Ready(Some(Err(BodyError::Broken)));
        }
        let next = self.reader.poll(cx, &mut self.io, &mut self.input);
        match &next {
            Poll::Ready(Some(Ok(Frame::Data(data)))) => self.received += data.len() as u64,
            Poll::Ready(_) => {}
            Poll::Pending => {
                if !self.deadline.is_set() {
                    self.deadline.set_after(self.body_idle);
                }
                ready!(self.deadline.poll(cx));
                self.reader.break_off();
                return Poll::Ready(Some(Err(BodyError::Timeout)));
            }
        }
        self.deadline.clear();
        next
    }

    /// Reads what is left of the request's body and throws it away, up to `most` bytes; true if
    /// that was all.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<bool> {
        while !self.reader.is_done() {
            let next = ready!(self.reader.poll(cx, &mut self.io, &mut self.input));
            match next {
                Some(Ok(Frame::Data(data))) => {
                    self.received += data.len() as u64;
                    if self.received > most {
                        return Poll::Ready(false);
                    }
                }
                Some(Ok(Frame::Trailers(_))) | None => break,
                Some(Err(_)) => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }

    /// Reads and throws away until the client closes too.
    pub fn poll_linger(&mut self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        while *left > 0 {
            self.input.clear();
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => break,
                Ok(read) => *left = left.saturating_sub(read),
            }
        }
        Poll::Ready(())
    }

    /// The connection and what was read from it, given away.
    pub fn take(&mut self) -> (Io, BytesMut) {
        (self.io.take(), std::mem::take(&mut self.input))
    }

    /// Forgets `length` bytes that were used.
    pub fn consume(&mut self, length: usize) {
        self.input.advance(length.min(self.input.len()));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        buffers::give_input(std::mem::take(&mut self.input));
        buffers::give_output(std::mem::take(&mut self.out));
    }
}

impl Out for Rc<RefCell<Wire>> {
    fn with<R>(&mut self, write: impl FnOnce(&mut Io) -> R) -> R {
        write(&mut self.borrow_mut().io)
    }
}

/// The body of the request that is being served.
pub(super) struct RequestBody(pub Rc<RefCell<Wire>>);

impl BodyStream for RequestBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.0.borrow_mut().poll_body(cx)
    }

    fn remaining(&self) -> Option<u64> {
        self.0.borrow().reader.remaining()
    }
}
