//! Bodies as they come over HTTP/1.1: by length, in chunks, or until the connection ends.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use policy::message::{BodyError, Frame};
use tokio::io::AsyncReadExt;

use super::chunked::{Chunked, Decoded, take_piece};
use super::head::Framing;
use crate::accept::io::Io;
use crate::buffers::{self, LARGE, SMALL};

/// Reads a body out of a connection.
#[derive(Debug)]
pub(crate) struct BodyReader {
    kind: Kind,
    /// Bytes to ask for in the next read: grows while reads come back full.
    ask: usize,
}

#[derive(Debug)]
enum Kind {
    Length(u64),
    Chunked(Chunked),
    Close {
        done: bool,
    },
    /// It broke off.
    Broken,
}

impl BodyReader {
    /// A reader for a body delimited by `framing`.
    pub fn new(framing: Framing) -> Self {
        let kind = match framing {
            Framing::None => Kind::Length(0),
            Framing::Length(length) => Kind::Length(length),
            Framing::Chunked => Kind::Chunked(Chunked::default()),
            Framing::Close => Kind::Close { done: false },
        };
        Self { kind, ask: SMALL }
    }

    /// Whether the body was read to its end.
    pub fn is_done(&self) -> bool {
        match &self.kind {
            Kind::Length(left) => *left == 0,
            Kind::Chunked(chunked) => chunked.is_done(),
            Kind::Close { done } => *done,
            Kind::Broken => false,
        }
    }

    /// Whether it broke off, so that nobody knows where the next message starts.
    pub fn is_broken(&self) -> bool {
        matches!(self.kind, Kind::Broken)
    }

    /// Bytes still to come, where known exactly.
    pub fn remaining(&self) -> Option<u64> {
        match &self.kind {
            Kind::Length(left) => Some(*left),
            _ => self.is_done().then_some(0),
        }
    }

    /// All of the body, if `input` has it already.
    pub fn whole(&mut self, input: &mut BytesMut) -> Option<bytes::Bytes> {
        match &mut self.kind {
            Kind::Length(left) if *left <= input.len() as u64 => {
                let length = std::mem::take(left) as usize;
                Some(take_piece(input, length))
            }
            _ => None,
        }
    }

    /// The next piece. `input` holds what was read and not used yet; while nothing is to be had it
    /// gives up its memory.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Io,
        input: &mut BytesMut,
    ) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            match self.decode(input) {
                Ok(Decoded::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(_) => return Poll::Ready(Some(Err(self.break_off()))),
            }
            match (ready!(self.fill(cx, io, input)), &mut self.kind) {
                (Ok(0), Kind::Close { done }) => *done = true,
                (Ok(0) | Err(_), _) => return Poll::Ready(Some(Err(self.break_off()))),
                (Ok(_), _) => {}
            }
        }
    }

    /// Gives it up: what follows on the connection can't be told apart from it.
    pub fn break_off(&mut self) -> BodyError {
        self.kind = Kind::Broken;
        BodyError::Broken
    }

    fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, &'static str> {
        match &mut self.kind {
            Kind::Length(0) | Kind::Close { done: true } => Ok(Decoded::End),
            Kind::Broken => Err("the body broke off"),
            // Whoever asks once more than needed is not to wait for the next request.
            Kind::Chunked(chunked) if chunked.is_done() => Ok(Decoded::End),
            _ if input.is_empty() => Ok(Decoded::More),
            Kind::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= take as u64;
                Ok(Decoded::Frame(Frame::Data(take_piece(input, take))))
            }
            Kind::Close { .. } => Ok(Decoded::Frame(Frame::Data(input.split().freeze()))),
            Kind::Chunked(chunked) => chunked.decode(input),
        }
    }

    fn fill(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Io,
        input: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        if let Kind::Length(left) = self.kind {
            self.ask = usize::try_from(left).unwrap_or(LARGE).clamp(SMALL, LARGE);
        }
        let read = read_some(cx, io, input, self.ask);
        if let Poll::Ready(Ok(n)) = &read
            && *n == self.ask
        {
            self.ask = LARGE;
        }
        read
    }
}

/// Reads up to `ask` bytes behind what `input` holds. While there is nothing to read an empty
/// `input` holds no memory.
pub(crate) fn read_some(
    cx: &mut Context<'_>,
    io: &mut Io,
    input: &mut BytesMut,
    ask: usize,
) -> Poll<io::Result<usize>> {
    if io.poll_read_ready(cx)?.is_pending() {
        if input.is_empty() && input.capacity() > 0 {
            buffers::give_input(std::mem::take(input));
        }
        return Poll::Pending;
    }
    if input.capacity() == 0 && ask <= SMALL {
        *input = buffers::input();
    } else {
        input.reserve(ask);
    }
    pin!(io.read_buf(&mut input.limit(ask))).poll(cx)
}
