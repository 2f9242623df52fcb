//! Writes a message: its head, then its body in pieces as they come. Head and first piece go out in
//! one write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use policy::message::{Body, BodyError, Frame, Headers};
use tokio::io::AsyncWrite;

use super::head::Framing;
use crate::accept::io::Io;
use crate::buffers;

/// Pieces up to this size are copied behind what goes before them: cheaper than telling the kernel
/// of two places.
const COPY_MAX: usize = 4 << 10;

/// The last chunk without trailers, after the line end of the chunk before it.
const LAST: &[u8] = b"\r\n0\r\n\r\n";

/// A message being written.
pub(crate) struct Pump {
    /// What goes first: the head, or a chunk's line.
    lead: Vec<u8>,
    lead_at: usize,
    data: Bytes,
    tail: &'static [u8],
    framing: Framing,
    state: State,
    /// Whether trailers go out: the peer must be known to take them (RFC 9110 §6.5.1).
    pub trailers: bool,
    /// Bytes taken by the connection.
    pub taken: u64,
    /// Bytes of the body written.
    pub written: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was written yet, so that the first piece can go with the head.
    Fresh,
    /// More of the body is to come.
    Body,
    /// All is said; what is left is to be written.
    Last,
    Done,
}

/// Where a message is written. The connection is lent for each write alone: a response's body may
/// be what reads the request's from the same connection.
pub(crate) trait Out {
    /// Lends the connection.
    fn with<R>(&mut self, write: impl FnOnce(&mut Io) -> R) -> R;
}

impl Out for Io {
    fn with<R>(&mut self, write: impl FnOnce(&mut Io) -> R) -> R {
        write(self)
    }
}

/// Why a message could not be written to its end.
#[derive(Debug)]
pub(crate) enum PumpError {
    /// The connection broke.
    Io(io::Error),
    /// The body broke off.
    Body(BodyError),
}

impl Pump {
    /// A message with this head, and a body delimited by `framing`.
    pub fn new(head: Vec<u8>, framing: Framing) -> Self {
        Self {
            lead: head,
            lead_at: 0,
            data: Bytes::new(),
            tail: b"",
            framing,
            state: State::Fresh,
            trailers: true,
            taken: 0,
            written: 0,
        }
    }

    /// Whether all was written.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether there is something that the peer has not taken yet.
    pub fn waits_for_peer(&self) -> bool {
        self.lead_at < self.lead.len() || !self.data.is_empty() || !self.tail.is_empty()
    }

    /// Writes on; ready at the end.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut impl Out,
        body: &mut Body,
    ) -> Poll<Result<(), PumpError>> {
        loop {
            match self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Fresh => {
                    self.state = State::Body;
                    if let Poll::Ready(next) = self.poll_piece(cx, body) {
                        next?;
                    }
                }
                State::Body => {
                    ready!(out.with(|io| self.poll_write(cx, io))).map_err(PumpError::Io)?;
                    let Poll::Ready(next) = self.poll_piece(cx, body) else {
                        ready!(out.with(|io| Pin::new(io).poll_flush(cx)))
                            .map_err(PumpError::Io)?;
                        return Poll::Pending;
                    };
                    next?;
                }
                State::Last => {
                    ready!(out.with(|io| self.poll_write(cx, io))).map_err(PumpError::Io)?;
                    ready!(out.with(|io| Pin::new(io).poll_flush(cx))).map_err(PumpError::Io)?;
                    self.state = State::Done;
                }
            }
        }
    }

    /// Takes the next piece of the body to be written.
    fn poll_piece(&mut self, cx: &mut Context<'_>, body: &mut Body) -> Poll<Result<(), PumpError>> {
        if self.framing == Framing::None {
            self.state = State::Last;
            return Poll::Ready(Ok(()));
        }
        match ready!(body.poll_frame(cx)) {
            Some(Ok(Frame::Data(data))) => {
                self.account(data.len())?;
                self.data(data, body.remaining() == Some(0));
            }
            Some(Ok(Frame::Trailers(trailers))) => self.end(Some(&trailers))?,
            Some(Err(error)) => return Poll::Ready(Err(PumpError::Body(error))),
            None => self.end(None)?,
        }
        Poll::Ready(Ok(()))
    }

    /// Holds the body to the length that was announced.
    fn account(&mut self, bytes: usize) -> Result<(), PumpError> {
        self.written += bytes as u64;
        match self.framing {
            Framing::Length(length) if self.written > length => {
                Err(PumpError::Body(BodyError::Broken))
            }
            _ => Ok(()),
        }
    }

    fn data(&mut self, data: Bytes, last: bool) {
        if self.framing == Framing::Chunked {
            push_hex(&mut self.lead, data.len());
            self.lead.extend_from_slice(b"\r\n");
            self.tail = if last { LAST } else { b"\r\n" };
        }
        let complete = match self.framing {
            Framing::Length(length) => self.written == length,
            _ => last,
        };
        if complete {
            self.state = State::Last;
        }
        if data.len() <= COPY_MAX {
            self.lead.extend_from_slice(&data);
            self.lead.extend_from_slice(self.tail);
            self.tail = b"";
        } else {
            self.data = data;
        }
    }

    fn end(&mut self, trailers: Option<&Headers>) -> Result<(), PumpError> {
        match (self.framing, trailers) {
            (Framing::Length(length), _) if self.written != length => {
                return Err(PumpError::Body(BodyError::Broken));
            }
            (Framing::Chunked, Some(trailers)) if self.trailers => {
                self.lead.extend_from_slice(b"0\r\n");
                trailers.write_lines(&mut self.lead);
                self.lead.extend_from_slice(b"\r\n");
            }
            (Framing::Chunked, _) => self.lead.extend_from_slice(b"0\r\n\r\n"),
            _ => {}
        }
        self.state = State::Last;
        Ok(())
    }

    /// Writes what is waiting, all of it.
    fn poll_write(&mut self, cx: &mut Context<'_>, io: &mut Io) -> Poll<io::Result<()>> {
        loop {
            let lead = self.lead.get(self.lead_at..).unwrap_or_default();
            let io = Pin::new(&mut *io);
            let written = match (lead.is_empty(), self.data.is_empty(), self.tail.is_empty()) {
                (true, true, true) => break,
                (false, true, true) => ready!(io.poll_write(cx, lead))?,
                (true, false, true) => ready!(io.poll_write(cx, &self.data))?,
                _ => {
                    let all =
                        [IoSlice::new(lead), IoSlice::new(&self.data), IoSlice::new(self.tail)];
                    ready!(io.poll_write_vectored(cx, &all))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken += written as u64;
            self.advance(written);
        }
        self.lead.clear();
        self.lead_at = 0;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        let of_lead = written.min(self.lead.len() - self.lead_at);
        self.lead_at += of_lead;
        written -= of_lead;
        let of_data = written.min(self.data.len());
        self.data.advance(of_data);
        written -= of_data;
        self.tail = self.tail.get(written..).unwrap_or_default();
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        buffers::give_output(std::mem::take(&mut self.lead));
    }
}

/// `number` in hexadecimal.
fn push_hex(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - (number | 1).leading_zeros()).div_ceil(4);
    for at in (0..digits).rev() {
        let digit = char::from_digit(((number >> (at * 4)) & 0xf) as u32, 16);
        out.push(digit.unwrap_or_default() as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_hexadecimal() {
        for number in [0, 1, 9, 10, 15, 16, 255, 256, 4095, 65536, usize::MAX] {
            let mut out = Vec::new();
            push_hex(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{number:x}"));
        }
    }
}
