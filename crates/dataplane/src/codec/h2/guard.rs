//! What passes under the h2 crate, seen frame by frame.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conduct::Conduct;

/// Bytes of a frame's head (RFC 9113 §4.1).
const HEAD: usize = 9;

/// Bytes a client says before its first frame.
const PREFACE: u32 = 24;

const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

/// Finds frames in a stream of bytes, however that is cut.
#[derive(Default)]
struct Scan {
    /// The start of a frame: its head, and of the frames whose reason is looked at the payload.
    start: [u8; HEAD + 8],
    have: usize,
    /// Bytes until the next frame.
    skip: u32,
    /// Whether reasons are looked at.
    reasons: bool,
}

/// What a scan found.
enum Found {
    Frame(Head),
    /// The reason of a `RST_STREAM` or `GOAWAY`.
    Reason(Head, u32),
}

impl Scan {
    fn over(&mut self, mut bytes: &[u8], mut found: impl FnMut(Found)) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.skip as usize);
            self.skip -= skipped as u32;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wants = self.wants();
            let taken = bytes.len().min(wants - self.have);
            let (part, rest) = bytes.split_at(taken);
            if let Some(room) = self.start.get_mut(self.have..self.have + taken) {
                room.copy_from_slice(part);
            }
            self.have += taken;
            bytes = rest;
            if self.have < wants {
                return;
            }
            self.take(wants, &mut found);
        }
    }

    /// Bytes to be collected before something can be said.
    fn wants(&self) -> usize {
        if self.have < HEAD {
            return HEAD;
        }
        match self.head().kind {
            GOAWAY => HEAD + 8,
            _ => HEAD + 4,
        }
    }

    fn take(&mut self, had: usize, found: &mut impl FnMut(Found)) {
        let head = self.head();
        let payload = had - HEAD;
        if payload == 0 {
            found(Found::Frame(head));
            let least = if head.kind == GOAWAY { 8 } else { 4 };
            if self.reasons && matches!(head.kind, RST_STREAM | GOAWAY) && head.length >= least {
                return;
            }
        } else if let Some(code) = self.start.get(had - 4..had) {
            found(Found::Reason(head, number(code)));
        }
        self.have = 0;
        self.skip = head.length - payload as u32;
    }

    fn head(&self) -> Head {
        let [a, b, c, kind, flags, d, e, f, g, ..] = self.start;
        Head {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// A peer's byte stream that tells its [`Conduct`] what passes, and stops reading when that has
/// had enough.
pub(super) struct Guard<T> {
    io: T,
    received: Scan,
    sent: Scan,
    conduct: Rc<Conduct>,
}

impl<T> Guard<T> {
    /// Guards against a client, who is about to say the preface.
    pub fn of_client(io: T, conduct: Rc<Conduct>) -> Self {
        let received = Scan { skip: PREFACE, ..Scan::default() };
        let sent = Scan { reasons: true, ..Scan::default() };
        Self { io, received, sent, conduct }
    }

    /// Guards against an endpoint, to which we are about to say the preface.
    pub fn of_endpoint(io: T, conduct: Rc<Conduct>) -> Self {
        let sent = Scan { skip: PREFACE, ..Scan::default() };
        Self { io, received: Scan::default(), sent, conduct }
    }

    fn note(&mut self, bytes: &[u8]) {
        let conduct = &self.conduct;
        self.sent.over(bytes, |found| match found {
            Found::Frame(head) => conduct.sent(head),
            Found::Reason(head, code) if head.kind == GOAWAY => conduct.said_goaway(code),
            Found::Reason(head, code) => conduct.reset(head.stream, code),
        });
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        if guard.conduct.is_enough() {
            // The connection's task looks at what there is, then comes again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut guard.io).poll_read(cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        let conduct = &guard.conduct;
        guard.received.over(new, |found| {
            if let Found::Frame(head) = found {
                conduct.received(head);
            }
        });
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guard = &mut *self;
        let written = Pin::new(&mut guard.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = &written {
            guard.note(buf.get(..*count).unwrap_or_default());
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = &mut *self;
        let written = Pin::new(&mut guard.io).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(count)) = &written {
            let mut left = *count;
            for buf in bufs {
                let part = buf.get(..left.min(buf.len())).unwrap_or_default();
                left -= part.len();
                guard.note(part);
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, payload.len() as u8, kind, 0, 0, 0, 0, stream];
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_and_reasons_are_found_however_the_bytes_are_cut() {
        let all = [
            frame(0, 1, b"twelve bytes"),
            frame(RST_STREAM, 3, &[0, 0, 0, 8]),
            frame(6, 0, &[0; 8]),
            frame(RST_STREAM, 5, &[1]),
            frame(GOAWAY, 0, &[0, 0, 0, 9, 0, 0, 0, 11, b'x']),
            frame(4, 0, b""),
        ]
        .concat();
        for size in 1..=all.len() {
            let mut scan = Scan { reasons: true, ..Scan::default() };
            let mut told = String::new();
            for part in all.chunks(size) {
                scan.over(part, |found| match found {
                    Found::Frame(head) => told += &format!("{}:{} ", head.kind, head.stream),
                    Found::Reason(_, code) => told += &format!("={code} "),
                });
            }
            assert_eq!(told, "0:1 3:3 =8 6:0 3:5 7:0 =11 4:0 ", "cut at {size}");
        }
    }
}
