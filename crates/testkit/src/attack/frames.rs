//! HTTP/2 frames as bytes, right and wrong: what a client or an endpoint with bad intentions sends
//! (RFC 9113, RFC 7541). Nothing is checked here; what is wrong is wrong on purpose.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What every connection starts with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
pub const HEAD: usize = 9;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Types of frames (RFC 9113 §6).
#[allow(missing_docs, reason = "the names are the RFC's")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    /// A type nobody has defined.
    pub const UNKNOWN: u8 = 0xbe;
}

/// Flags of frames.
#[allow(missing_docs, reason = "the names are the RFC's")]
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
}

/// Error codes (RFC 9113 §7).
#[allow(missing_docs, reason = "the names are the RFC's")]
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Settings (RFC 9113 §6.5.2).
#[allow(missing_docs, reason = "the names are the RFC's")]
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// The stream it belongs to; 0 for the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Any frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// A whole head that opens a stream; with `END_STREAM` where `ends`.
    pub fn head(stream: u32, ends: bool, block: &Block) -> Self {
        let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
        Self::new(kind::HEADERS, flags, stream, block.bytes())
    }

    /// A piece of a body; the last one where `ends`.
    pub fn data(stream: u32, ends: bool, payload: &[u8]) -> Self {
        Self::new(kind::DATA, if ends { flag::END_STREAM } else { 0 }, stream, payload)
    }

    /// The same, with so many bytes of padding.
    pub fn padded(stream: u32, ends: bool, payload: &[u8], padding: u8) -> Self {
        let mut padded = vec![padding];
        padded.extend_from_slice(payload);
        padded.resize(1 + payload.len() + usize::from(padding), 0);
        let flags = flag::PADDED | if ends { flag::END_STREAM } else { 0 };
        Self::new(kind::DATA, flags, stream, padded)
    }

    /// More of a head; the end of it where `ends`.
    pub fn continuation(stream: u32, ends: bool, block: &[u8]) -> Self {
        Self::new(kind::CONTINUATION, if ends { flag::END_HEADERS } else { 0 }, stream, block)
    }

    /// Settings.
    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// Says that the peer's settings are in force.
    pub fn settings_ack() -> Self {
        Self::new(kind::SETTINGS, flag::ACK, 0, [])
    }

    /// A ping.
    pub fn ping(payload: u64) -> Self {
        Self::new(kind::PING, 0, 0, payload.to_be_bytes())
    }

    /// Ends a stream.
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// Lets the peer send so many bytes more.
    pub fn window_update(stream: u32, by: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes())
    }

    /// A priority: on which stream it depends.
    pub fn priority(stream: u32, depends_on: u32) -> Self {
        let mut payload = depends_on.to_be_bytes().to_vec();
        payload.push(16);
        Self::new(kind::PRIORITY, 0, stream, payload)
    }

    /// Ends the connection; streams up to `last` were or will be served.
    pub fn goaway(last: u32, code: u32) -> Self {
        let mut payload = last.to_be_bytes().to_vec();
        payload.extend_from_slice(&code.to_be_bytes());
        Self::new(kind::GOAWAY, 0, 0, payload)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.claiming(self.payload.len() as u32)
    }

    /// Its bytes, with a head that says its payload had this length.
    pub fn claiming(&self, length: u32) -> Vec<u8> {
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Whether it has this flag.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The error code of a `RST_STREAM` or `GOAWAY`.
    pub fn error(&self) -> u32 {
        let at = if self.kind == kind::GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(at..at + 4).expect("it has a code");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }

    /// The last stream a `GOAWAY` names.
    pub fn last_stream(&self) -> u32 {
        let bytes = self.payload.get(..4).expect("it names a stream");
        u32::from_be_bytes(bytes.try_into().expect("four bytes")) & 0x7fff_ffff
    }

    /// The status of a response's head, whose writer keeps no table (`HEADER_TABLE_SIZE` 0, as
    /// [`Peer::client`] asks) and puts `:status` first.
    pub fn status(&self) -> Option<u16> {
        status(&self.payload)
    }

    /// Takes a frame off the front of `bytes`, if there is a whole one.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes(head[5..9].try_into().expect("four bytes")) & 0x7fff_ffff;
        if bytes.len() < HEAD + length {
            return None;
        }
        let payload = bytes.drain(..HEAD + length).skip(HEAD).collect();
        Some(Self { kind, flags, stream, payload })
    }
}

