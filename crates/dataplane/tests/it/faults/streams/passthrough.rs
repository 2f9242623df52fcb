//! TLS passed on unopened: the ClientHello says where, however it arrives.

use std::sync::Arc;
use std::time::Duration;

use config::Memory;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::faults::streams::hello::{self, Crumbled};
use crate::memory::Bench;

/// A listener in memory that passes two names on to the one endpoint, and all others to one that is
/// not there: who gets there by mistake is closed, and not heard by the endpoint.
const NAMED: &str = "
version: 1
listeners:
  - name: web
    bind: '127.0.0.1:80'
    tls_passthrough:
      routes: [ { names: [ a.example.com, '*.b.example.com' ], upstream: 'tcp://10.0.0.1:80' } ]
      default: 'tcp://10.0.0.9:80'
";

/// A hello cut into records of any size, and into packets of a byte, is routed as the whole one,
/// and reaches the upstream byte for byte.
///
/// Seen to fail: with `relay/hello.rs` reading the first record alone, the connection goes by no
/// name and ends without a byte.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_D19_a_a_fragmented_hello_is_routed_as_the_whole_one() {
    let mut bench = Bench::new(NAMED, 64 << 10);
    let whole = hello::of("x.b.example.com");
    for size in [1, 2, 3, 5, 100, whole.len()] {
        let bytes = hello::in_records(&whole, size);
        for packet in [1, bytes.len() / 3 + 1] {
            let mut client = bench.client_of(packet);
            let sends = async {
                client.stream.write_all(&bytes).await.unwrap();
                client.stream.write_all(b"more").await.unwrap();
            };
            let reads = async {
                let mut upstream = bench.arrival().await;
                let mut got = vec![0; bytes.len() + 4];
                upstream.stream.read_exact(&mut got).await.unwrap();
                got
            };
            let ((), got) = tokio::join!(sends, reads);
            assert!(got == [&bytes[..], b"more"].concat(), "records of {size}");
        }
    }
}

/// A hello longer than 16 KiB, in too many pieces, or that could be read in two ways is closed; it
/// never goes the way of those without a name.
///
/// Seen to fail: with `HelloMalformed` made a hello without a name, the default gets it.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_D19_b_a_hello_that_is_too_long_or_broken_goes_nowhere() {
    let document = NAMED.replace("10.0.0.9", "10.0.0.1");
    let bench = Bench::new(&document, 64 << 10);
    let whole = hello::of("a.example.com");
    let longer = [&[22, 3, 1, 0x40, 0, 1, 0, 0x40, 0][..], &[0; 16_400]].concat();
    let mut crumbs = whole.clone();
    // As long as may be, in records of a byte.
    crumbs.resize(5 + (16 << 10), 0);
    crumbs[6..9].copy_from_slice(&[0, 0x3f, 0xfc]);
    let crumbs = hello::in_records(&crumbs, 1);
    let behind =
        [&whole[..3], &((whole.len() - 4) as u16).to_be_bytes(), &whole[5..], &[0]].concat();
    for (what, bytes) in [
        ("longer", longer),
        ("crumbs", crumbs),
        ("bytes behind it", behind),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ] {
        let mut client = bench.client_of(64 << 10);
        // The gateway may have closed before it took all.
        let _ = client.stream.write_all(&bytes).await;
        assert_eq!(patient(client.rest()).await, "", "{what}");
    }
    bench.settle().await;
    assert!(bench.nobody_arrived(), "the endpoint heard of it");
}

/// A hello that does not come is waited for 5 s and no longer; it never goes the way of those
/// without a name.
///
/// Seen to fail: without the deadline around the hello in `relay/mod.rs` the connection is open
/// for ever.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_D19_c_a_hello_that_stalls_is_closed_after_five_seconds() {
    let document = NAMED.replace("10.0.0.9", "10.0.0.1");
    let bench = Bench::new(&document, 64 << 10);
    let whole = hello::of("a.example.com");
    for part in [0, 1, 4, whole.len() / 2, whole.len() - 1] {
        let mut client = bench.client_of(64 << 10);
        client.stream.write_all(&whole[..part]).await.unwrap();
        bench.pass(Duration::from_millis(4_900)).await;
        let mut byte = [0];
        let open = tokio::time::timeout(Duration::from_millis(1), client.stream.read(&mut byte));
        assert!(open.await.is_err(), "closed too soon, after {part} bytes");
        bench.pass(Duration::from_millis(200)).await;
        assert_eq!(patient(client.rest()).await, "", "after {part} bytes");
    }
    assert!(bench.nobody_arrived(), "the endpoint heard of it");
}

