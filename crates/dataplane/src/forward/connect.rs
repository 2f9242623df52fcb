//! From an endpoint to a byte stream: TCP or a Unix socket, then TLS where it is spoken. ALPN
//! decides between HTTP/1.1 and HTTP/2 where both are offered.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use policy::codes;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use snapshot::{Bind, EndpointScheme, UpstreamTls};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::endpoint::Endpoint;
use super::failure::Failure;
use crate::accept::io::{Io, Plain};
use crate::testing;

/// Time the first of two addresses has before the second is tried too (RFC 8305 §8).
const STAGGER: Duration = Duration::from_millis(250);

/// A connection just made.
pub(crate) struct Connected {
    /// The stream.
    pub io: Io,
    /// Whether ALPN agreed on HTTP/2.
    pub http2: bool,
}

/// What ALPN offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// HTTP/2 and HTTP/1.1, as far as the upstream's protocol has them.
    Both,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

/// Connects to `endpoint`, without a bound on the time it takes.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    tls: Option<&UpstreamTls>,
    offer: Offer,
) -> Result<Connected, Failure> {
    let plain = plain(endpoint).await.map_err(|error| {
        Failure::unsent(&codes::CONNECT_FAILED, format!("{}: {error}", endpoint.label))
    })?;
    if endpoint.key.scheme != EndpointScheme::Https {
        let io = match plain {
            Plain::Tcp(stream) => Io::Tcp(stream),
            Plain::Unix(stream) => Io::Unix(stream),
            Plain::Memory(stream) => Io::Memory(stream),
        };
        return Ok(Connected { io, http2: false });
    }
    let failed = |what: &dyn std::fmt::Display| {
        Failure::unsent(&codes::UPSTREAM_TLS_FAILED, format!("{}: TLS: {what}", endpoint.label))
    };
    let tls = tls.ok_or_else(|| failed(&"the upstream has no TLS settings"))?;
    let name = server_name(endpoint, tls).ok_or_else(|| failed(&"the host is no server name"))?;
    let config = match offer {
        Offer::Both => tls.config.clone(),
        Offer::Http1 => offering(&tls.config, b"http/1.1"),
        Offer::Http2 => offering(&tls.config, b"h2"),
    };
    let stream = TlsConnector::from(config).connect(name, plain).await;
    let stream = stream.map_err(|error| failed(&chain(&error)))?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Connected { io: Io::Tls(Box::new(stream.into())), http2 })
}

async fn plain(endpoint: &Endpoint) -> io::Result<Plain> {
    if let Some(stream) = testing::connect(&endpoint.key.at) {
        return stream.map(Plain::Memory);
    }
    let stream = match (&endpoint.key.at, endpoint.key.other) {
        (Bind::Unix(path), _) => return Ok(Plain::Unix(UnixStream::connect(path).await?)),
        (Bind::Tcp(address), None) => TcpStream::connect(address).await?,
        (Bind::Tcp(address), Some(other)) => either(*address, other).await?,
    };
    stream.set_nodelay(true)?;
    Ok(Plain::Tcp(stream))
}

/// Connects to one of two addresses of the same host (RFC 8305): the second is tried when the first
/// has failed or takes its time, and whichever answers first is taken.
async fn either(first: SocketAddr, second: SocketAddr) -> io::Result<TcpStream> {
    let mut one = pin!(TcpStream::connect(first));
    if let Ok(connected) = tokio::time::timeout(STAGGER, one.as_mut()).await {
        return match connected {
            Ok(stream) => Ok(stream),
            Err(error) => TcpStream::connect(second).await.map_err(|_| error),
        };
    }
    let mut other = pin!(TcpStream::connect(second));
    tokio::select! {
        connected = one.as_mut() => match connected {
            Ok(stream) => Ok(stream),
            Err(error) => other.await.map_err(|_| error),
        },
        connected = other.as_mut() => match connected {
            Ok(stream) => Ok(stream),
            Err(_) => one.await,
        },
    }
}

fn server_name(endpoint: &Endpoint, tls: &UpstreamTls) -> Option<ServerName<'static>> {
    tls.server_name.clone().or_else(|| endpoint.server_name.clone())
}

/// The same settings, offering this alone. Cheap: what settings are made of is shared.
fn offering(config: &Arc<ClientConfig>, protocol: &[u8]) -> Arc<ClientConfig> {
    if config.alpn_protocols.len() == 1 && config.alpn_protocols.iter().any(|p| p == protocol) {
        return config.clone();
    }
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::forward::endpoint::Key;

    #[tokio::test]
    async fn the_other_address_is_taken_where_one_does_not_connect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = listener.local_addr().unwrap();
        let dead = testkit::port::refusing();
        for (first, second) in [(alive, dead), (dead, alive)] {
            let stream = either(first, second).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), alive);
        }
        let error = either(dead, dead).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let (scheme, authority) = (EndpointScheme::Http, "orders:80".into());
        let key = Key { scheme, at: Bind::Tcp(dead), other: Some(alive), authority };
        assert!(connect(&Endpoint::new(key, None), None, Offer::Both).await.is_ok());
    }
}
