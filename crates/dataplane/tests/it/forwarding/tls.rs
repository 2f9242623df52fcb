//! TLS towards upstreams: verified, and nothing sent before it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use config::Memory;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::{Gateway, document, endpoints, gateway, get};

/// A TLS server with a certificate of its own for this name: its port, the certificate, and the
/// bytes it was sent.
async fn server(name: &str, alpn: &[&[u8]]) -> (u16, String, Arc<AtomicUsize>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bytes = Arc::new(AtomicUsize::new(0));
    let counted = bytes.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), counted.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut read = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut read).await {
                    counted.fetch_add(count, Ordering::SeqCst);
                    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntls";
                    let _ = stream.write_all(ok).await;
                }
            });
        }
    });
    (port, cert.pem(), bytes)
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused_and_nothing_is_sent() {
    let (port, _, bytes) = server("localhost", &[b"http/1.1"]).await;
    let (_, other, _) = server("localhost", &[]).await;
    let settings = "tls: { ca: ca.pem }";
    let document = document(&endpoints(&[format!("https://localhost:{port}")], settings));
    let gateway = Gateway::real_with(&document, Memory::default().file("ca.pem", other));
    get(&gateway).await.refuses(502, "upstream_tls_failed");
    assert_eq!(bytes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_certificate_is_held_to_its_authority_and_its_name() {
    for (name, settings, expected) in [
        ("localhost", "", 200),
        ("other.example", "", 502),
        ("other.example", ", server_name: other.example", 200),
    ] {
        let (port, pem, _) = server(name, &[b"http/1.1"]).await;
        let settings = format!("tls: {{ ca: ca.pem{settings} }}");
        let document = document(&endpoints(&[format!("https://localhost:{port}")], &settings));
        let gateway = Gateway::real_with(&document, Memory::default().file("ca.pem", pem));
        let answer = get(&gateway).await;
        assert_eq!(answer.status, expected, "{name} {settings}: {}", answer.text);
        if expected == 200 {
            get(&gateway).await.is("tls");
        }
    }
}

#[tokio::test]
async fn a_server_without_alpn_speaks_http1() {
    let (port, _, _) = server("localhost", &[]).await;
    let gateway = gateway(&[format!("https://localhost:{port}")], "tls: { verify: false }");
    get(&gateway).await.is("tls");
}
