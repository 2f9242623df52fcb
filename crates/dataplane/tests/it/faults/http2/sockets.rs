//! The same over real sockets and TLS.

use std::sync::Arc;

use config::Memory;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use testkit::attack::frames::{Block, Frame, Peer, code, kind};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::Gateway;

/// A gateway that speaks TLS on a port of its own, and who it can be reached by.
struct Secure {
    _gateway: Gateway,
    port: u16,
    connector: TlsConnector,
}

impl Secure {
    fn start() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let port = testkit::port::reserved();
        let document = format!(
            "
version: 1
listeners:
  - name: web
    bind: '127.0.0.1:{port}'
    tls: {{ certificates: [ {{ cert: cert.pem, key: key.pem }} ] }}
apis: [ {{ name: here, routes: [ {{ respond: {{ body: 'here' }} }} ] }} ]
"
        );
        let files = Memory::default()
            .file("cert.pem", cert.pem())
            .file("key.pem", signing_key.serialize_pem());
        let gateway = Gateway::real_with(&document, files);
        Self { _gateway: gateway, port, connector: connector(cert.der().clone()) }
    }

    async fn client(&self) -> Peer<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Peer::client(self.connector.connect(name, stream).await.unwrap()).await
    }
}

fn connector(certificate: CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

fn get() -> Block {
    Block::request("GET", "/", "localhost")
}

/// A rapid reset over TLS: the client is told and gone, while another is answered without a break.
///
/// Seen to fail: with `UNSEEN_RESETS_MAX` and `http2_resets` at 10,000 the client goes on.
#[tokio::test]
async fn fa_B01_e_a_rapid_reset_over_tls() {
    let secure = Secure::start();
    let mut good = secure.client().await;
    let mut bad = secure.client().await;
    let mut attack = Vec::new();
    for request in 0..5_000 {
        attack.extend(Frame::head(request * 2 + 1, true, &get()).bytes());
        attack.extend(Frame::reset(request * 2 + 1, code::CANCEL).bytes());
    }
    let attacked = async {
        bad.send_bytes(&attack).await;
        let mut told = None;
        while let Some(frame) = bad.next_of(&[kind::GOAWAY]).await {
            told = Some(frame.error());
        }
        told
    };
    let served = async {
        for request in 0..50 {
            good.send(&Frame::head(request * 2 + 1, true, &get())).await;
            assert_eq!(good.response(request * 2 + 1).await.0, 200);
        }
    };
    let (told, ()) = tokio::join!(attacked, served);
    assert_eq!(told, Some(code::ENHANCE_YOUR_CALM));
}

/// Pings without end over TLS, and nobody reads the answers: the connection ends.
///
/// Seen to fail: without the charge in `Conduct::pay` it ends as an idle one does, with no reason.
#[tokio::test]
async fn fa_B11_d_pings_without_end_over_tls() {
    let secure = Secure::start();
    let mut client = secure.client().await;
    let pings = Frame::ping(1).bytes().repeat(1_000);
    let mut sent = 0;
    while sent < 10_000 && client.send_bytes(&pings).await {
        sent += 1;
    }
    let told = client.rest().await.into_iter().rfind(|frame| frame.kind == kind::GOAWAY);
    assert_eq!(told.map(|frame| frame.error()), Some(code::ENHANCE_YOUR_CALM));
    let mut good = secure.client().await;
    good.send(&Frame::head(1, true, &get())).await;
    assert_eq!(good.response(1).await.0, 200);
}
