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
use crate::patience::Patience;

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
    /// With what the client is to send, and to take.
    sends: Patience,
    takes: Patience,
    /// What the kernel held for the client when it was last looked at.
    queued: u64,
    /// How long it lasts for a body, either way.
    body_idle: Duration,
    /// Bytes a second of a body, either way; 0: any.
    pub rate: u64,
    timers: Rc<Timers>,
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
            sends: Patience::new(body_idle),
            takes: Patience::new(body_idle),
            queued: 0,
            body_idle,
            rate: 0,
            timers: timers.clone(),
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
        self.sends = Patience::new(self.body_idle);
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
        self.takes = Patience::new(self.body_idle);
        self.expecting = false;
        if self.out.is_empty() {
            return buffers::output();
        }
        let mut out = std::mem::take(&mut self.out);
        out.drain(..self.out_at);
        self.out_at = 0;
        out
    }

    /// What came of writing a response on; an error when the client takes nothing for too long, or
    /// leaves while there is nothing for it to take. `before`: what it had taken before.
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
            self.takes.rest(|| self.timers.now());
            if done.is_pending() && self.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(PumpError::Io(io::ErrorKind::ConnectionAborted.into())));
            }
            return done;
        }
        if pump.taken > before {
            self.takes.moved(pump.taken - before, self.rate, || self.timers.now());
        }
        if !self.takes.is_waiting() {
            self.queued = self.io.queued();
        }
        loop {
            self.write_deadline.set(self.takes.ends(self.timers.now()));
            ready!(self.write_deadline.poll(cx));
            if !self.has_handed_on() {
                return Poll::Ready(Err(PumpError::Io(io::ErrorKind::TimedOut.into())));
            }
        }
    }

    /// Whether the kernel could hand on to the client what it still held, at the least rate. Its
    /// buffer may hold more than a slow but honest client takes in a minute.
    fn has_handed_on(&mut self) -> bool {
        let queued = self.io.queued();
        let gone = std::mem::replace(&mut self.queued, queued).saturating_sub(queued);
        if gone == 0 {
            return false;
        }
        let now = self.timers.now();
        self.takes.moved(gone, self.rate, || now);
        self.takes.ends(now) > now
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
            Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                self.received += data.len() as u64;
                self.sends.moved(data.len() as u64, self.rate, || self.timers.now());
            }
            Poll::Ready(_) => {}
            Poll::Pending => {
                self.deadline.set(self.sends.ends(self.timers.now()));
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

#[cfg(test)]
mod tests {
    #![allow(non_snake_case, reason = "cases are called by their number")]

    use base::Clock;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What the kernel has for the client once it takes no more.
    async fn settled(wire: &Wire) -> u64 {
        loop {
            let before = wire.io.queued();
            tokio::time::sleep(Duration::from_millis(50)).await;
            if wire.io.queued() == before {
                return before;
            }
        }
    }

    /// A client that reads slowly what the kernel still holds for it is not taken for one that
    /// reads nothing, though it takes nothing new for longer than a minute.
    ///
    /// Seen to fail: with `has_handed_on` always false; with it always true.
    #[tokio::test]
    async fn fa_G03_d_what_the_kernel_hands_on_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap());
        let (far, near) = tokio::join!(far, listener.accept());
        let (mut far, near) = (far.unwrap(), near.unwrap().0);
        let clock = Clock::fixed(Duration::ZERO);
        let timers = Timers::new(clock.clone());
        let minute = Duration::from_secs(60);
        let mut wire = Wire::new(Io::Tcp(near), BytesMut::new(), &timers, minute);
        wire.rate = 1024;
        let block = [b'x'; 64 << 10];
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while Pin::new(&mut wire.io).poll_write(&mut cx, &block).is_ready() {}
        wire.queued = settled(&wire).await;
        wire.takes.ends(timers.now());
        clock.advance(minute);
        assert!(!wire.has_handed_on(), "it reads nothing");
        let mut some = vec![0; 256 << 10];
        let before = wire.io.queued();
        while wire.io.queued() + (64 << 10) > before {
            far.read_exact(&mut some).await.unwrap();
        }
        assert!(wire.has_handed_on(), "it reads");
    }
}
