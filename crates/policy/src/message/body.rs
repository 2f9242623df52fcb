//! Bodies: a stream of pieces, whatever codec they come by.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Headers;

/// The body of a message.
#[derive(Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// All of it is here.
    Full(Bytes),
    /// It comes in pieces. Dropping it tells its source that nobody wants the rest.
    Stream(Box<dyn BodyStream>),
}

/// A piece of a body.
#[derive(Debug)]
pub enum Frame {
    /// Some bytes, never none.
    Data(Bytes),
    /// The trailers; nothing follows.
    Trailers(Headers),
}

/// Why a body stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The peer broke off, or broke the protocol.
    Broken,
    /// The peer sent nothing for too long.
    Timeout,
    /// It is longer than allowed.
    TooLarge,
}

/// Where a body's pieces come from. Asked only when the next piece is wanted: that is the
/// backpressure.
pub trait BodyStream {
    /// The next piece; none at the end.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>>;

    /// Bytes still to come, where known exactly.
    fn remaining(&self) -> Option<u64>;
}

impl Body {
    /// Bytes still to come, where known exactly.
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.remaining(),
        }
    }

    /// Whether nothing is to come, as far as is known now.
    pub fn is_empty(&self) -> bool {
        self.remaining() == Some(0)
    }

    /// The next piece; none at the end.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) if bytes.is_empty() => {
                *self = Self::Empty;
                Poll::Ready(None)
            }
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::Data(bytes))))
            }
            Self::Stream(stream) => stream.poll_frame(cx),
        }
    }

    /// The next piece; none at the end.
    pub async fn frame(&mut self) -> Option<Result<Frame, BodyError>> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// Takes the body, leaving none.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::Full(Bytes::from_static(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Full(Bytes::from(bytes))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(stream) => write!(f, "Stream({:?})", stream.remaining()),
        }
    }
}
