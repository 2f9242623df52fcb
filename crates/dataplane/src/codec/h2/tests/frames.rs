//! Frames byte by byte, for what the h2 crate as a client would not send.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// A frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of `kind`.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        Self { kind, flags, stream, payload: payload.to_vec() }
    }

    /// A request's head: each field a literal that is never indexed (RFC 7541 §6.2.3).
    pub fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Self {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0x10);
            for text in [name, value] {
                assert!(text.len() < 127, "longer lengths take more bytes");
                block.push(text.len() as u8);
                block.extend_from_slice(text.as_bytes());
            }
        }
        Self::new(HEADERS, flags | END_HEADERS, stream, &block)
    }

    /// Writes it, if the other end still takes it.
    pub async fn write(&self, io: &mut DuplexStream) {
        let mut bytes = (self.payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        let _ = io.write_all(&bytes).await;
    }

    /// Reads the next one; none at the end.
    pub async fn read(io: &mut DuplexStream) -> Option<Self> {
        let mut head = [0; 9];
        io.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        io.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Self { kind: head[3], flags: head[4], stream, payload })
    }

    /// The error code of a RST_STREAM or a GOAWAY.
    pub fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// Writes what every connection starts with.
pub(super) async fn start(io: &mut DuplexStream) {
    io.write_all(PREFACE).await.unwrap();
    Frame::new(SETTINGS, 0, 0, b"").write(io).await;
}

/// The next frame of one of `kinds`; none at the end.
pub(super) async fn next(io: &mut DuplexStream, kinds: &[u8]) -> Option<Frame> {
    loop {
        let frame = Frame::read(io).await?;
        if kinds.contains(&frame.kind) {
            return Some(frame);
        }
    }
}
