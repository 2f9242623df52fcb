//! The chunked transfer coding (RFC 9112 §7.1), read strictly. Extensions are dropped.

use bytes::{Bytes, BytesMut};
use policy::message::{Frame, Headers, is_token, is_value};

use super::head;

/// Bytes of a chunk's line, extensions included.
const LINE_MAX: usize = 1 << 10;

/// Bytes of extensions of a whole body.
const EXTENSIONS_MAX: usize = 16 << 10;

/// Bytes of a piece that is copied.
const COPY_MAX: usize = 2 << 10;

/// Bytes of trailers.
const TRAILERS_MAX: usize = 8 << 10;

/// Reads a chunked body piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    state: State,
    extensions: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before a chunk's line.
    #[default]
    Line,
    /// In a chunk, so many bytes left.
    Data(u64),
    /// Before the line end after a chunk's data.
    DataEnd,
    /// After the last chunk.
    Trailers(head::EndFinder),
    /// At the end.
    Done,
}

/// What decoding came to.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A piece of the body.
    Frame(Frame),
    /// More bytes are needed.
    More,
    /// The body is at its end.
    End,
}

impl Chunked {
    /// Whether the end was read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The next piece out of `input`. After a piece it reads on as far as it can without holding
    /// one back, so that [`Chunked::is_done`] tells early.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, &'static str> {
        loop {
            match self.state {
                State::Data(left) => {
                    if input.is_empty() {
                        return Ok(Decoded::More);
                    }
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let left = left - take as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    let piece = take_piece(input, take);
                    self.look_ahead(input)?;
                    let piece = self.gather(piece, input)?;
                    return Ok(Decoded::Frame(Frame::Data(piece)));
                }
                State::Done => return Ok(Decoded::End),
                State::Line | State::DataEnd | State::Trailers(_) => match self.step(input)? {
                    Step::Next => {}
                    Step::More => return Ok(Decoded::More),
                    Step::Trailers(headers) => {
                        return Ok(Decoded::Frame(Frame::Trailers(headers)));
                    }
                },
            }
        }
    }

    /// Reads what stands between two pieces, if it is there already. Trailers wait for their turn.
    fn look_ahead(&mut self, input: &mut BytesMut) -> Result<(), &'static str> {
        if self.state == State::DataEnd
            && matches!(self.step(input)?, Step::Next)
            && input.starts_with(b"0\r\n\r\n")
        {
            let _ = input.split_to(5);
            self.state = State::Done;
        }
        Ok(())
    }

    /// Puts small chunks that are there already behind `piece`: who gets them one by one has more
    /// work with each than its sender had.
    fn gather(&mut self, piece: Bytes, input: &mut BytesMut) -> Result<Bytes, &'static str> {
        if self.state != State::Line || input.is_empty() || piece.len() >= COPY_MAX {
            return Ok(piece);
        }
        let mut all = Vec::from(piece);
        while self.state == State::Line && matches!(self.step(input)?, Step::Next) {
            let State::Data(size) = self.state else { break };
            let fits = size <= (COPY_MAX - all.len()) as u64;
            let Some(chunk) = input.get(..size as usize).filter(|_| fits) else { break };
            all.extend_from_slice(chunk);
            bytes::Buf::advance(input, size as usize);
            self.state = State::DataEnd;
            self.look_ahead(input)?;
        }
        Ok(all.into())
    }

    fn step(&mut self, input: &mut BytesMut) -> Result<Step, &'static str> {
        match &mut self.state {
            State::Line => {
                let Some((size, length)) = parse_line(input)? else { return Ok(Step::More) };
                self.extensions += length;
                if self.extensions > EXTENSIONS_MAX {
                    return Err("there are too many chunk extensions");
                }
                self.state = match size {
                    0 => State::Trailers(head::EndFinder::default()),
                    size => State::Data(size),
                };
            }
            State::DataEnd => {
                let Some(end) = input.get(..2) else { return Ok(Step::More) };
                if end != b"\r\n" {
                    return Err("a chunk is longer than its size");
                }
                let _ = input.split_to(2);
                self.state = State::Line;
            }
            State::Trailers(finder) => {
                let end = finder.find(input).map_err(|_| "a trailer line is ended by LF alone")?;
                let Some(end) = end else {
                    let full = input.len() > TRAILERS_MAX;
                    return if full { Err("the trailers are too large") } else { Ok(Step::More) };
                };
                if end > TRAILERS_MAX {
                    return Err("the trailers are too large");
                }
                let block = input.split_to(end);
                self.state = State::Done;
                if end > 2 {
                    return Ok(Step::Trailers(head::trailers(&block)?));
                }
            }
            State::Data(_) | State::Done => {}
        }
        Ok(Step::Next)
    }
}

enum Step {
    Next,
    More,
    Trailers(Headers),
}

/// A piece of the body: a small one is copied, so that the buffer stays whole and can be used
/// again.
pub(crate) fn take_piece(input: &mut BytesMut, length: usize) -> Bytes {
    if length > COPY_MAX {
        return input.split_to(length).freeze();
    }
    let piece = Bytes::copy_from_slice(input.get(..length).unwrap_or_default());
    bytes::Buf::advance(input, length);
    piece
}

/// Takes a chunk's line: its size, and the bytes of its extensions.
fn parse_line(input: &mut BytesMut) -> Result<Option<(u64, usize)>, &'static str> {
    let mut size: u64 = 0;
    let mut digits = 0;
    for byte in input.iter() {
        let Some(digit) = char::from(*byte).to_digit(16) else { break };
        digits += 1;
        if digits > 16 {
            return Err("a chunk size has more than 16 digits");
        }
        size = (size << 4) | u64::from(digit);
    }
    let rest = input.get(digits..).unwrap_or_default();
    match rest.first() {
        None => return Ok(None),
        Some(_) if digits == 0 => return Err("a chunk size is not a number"),
        Some(b'\r' | b';' | b' ' | b'\t') => {}
        Some(_) => return Err("a chunk size is not a number"),
    }
    let Some(end) = memchr::memchr(b'\n', rest) else {
        // The CR of the line end may be here already: a line is taken or not however it comes.
        let long = rest.len() > LINE_MAX + 1;
        return if long { Err("a chunk extension is too long") } else { Ok(None) };
    };
    let extension = rest.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let extension = extension.ok_or("a chunk line is ended by LF alone")?;
    if extension.len() > LINE_MAX {
        return Err("a chunk extension is too long");
    }
    if !is_extension(extension) {
        return Err("a chunk extension is malformed");
    }
    let extensions = extension.len();
    if size > i64::MAX as u64 {
        return Err("a chunk size is too large");
    }
    bytes::Buf::advance(input, digits + end + 1);
    Ok(Some((size, extensions)))
}

/// Nothing, or a semicolon and a name (RFC 9112 §7.1.1); no control character.
fn is_extension(extension: &[u8]) -> bool {
    let Some(named) = extension.trim_ascii_start().strip_prefix(b";") else {
        return extension.is_empty();
    };
    let named = named.trim_ascii_start().first().is_some_and(|byte| is_token(*byte));
    named && extension.iter().all(|byte| is_value(*byte))
}

#[cfg(test)]
mod tests;
