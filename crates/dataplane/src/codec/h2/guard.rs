//! What passes under the h2 crate, seen frame by frame.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conduct::Conduct;
use crate::observe::metrics::http2::Reset;

/// Bytes of a frame's head (RFC 9113 §4.1).
const HEAD: usize = 9;

/// Bytes a client says before its first frame.
const PREFACE: u32 = 24;

/// Bytes of a payload that are looked at, at most.
const PEEK: usize = 8;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Head {
    /// Bytes of the payload that say something to who sees no more of it: why a stream or the
    /// connection ends, and the whole of a head that is next to nothing.
    const fn telling(self) -> usize {
        match self.kind {
            RST_STREAM if self.length >= 4 => 4,
            GOAWAY if self.length >= 8 => 8,
            HEADERS if self.flags & END_STREAM != 0 && self.length <= PEEK as u32 => {
                self.length as usize
            }
            _ => 0,
        }
    }
}

/// Finds frames in a stream of bytes, however that is cut.
#[derive(Default)]
struct Scan {
    /// The start of a frame: its head and what is looked at of its payload.
    start: [u8; HEAD + PEEK],
    have: usize,
    /// Bytes until the next frame.
    skip: u32,
    /// Whether payloads are looked at.
    peeks: bool,
}

impl Scan {
    /// Tells of each frame its head, then what of its payload is looked at.
    fn over(&mut self, mut bytes: &[u8], mut found: impl FnMut(Head, Option<&[u8]>)) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.skip as usize);
            self.skip -= skipped as u32;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wants = HEAD + if self.have < HEAD { 0 } else { self.head().telling() };
            let taken = bytes.len().min(wants - self.have);
            let (part, rest) = bytes.split_at(taken);
            if let Some(room) = self.start.get_mut(self.have..self.have + taken) {
                room.copy_from_slice(part);
            }
            self.have += taken;
            bytes = rest;
            if self.have == wants {
                self.take(&mut found);
            }
        }
    }

    fn take(&mut self, found: &mut impl FnMut(Head, Option<&[u8]>)) {
        let head = self.head();
        match self.start.get(HEAD..self.have) {
            Some(payload) if !payload.is_empty() => found(head, Some(payload)),
            _ => {
                found(head, None);
                if self.peeks && head.telling() > 0 {
                    return;
                }
            }
        }
        self.skip = head.length - (self.have - HEAD) as u32;
        self.have = 0;
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

/// The number that these bytes are the last of.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Whether a block of fields is what the h2 crate answers a head with that is too large to be
/// read: status 431 and nothing else. Ours say more; the date at least.
fn is_bare_431(block: &[u8]) -> bool {
    // Updates of the table's size come before the first field.
    let start = block.iter().position(|byte| byte >> 5 != 1).unwrap_or(block.len());
    match block.get(start..).unwrap_or_default() {
        [number] => number & 0x80 != 0,
        [_, 0x83, 0x69, 0x90, 0xff] => true,
        _ => false,
    }
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
        let sent = Scan { peeks: true, ..Scan::default() };
        Self { io, received, sent, conduct }
    }

    /// Guards against an endpoint, to which we are about to say the preface.
    pub fn of_endpoint(io: T, conduct: Rc<Conduct>) -> Self {
        let sent = Scan { skip: PREFACE, ..Scan::default() };
        Self { io, received: Scan::default(), sent, conduct }
    }

    fn note(&mut self, bytes: &[u8]) {
        let conduct = &self.conduct;
        self.sent.over(bytes, |head, payload| match (head.kind, payload) {
            (_, None) => conduct.sent(head),
            (RST_STREAM, Some(code)) => conduct.reset(Reset::of(number(code))),
            (GOAWAY, Some(payload)) => conduct.said_goaway(number(payload)),
            (_, Some(block)) if is_bare_431(block) => conduct.reset(Reset::HeadersTooLarge),
            _ => {}
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
        guard.received.over(new, |head, _| conduct.received(head));
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
            let mut scan = Scan { peeks: true, ..Scan::default() };
            let mut told = String::new();
            for part in all.chunks(size) {
                scan.over(part, |head, payload| match payload {
                    None => told += &format!("{}:{} ", head.kind, head.stream),
                    Some(payload) => told += &format!("={} ", number(payload)),
                });
            }
            assert_eq!(told, "0:1 3:3 =8 6:0 3:5 7:0 =11 4:0 ", "cut at {size}");
        }
    }

    #[test]
    fn the_answer_of_the_h2_crate_is_known_by_its_bytes() {
        for block in
            [&[0x48, 0x83, 0x69, 0x90, 0xff][..], &[0x20, 0x08, 0x83, 0x69, 0x90, 0xff], &[0xbe]]
        {
            assert!(is_bare_431(block), "{block:x?}");
        }
        for block in [&[0x88, 0xbe][..], &[], &[0x48, 0x83, 0x69, 0x90, 0xfe]] {
            assert!(!is_bare_431(block), "{block:x?}");
        }
    }
}
