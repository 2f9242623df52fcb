//! TLS with a client: the handshake, and what is known of the connection after it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::ready;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::{ClientCertificate, Tls};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::gate::{Gate, Ticket};
use super::io::{Io, Plain};

/// A connection on which TLS is spoken.
pub(crate) struct Accepted {
    /// The stream.
    pub io: Io,
    /// What is known of it.
    pub tls: Tls,
    /// Whether HTTP/2 was agreed on (ALPN).
    pub http2: bool,
}

/// How a handshake takes turns with what else there is to do.
pub(crate) struct Turn<'c> {
    /// The core's gate.
    pub gate: &'c Rc<Gate>,
    /// Handshakes that pass it in a turn.
    pub at_once: usize,
}

/// Shakes hands by `config`, the one of the snapshot of this moment: new certificates serve new
/// connections. `read` is what was read of the connection already. Nothing is made for a client
/// that has not said anything.
pub(crate) async fn accept(
    plain: Plain,
    read: &[u8],
    config: Arc<ServerConfig>,
    turn: Turn<'_>,
) -> io::Result<Accepted> {
    if read.is_empty() {
        plain.readable().await?;
    }
    let mut fed = Ok(());
    let mut ticket = Ticket::default();
    poll_fn(|cx| turn.gate.poll_pass(cx, &mut ticket, turn.at_once)).await;
    let shaking = TlsAcceptor::from(config).accept_with(plain, |session| fed = feed(session, read));
    fed?;
    let mut shaking = pin!(shaking);
    // The first step goes with the pass that was just had; each further one needs its own.
    let mut passed = true;
    let stream = poll_fn(|cx| {
        if !std::mem::take(&mut passed) {
            ready!(turn.gate.poll_pass(cx, &mut ticket, turn.at_once));
        }
        shaking.as_mut().poll(cx)
    })
    .await?;
    let session = stream.get_ref().1;
    let (tls, http2) = (facts(session), session.alpn_protocol() == Some(b"h2"));
    let io = Io::Tls(Box::new(tokio_rustls::TlsStream::Server(stream)));
    Ok(Accepted { io, tls, http2 })
}

/// Gives the session bytes that came before it was made.
fn feed(session: &mut ServerConnection, mut read: &[u8]) -> io::Result<()> {
    while !read.is_empty() {
        session.read_tls(&mut read)?;
        session
            .process_new_packets()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
    Ok(())
}

fn facts(session: &ServerConnection) -> Tls {
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    };
    let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    Tls {
        version,
        cipher: cipher.unwrap_or_default().into(),
        server_name: session.server_name().map(Arc::from),
        client: leaf.map(|leaf| Arc::new(certificate(leaf.as_ref()))),
    }
}

/// What a certificate says of its owner. rustls has verified it; one that can't be read here has no
/// names.
fn certificate(der: &[u8]) -> ClientCertificate {
    let hash = digest(&SHA256, der);
    let mut sha256 = [0; 32];
    sha256.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    let parsed = X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed);
    let subject = parsed.as_ref().map(|parsed| parsed.subject().to_string()).unwrap_or_default();
    let names = parsed.and_then(|parsed| {
        let names = parsed.subject_alternative_name().ok()??.value.general_names.iter();
        Some(names.filter_map(name).collect())
    });
    let field = format!(":{}:", BASE64.encode(der));
    let names = names.unwrap_or_default();
    ClientCertificate { subject, names, sha256, der: der.to_vec(), field }
}

/// A name of a certificate as text; kinds that have no usual text are left out.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::Ipv4Addr::from(bytes).to_string());
    let v6 =
        || <[u8; 16]>::try_from(bytes).map(|bytes| std::net::Ipv6Addr::from(bytes).to_string());
    v4.or_else(|_| v6()).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    };
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A server that wants a certificate of its authority's, and a client that has one.
    fn pair() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let signed = |name: &str| {
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names.push(SanType::IpAddress("192.0.2.1".parse().unwrap()));
            let key = KeyPair::generate().unwrap();
            let chain = vec![params.signed_by(&key, &authority).unwrap().der().clone()];
            (chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let roots = Arc::new(roots);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let (chain, key) = signed("gateway.test");
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (chain, key) = signed("caller.test");
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        client.alpn_protocols = vec![b"h2".to_vec()];
        (Arc::new(server), Arc::new(client))
    }

    #[tokio::test(flavor = "local")]
    async fn what_the_handshake_told_is_known_after_it() {
        let (server, client) = pair();
        let (near, far) = tokio::io::duplex(64 << 10);
        let client = async {
            let name = ServerName::try_from("gateway.test").unwrap();
            let mut stream =
                tokio_rustls::TlsConnector::from(client).connect(name, far).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream
        };
        let gate = Rc::default();
        let turn = Turn { gate: &gate, at_once: 1 };
        let (accepted, _stream) =
            tokio::join!(accept(Plain::Memory(near), b"", server, turn), client);
        let mut accepted = accepted.unwrap();
        let mut said = [0; 5];
        accepted.io.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"hello");
        assert!(accepted.http2);
        assert_eq!(accepted.tls.version, "1.3");
        assert_eq!(accepted.tls.server_name.as_deref(), Some("gateway.test"));
        assert!(accepted.tls.cipher.starts_with("TLS13_"), "{}", accepted.tls.cipher);
        let shown = accepted.tls.client.unwrap();
        assert!(shown.subject.contains("caller.test"), "{}", shown.subject);
        assert_eq!(shown.names, ["caller.test", "192.0.2.1"]);
        assert_eq!(shown.sha256, digest(&SHA256, &shown.der).as_ref());
    }
}