/// A `:status` as the first field of a block.
fn status(block: &[u8]) -> Option<u16> {
    // Updates of the table's size come before the first field.
    let at = block.iter().position(|byte| byte >> 5 != 1)?;
    let (first, rest) = block.get(at..)?.split_first()?;
    if let 0x88..=0x8e = first {
        return Some([200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)]);
    }
    // A literal, its name one of `:status` in the static table.
    let name = if first >> 6 == 1 { first & 0x3f } else { first & 0x0f };
    let (length, value) = rest.split_first()?;
    let value = value.get(..usize::from(length & 0x7f))?;
    let digits = if length & 0x80 == 0 { value.to_vec() } else { huffman_digits(value)? };
    (8..=14).contains(&name).then(|| std::str::from_utf8(&digits).ok()?.parse().ok())?
}

/// Three digits in Huffman's code (RFC 7541 appendix B).
fn huffman_digits(coded: &[u8]) -> Option<Vec<u8>> {
    let bits: Vec<u8> =
        coded.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    let (mut digits, mut at) = (Vec::new(), 0);
    while digits.len() < 3 {
        let short = number(bits.get(at..at + 5)?);
        if short < 3 {
            digits.push(b'0' + short);
            at += 5;
            continue;
        }
        let long = number(bits.get(at..at + 6)?);
        digits.push(b'3' + long.checked_sub(0b01_1001).filter(|digit| *digit < 7)?);
        at += 6;
    }
    Some(digits)
}

/// A block of header fields (RFC 7541), built field by field.
#[derive(Clone, Debug, Default)]
pub struct Block(Vec<u8>);

impl Block {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pseudo fields of a request.
    pub fn request(method: &str, path: &str, authority: &str) -> Self {
        Self::new()
            .field(":method", method)
            .field(":scheme", "http")
            .field(":path", path)
            .field(":authority", authority)
    }

    /// The status of a response.
    pub fn response(status: u16) -> Self {
        Self::new().field(":status", status.to_string())
    }

    /// A literal that no table remembers.
    #[must_use]
    pub fn field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.literal(0x00, 4, name.as_ref(), value.as_ref())
    }

    /// A literal that the reader's table is to remember, as its newest: number 62.
    #[must_use]
    pub fn remembered(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.literal(0x40, 6, name.as_ref(), value.as_ref())
    }

    /// A field by its number in the tables; the dynamic one begins at 62.
    #[must_use]
    pub fn indexed(mut self, number: usize) -> Self {
        integer(&mut self.0, 0x80, 7, number);
        self
    }

    /// The same again and again.
    #[must_use]
    pub fn repeated(mut self, number: usize, times: usize) -> Self {
        for _ in 0..times {
            integer(&mut self.0, 0x80, 7, number);
        }
        self
    }

    /// An update of the table's size.
    #[must_use]
    pub fn table_size(mut self, size: usize) -> Self {
        integer(&mut self.0, 0x20, 5, size);
        self
    }

    /// Any bytes.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn literal(mut self, first: u8, prefix: u8, name: &[u8], value: &[u8]) -> Self {
        integer(&mut self.0, first, prefix, 0);
        for text in [name, value] {
            integer(&mut self.0, 0, 7, text.len());
            self.0.extend_from_slice(text);
        }
        self
    }
}

/// An integer (RFC 7541 §5.1).
fn integer(out: &mut Vec<u8>, first: u8, prefix: u8, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        out.push(first | value as u8);
        return;
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
}

/// One end of a connection that speaks frames, over whatever carries bytes: memory, TCP, TLS.
pub struct Peer<S> {
    /// What carries the bytes.
    pub stream: S,
    read: Vec<u8>,
    /// Frames of streams that were not waited for yet.
    kept: VecDeque<Frame>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// A client: says the preface and that it keeps no table of fields.
    pub async fn client(stream: S) -> Self {
        Self::client_with(stream, &[]).await
    }

