//! What TLS clients say first, cut up as they like.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The first bytes of a real client that asks for this name.
pub fn of(name: &'static str) -> Vec<u8> {
    let name = name.try_into().expect("a name");
    let config = config(rustls::RootCertStore::empty());
    let mut client = ClientConnection::new(config, name).expect("a client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("memory takes it");
    bytes
}

/// A client's settings that trusts these authorities.
pub fn config(roots: rustls::RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The one record that `bytes` are, in records of at most so many bytes.
pub fn in_records(bytes: &[u8], size: usize) -> Vec<u8> {
    let (header, message) = bytes.split_at(5);
    let record = |piece: &[u8]| {
        let length = (piece.len() as u16).to_be_bytes();
        [&header[..3], &length, piece].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

/// A connection whose first record goes in records of a byte.
pub struct Crumbled {
    stream: TcpStream,
    /// What is left to be written of it, and how long it was.
    first: Option<(Vec<u8>, usize)>,
    begun: bool,
}

impl Crumbled {
    /// Crumbles what is written first.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, first: None, begun: false }
    }
}

impl AsyncRead for Crumbled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Crumbled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = &mut *self;
        if !this.begun {
            this.begun = true;
            this.first = Some((in_records(buf, 1), buf.len()));
        }
        while let Some((left, length)) = &mut this.first {
            if left.is_empty() {
                let length = *length;
                this.first = None;
                return Poll::Ready(Ok(length));
            }
            let written = std::task::ready!(Pin::new(&mut this.stream).poll_write(cx, left))?;
            left.drain(..written);
        }
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
