//! A stream as bytes both ways, once it is a tunnel (RFC 8441).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes given to the h2 crate at once.
const PIECE_MAX: usize = 16 * 1024;

/// Both halves of a stream. `K` is what lives as long as it does.
pub(super) struct Pipe<K> {
    send: SendStream<Bytes>,
    receive: RecvStream,
    received: Bytes,
    ended: bool,
    _keep: K,
}

impl<K> Pipe<K> {
    /// The halves of one stream.
    pub fn new(send: SendStream<Bytes>, receive: RecvStream, keep: K) -> Self {
        Self { send, receive, received: Bytes::new(), ended: false, _keep: keep }
    }
}

impl<K: Unpin> AsyncRead for Pipe<K> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = self.get_mut();
        while pipe.received.is_empty() {
            match ready!(pipe.receive.poll_data(cx)) {
                Some(Ok(bytes)) => pipe.received = bytes,
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = pipe.received.len().min(buf.remaining());
        buf.put_slice(pipe.received.get(..count).unwrap_or_default());
        pipe.received.advance(count);
        if pipe.received.is_empty() {
            // The piece may be a small part of a large buffer.
            pipe.received = Bytes::new();
        }
        let _ = pipe.receive.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl<K: Unpin> AsyncWrite for Pipe<K> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let pipe = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        pipe.send.reserve_capacity(bytes.len().min(PIECE_MAX));
        while pipe.send.capacity() == 0 {
            match ready!(pipe.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = pipe.send.capacity().min(bytes.len()).min(PIECE_MAX);
        let piece = bytes.get(..count).map(Bytes::copy_from_slice).unwrap_or_default();
        pipe.send.send_data(piece, false).map_err(broken)?;
        Poll::Ready(Ok(count))
    }

    /// The connection writes by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let pipe = self.get_mut();
        if !std::mem::replace(&mut pipe.ended, true) {
            pipe.send.send_data(Bytes::new(), true).map_err(broken)?;
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
