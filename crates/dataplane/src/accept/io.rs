//! A byte stream, whatever carries it.

use std::future::pending;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A byte stream to a client or an endpoint. An enum, so that the usual cases cost no virtual call.
pub(crate) enum Io {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS over TCP or a Unix socket.
    Tls(Box<tokio_rustls::TlsStream<Plain>>),
    /// In memory, for tests.
    Memory(DuplexStream),
    /// Given away: reads nothing, takes nothing.
    Gone(tokio::io::Empty),
}

/// What TLS runs over.
pub(crate) enum Plain {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// In memory, for tests.
    Memory(DuplexStream),
}

macro_rules! each {
    ($self:expr, $stream:ident => $do:expr) => {
        match $self {
            Io::Tcp($stream) => $do,
            Io::Unix($stream) => $do,
            Io::Tls($stream) => $do,
            Io::Memory($stream) => $do,
            Io::Gone($stream) => $do,
        }
    };
}

macro_rules! each_plain {
    ($self:expr, $stream:ident => $do:expr) => {
        match $self {
            Plain::Tcp($stream) => $do,
            Plain::Unix($stream) => $do,
            Plain::Memory($stream) => $do,
        }
    };
}

impl Io {
    /// From now on, dropping it resets the connection instead of ending it. TCP alone: over TLS an
    /// end that was not announced is told apart already.
    pub fn reset_on_drop(&self) {
        if let Self::Tcp(stream) = self {
            reset_on_drop(stream);
        }
    }

    /// Waits until the connection broke. Its end is no break, nor is anything over TLS and in
    /// memory.
    pub async fn broken(&self) {
        let ready = match self {
            Self::Tcp(stream) => stream.ready(Interest::ERROR).await,
            Self::Unix(stream) => stream.ready(Interest::ERROR).await,
            Self::Tls(_) | Self::Memory(_) | Self::Gone(_) => pending().await,
        };
        if ready.is_ok_and(|ready| !ready.is_error()) {
            pending::<()>().await;
        }
    }

    /// Bytes the kernel holds that the peer has not confirmed; 0 where it does not say.
    pub fn queued(&self) -> u64 {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => match stream.get_ref().0 {
                Plain::Tcp(stream) => stream,
                Plain::Unix(_) | Plain::Memory(_) => return 0,
            },
            Self::Unix(_) | Self::Memory(_) | Self::Gone(_) => return 0,
        };
        let mut bytes: libc::c_int = 0;
        // SAFETY: the descriptor is open as long as the stream, and the pointer is to a number of
        // our own, which the call fills.
        let known = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } == 0;
        if known { u64::try_from(bytes).unwrap_or(0) } else { 0 }
    }

    /// Takes the stream, leaving one that is [`Io::Gone`].
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Gone(tokio::io::empty()))
    }

    /// Ready when there may be something to read, so that an idle connection needs no buffer. An
    /// in-memory stream is always ready.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tls(stream) => match stream.get_ref() {
                // There is plain text, or the end, that was decrypted already.
                (_, session) if !session.wants_read() => Poll::Ready(Ok(())),
                (Plain::Tcp(stream), _) => stream.poll_read_ready(cx),
                (Plain::Unix(stream), _) => stream.poll_read_ready(cx),
                (Plain::Memory(_), _) => Poll::Ready(Ok(())),
            },
            Self::Memory(_) | Self::Gone(_) => Poll::Ready(Ok(())),
        }
    }
}

impl Plain {
    /// From now on, dropping it resets the connection instead of ending it.
    pub fn reset_on_drop(&self) {
        if let Self::Tcp(stream) = self {
            reset_on_drop(stream);
        }
    }

    /// Waits until there is something to read, or the end.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
            Self::Memory(_) => Ok(()),
        }
    }
}

fn reset_on_drop(stream: &TcpStream) {
    if let Err(error) = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "the connection will not be reset");
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each_plain!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each_plain!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each_plain!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each_plain!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_plain!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_plain!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
