//! Bodies: a stream of pieces, whatever codec they come by.

use std::collections::VecDeque;
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

/// The beginning of a body that was held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The bytes, at most as many as were asked for.
    pub bytes: Bytes,
    /// Whether this is all of them.
    pub whole: bool,
}

impl Body {
    /// Reads the body's first `most` bytes and shows them. All of it, and its trailers, still go on
    /// as they came. No more than one piece beyond `most` is held in memory.
    ///
    /// # Errors
    /// It broke off before.
    pub async fn hold(&mut self, most: usize) -> Result<Held, BodyError> {
        match self {
            Self::Empty => return Ok(Held { bytes: Bytes::new(), whole: true }),
            Self::Full(bytes) => return Ok(first(bytes, most)),
            Self::Stream(_) => {}
        }
        let mut kept = Kept { source: self, pieces: VecDeque::new(), trailers: None };
        let (mut length, mut whole) = (0_usize, false);
        while length <= most && !whole {
            match kept.source.frame().await {
                Some(Ok(Frame::Data(piece))) => {
                    length = length.saturating_add(piece.len());
                    kept.pieces.push_back(piece);
                }
                Some(Ok(Frame::Trailers(trailers))) => {
                    kept.trailers = Some(trailers);
                    whole = true;
                }
                Some(Err(error)) => return Err(error),
                None => whole = true,
            }
        }
        Ok(kept.settle(most, whole))
    }
}

/// The first `most` of `bytes`.
fn first(bytes: &Bytes, most: usize) -> Held {
    Held { bytes: bytes.slice(..bytes.len().min(most)), whole: bytes.len() <= most }
}

/// What was read of a body so far.
struct Kept<'b> {
    source: &'b mut Body,
    pieces: VecDeque<Bytes>,
    trailers: Option<Headers>,
}

impl Kept<'_> {
    /// Puts what was read before what is still to come.
    fn settle(mut self, most: usize, whole: bool) -> Held {
        // One piece is shown as it came; more are copied together, and go on as one.
        let start = match (self.pieces.pop_front(), self.pieces.is_empty()) {
            (None, _) => Bytes::new(),
            (Some(only), true) => only,
            (Some(one), false) => {
                let mut all = one.to_vec();
                self.pieces.iter().for_each(|piece| all.extend_from_slice(piece));
                all.into()
            }
        };
        let held = first(&start, most);
        *self.source = match (whole, self.trailers) {
            (true, None) => Self::full(start),
            (true, trailers) => resumed(start, Body::Empty, trailers),
            (false, _) => resumed(start, self.source.take(), None),
        };
        held
    }

    fn full(bytes: Bytes) -> Body {
        if bytes.is_empty() { Body::Empty } else { Body::Full(bytes) }
    }
}

fn resumed(start: Bytes, rest: Body, trailers: Option<Headers>) -> Body {
    let start = Some(start).filter(|start| !start.is_empty());
    Body::Stream(Box::new(Resumed { start, rest, trailers }))
}

/// A body whose beginning was held back.
struct Resumed {
    start: Option<Bytes>,
    rest: Body,
    trailers: Option<Headers>,
}

impl BodyStream for Resumed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(start) = self.start.take() {
            return Poll::Ready(Some(Ok(Frame::Data(start))));
        }
        match &self.rest {
            Body::Empty => Poll::Ready(self.trailers.take().map(|it| Ok(Frame::Trailers(it)))),
            _ => self.rest.poll_frame(cx),
        }
    }

    fn remaining(&self) -> Option<u64> {
        // Trailers can follow only a body whose length was not said.
        let start = self.start.as_ref().map_or(0, Bytes::len) as u64;
        self.trailers.is_none().then_some(())?;
        Some(start + self.rest.remaining()?)
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

#[cfg(test)]
mod tests;
