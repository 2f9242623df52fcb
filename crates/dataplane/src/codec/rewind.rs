//! A byte stream with some of its bytes read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A byte stream whose first bytes were read by someone else (to find out which protocol is spoken,
/// or together with the end of a message) and are read again first.
pub(crate) struct Rewind<T> {
    read: Bytes,
    io: T,
}

impl<T> Rewind<T> {
    /// `read` comes first, then what `io` has.
    pub fn new(io: T, read: Bytes) -> Self {
        Self { read, io }
    }

    /// Bytes to be read again that were not yet.
    #[cfg(test)]
    pub fn is_rewound(&self) -> bool {
        !self.read.is_empty()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewind<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let len = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.split_to(len));
        if !self.read.has_remaining() {
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewind<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_again_first_and_once() {
        let (mut far, near) = tokio::io::duplex(64);
        let mut near = Rewind::new(near, Bytes::from_static(b"PRI * "));
        far.write_all(b"HTTP/2.0").await.unwrap();
        drop(far);
        let mut first = [0; 3];
        near.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"PRI");
        assert!(near.is_rewound());
        let mut rest = String::new();
        near.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, " * HTTP/2.0");
        assert!(!near.is_rewound());
    }
}