    /// A client with these settings beside.
    pub async fn client_with(stream: S, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::raw(stream);
        let mut all = vec![(setting::HEADER_TABLE_SIZE, 0)];
        all.extend_from_slice(settings);
        let mut hello = PREFACE.to_vec();
        hello.extend_from_slice(&Frame::settings(&all).bytes());
        peer.send_bytes(&hello).await;
        peer
    }

    /// An endpoint: takes the client's preface and says its settings.
    pub async fn server(stream: S, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::raw(stream);
        while peer.read.len() < PREFACE.len() {
            assert_ne!(peer.more().await.expect("it is read"), 0, "no preface came");
        }
        let preface: Vec<u8> = peer.read.drain(..PREFACE.len()).collect();
        assert_eq!(preface, PREFACE);
        peer.send(&Frame::settings(settings)).await;
        peer
    }

    /// Who has said nothing yet.
    pub fn raw(stream: S) -> Self {
        Self { stream, read: Vec::new(), kept: VecDeque::new() }
    }

    /// Sends a frame; nothing happens if the connection has ended.
    pub async fn send(&mut self, frame: &Frame) -> bool {
        self.send_bytes(&frame.bytes()).await
    }

    /// Sends bytes, all of them; false if the connection ends before.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The next frame; none at the end. Settings are answered.
    pub async fn next(&mut self) -> Option<Frame> {
        match self.kept.pop_front() {
            Some(frame) => Some(frame),
            None => self.read_frame().await,
        }
    }

    async fn read_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.read) {
                if frame.kind == kind::SETTINGS && !frame.has(flag::ACK) {
                    self.send(&Frame::settings_ack()).await;
                }
                return Some(frame);
            }
            let more = tokio::time::timeout(PATIENCE, self.more()).await;
            if more.expect("something comes, or the end").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next frame of one of these types; none if the connection ends before.
    pub async fn next_of(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if kinds.contains(&frame.kind) {
                return Some(frame);
            }
        }
    }

    /// The next frame of a stream, or the connection's end. Frames of other streams are kept.
    pub async fn next_on(&mut self, stream: u32) -> Option<Frame> {
        let wanted = |frame: &Frame| frame.kind == kind::GOAWAY || frame.stream == stream;
        if let Some(at) = self.kept.iter().position(wanted) {
            return self.kept.remove(at);
        }
        loop {
            let frame = self.read_frame().await?;
            if wanted(&frame) {
                return Some(frame);
            }
            self.kept.push_back(frame);
        }
    }

    /// Everything that comes until the connection ends.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(frame) = self.next().await {
            all.push(frame);
        }
        all
    }

    /// A response on `stream`: its status and its body. The windows are not opened again.
    pub async fn response(&mut self, stream: u32) -> (u16, Vec<u8>) {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let frame = self.next_on(stream).await.expect("a response comes");
            match frame.kind {
                // Interim responses come before the final one.
                kind::HEADERS if status < 200 => status = frame.status().expect("a status"),
                kind::DATA => body.extend_from_slice(&frame.payload),
                kind::RST_STREAM | kind::GOAWAY => panic!("no response: {frame:?}"),
                _ => {}
            }
            if matches!(frame.kind, kind::HEADERS | kind::DATA) && frame.has(flag::END_STREAM) {
                return (status, body);
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_those_of_the_rfc() {
        let mut out = Vec::new();
        integer(&mut out, 0, 5, 10);
        integer(&mut out, 0, 5, 1337);
        assert_eq!(out, [10, 31, 154, 10]);
    }

    #[test]
    fn a_status_is_read_however_it_was_written() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x20, 0x8d]), Some(404));
        // Huffman's `302` of RFC 7541 C.6.1.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
        assert_eq!(status(&[0x08, 3, b'4', b'3', b'1']), Some(431));
        assert_eq!(status(&[0x10]), None);
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let frame = Frame::padded(3, true, b"abc", 5);
        let mut bytes = frame.bytes();
        bytes.push(0);
        assert_eq!(Frame::take(&mut bytes), Some(frame));
        assert_eq!(Frame::take(&mut bytes), None);
    }
}
