//! Servers that speak TLS badly, or something that is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::wire::Wire;

/// What a server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A good certificate for this name.
    Good(&'static str),
    /// One that has ended.
    Expired(&'static str),
    /// One that is not valid yet.
    Early(&'static str),
    /// One nobody vouches for.
    SelfSigned(&'static str),
}

/// How a server begins.
#[derive(Clone)]
pub enum TlsFault {
    /// Without TLS.
    None,
    /// With TLS by these settings.
    Speaks(Arc<ServerConfig>),
    /// It never answers the client's hello.
    Silent,
    /// It answers with the first bytes of a hello and then nothing.
    StallsWithin,
    /// It picks this old version, 1 for TLS 1.0 and 2 for TLS 1.1, whatever is offered.
    Old(u8),
    /// It answers in plain HTTP, before it is asked anything.
    PlainText,
    /// It closes as soon as the hello is there.
    Closes,
}

impl TlsFault {
    /// TLS, with an identity that an authority vouches for, or not: the settings, and the
    /// authority's certificate (PEM).
    pub fn speaking(identity: Identity) -> (Self, String) {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "an authority");
        let key = || KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
        let (Identity::Good(name)
        | Identity::Expired(name)
        | Identity::Early(name)
        | Identity::SelfSigned(name)) = identity;
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        match identity {
            Identity::Expired(_) => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            Identity::Early(_) => {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2091, 1, 1);
            }
            Identity::Good(_) | Identity::SelfSigned(_) => {}
        }
        let own = key();
        let certificate = match identity {
            Identity::SelfSigned(_) => params.self_signed(&own),
            _ => params.signed_by(&own, &authority),
        };
        let certificate = certificate.expect("a certificate").der().clone();
        let key = PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("they fit");
        (Self::Speaks(Arc::new(config)), authority.pem())
    }

    /// Begins a connection; none if nothing comes of it. Bytes that come after a handshake that
    /// failed, or beside a hello, are counted.
    pub(super) async fn greet(&self, mut stream: TcpStream, bytes: &AtomicUsize) -> Option<Wire> {
        match self {
            Self::None => return Some(Wire::Plain(stream)),
            Self::Speaks(config) => {
                let accepted = TlsAcceptor::from(config.clone()).accept(stream).await.ok()?;
                return Some(Wire::Tls(Box::new(accepted)));
            }
            Self::PlainText => {
                let _ = stream.write_all(&super::response(200, "", "injected")).await;
            }
            Self::Silent => {}
            Self::StallsWithin => {
                hello(&mut stream).await?;
                let _ = stream.write_all(&[22, 3, 3, 0, 122, 2, 0]).await;
            }
            Self::Old(minor) => {
                hello(&mut stream).await?;
                let _ = stream.write_all(&server_hello(*minor)).await;
            }
            Self::Closes => {
                hello(&mut stream).await?;
                return None;
            }
        }
        self.drain(stream, bytes).await;
        None
    }

    /// Reads what still comes. A client may say hello and alert; whatever else it sends counts.
    async fn drain(&self, mut stream: TcpStream, bytes: &AtomicUsize) {
        let mut read = Vec::new();
        while stream.read_buf(&mut read).await.is_ok_and(|count| count > 0) {}
        let mut rest = read.as_slice();
        while let [kind @ (21 | 22), 3, _, high, low, ..] = rest {
            let length = 5 + usize::from(u16::from_be_bytes([*high, *low]));
            let whole = length <= rest.len() && (*kind == 21 || rest.get(5) == Some(&1));
            if !whole {
                break;
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        bytes.fetch_add(rest.len(), SeqCst);
    }
}

/// Reads the record a client begins with.
async fn hello(stream: &mut TcpStream) -> Option<()> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.ok()?;
    let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut record).await.ok().map(|_| ())
}

/// A server's hello that picks TLS 1.`minor - 1` and a cipher suite of its time.
fn server_hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    // No session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression, no extensions.
    body.extend([0, 0xc0, 0x13, 0]);
    let mut record = vec![22, 3, minor, 0, body.len() as u8 + 4, 2, 0, 0, body.len() as u8];
    record.extend(body);
    record
}