/// A certificate for a name of its own, with its key.
fn certificate(name: &str) -> (CertificateDer<'static>, CertifiedKey<rcgen::KeyPair>) {
    let certified = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    (certified.cert.der().clone(), certified)
}

fn trusting<'c>(all: impl Iterator<Item = &'c CertificateDer<'static>>) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    all.for_each(|certificate| roots.add(certificate.clone()).unwrap());
    TlsConnector::from(hello::config(roots))
}

/// A TLS server with a certificate of its own for `name` that says its name to whoever shakes
/// hands.
async fn tls_server(name: &'static str) -> (String, CertificateDer<'static>) {
    let (der, certified) = certificate(name);
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, url) = server().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                stream.write_all(name.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    (url, der)
}

/// Real handshakes reach the server of their name, whole and in crumbs; who asks for a name without
/// an upstream hears `unrecognized_name` where there is no default.
///
/// Seen to fail: with `ServerNames::find` looking at no wildcards, the second client meets the
/// default's certificate.
#[tokio::test]
async fn fa_H14_i_handshakes_reach_the_server_of_their_name() {
    let (one_url, one) = tls_server("one.test").await;
    let (two_url, two) = tls_server("x.two.test").await;
    let (rest_url, other) = tls_server("other.test").await;
    let routes = format!(
        "routes: [ {{ names: [ one.test ], upstream: '{one_url}' }}, \
         {{ names: [ '*.two.test' ], upstream: '{two_url}' }} ]"
    );
    let with_default =
        tcp_gateway(&format!("tls_passthrough: {{ {routes}, default: '{rest_url}' }}"), "  []");
    let without = tcp_gateway(&format!("tls_passthrough: {{ {routes} }}"), "  []");
    let tls = trusting([&one, &two, &other].into_iter());
    for name in ["one.test", "x.two.test", "other.test"] {
        let whole = call(&with_default).await;
        let mut stream = patient(tls.connect(name.try_into().unwrap(), whole)).await.unwrap();
        assert_eq!(rest(&mut stream).await, name.as_bytes());
        let crumbs = Crumbled::new(call(&with_default).await);
        let mut stream = patient(tls.connect(name.try_into().unwrap(), crumbs)).await.unwrap();
        assert_eq!(rest(&mut stream).await, name.as_bytes(), "in crumbs");
    }
    let stream = call(&without).await;
    let error = patient(tls.connect("other.test".try_into().unwrap(), stream)).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("Unrecogni"), "{said}");
}

/// A listener that opens TLS itself shows the same certificate to a hello in crumbs as to a whole
/// one.
///
/// Seen to fail: the records are put together by rustls, which can't be told not to; with
/// `reject_unknown_sni` and a resolver that ignores names, the other certificate is shown.
#[tokio::test]
async fn fa_D19_d_a_fragmented_hello_meets_the_same_certificate() {
    let (one, one_key) = certificate("one.test");
    let (two, two_key) = certificate("two.test");
    let mut files = Memory::default();
    for (name, of) in [("one", &one_key), ("two", &two_key)] {
        files = files.file(format!("{name}.pem"), of.cert.pem());
        files = files.file(format!("{name}.key"), of.signing_key.serialize_pem());
    }
    let document = "version: 1
listeners:
  - name: web
    bind: '127.0.0.1:0'
    tls:
      certificates: [ { cert: one.pem, key: one.key }, { cert: two.pem, key: two.key } ]
apis: [ { name: a, routes: [ { respond: { body: hello } } ] } ]
";
    let gateway = Gateway::real_with(document, files);
    let tls = trusting([&one, &two].into_iter());
    for name in ["one.test", "two.test"] {
        let crumbs = Crumbled::new(call(&gateway).await);
        let mut stream = patient(tls.connect(name.try_into().unwrap(), crumbs)).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = String::from_utf8(rest(&mut stream).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
    }
}
