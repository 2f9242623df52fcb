//! One direction of a tunnel.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;

use crate::codec::Duplex;

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Reads until others get their turn.
const ROUNDS: usize = 16;

thread_local! {
    /// Where every tunnel of this core reads into; taken while one does.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// One direction: from one end to the other.
#[derive(Default)]
pub(crate) struct Half {
    /// Bytes written to the other end.
    pub bytes: u64,
    /// Read, not yet written.
    rest: Bytes,
    /// Written, perhaps not yet flushed.
    unflushed: bool,
    ended: bool,
    shut: bool,
}

impl Half {
    /// A direction with bytes read already.
    pub fn starting_with(rest: Bytes) -> Self {
        Self { rest, ..Self::default() }
    }

    /// Carries what there is; ready when the end was passed on.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl Duplex + ?Sized),
        to: &mut (impl Duplex + ?Sized),
    ) -> Poll<io::Result<()>> {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = SCRATCH.take().unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice());
        let done = self.carry(cx, from, to, &mut scratch);
        SCRATCH.set(Some(scratch));
        done
    }

    fn carry(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl Duplex + ?Sized),
        to: &mut (impl Duplex + ?Sized),
        scratch: &mut [u8],
    ) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            ready!(self.poll_rest(cx, to))?;
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.shut = true;
                return Poll::Ready(Ok(()));
            }
            let mut buf = ReadBuf::new(scratch);
            match Pin::new(&mut *from).poll_read(cx, &mut buf)? {
                Poll::Pending => return self.poll_flush(cx, to),
                Poll::Ready(()) if buf.filled().is_empty() => self.ended = true,
                Poll::Ready(()) => self.write(cx, to, buf.filled())?,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what was kept.
    fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl Duplex + ?Sized),
    ) -> Poll<io::Result<()>> {
        while self.rest.has_remaining() {
            let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.rest))?;
            self.wrote(count)?;
            self.rest.advance(count);
        }
        self.rest = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Writes what `to` takes at once and keeps the rest.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl Duplex + ?Sized),
        bytes: &[u8],
    ) -> io::Result<()> {
        let count = match Pin::new(to).poll_write(cx, bytes)? {
            Poll::Ready(count) => {
                self.wrote(count)?;
                count
            }
            Poll::Pending => 0,
        };
        self.rest = bytes.get(count..).map(Bytes::copy_from_slice).unwrap_or_default();
        Ok(())
    }

    fn wrote(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes += count as u64;
        self.unflushed = true;
        Ok(())
    }

    /// Flushes while there is nothing to read; never ready, since more may come.
    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl Duplex + ?Sized),
    ) -> Poll<io::Result<()>> {
        if self.unflushed && Pin::new(to).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Poll::Pending
    }
}
