//! Clients whose certificates make verifying dear.

use std::sync::Arc;
use std::time::Duration;

use config::Memory;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::clients::{Beside, address, document};
use crate::support::Gateway;

/// For the host that the connection was made to, since it may depend on the certificate.
const REQUEST: &[u8] = b"GET /fixed HTTP/1.1\r\nHost: gateway.test\r\n\r\n";

/// What a client shows: its own certificate first, with its key.
type Shown = (Vec<CertificateDer<'static>>, KeyPair);

/// An authority of this name, to be signed or to sign.
fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn signed(name: &str, issuer: &Issuer<'_, impl rcgen::SigningKey>) -> Shown {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let made = params.signed_by(&key, issuer).expect("a certificate");
    (vec![made.der().clone()], key)
}

/// A certificate below twenty authorities of one name, each signed by the next: by their names each
/// may have issued every other, which makes 27 million ways up of six steps, none of which ends.
fn crossed(name: &str) -> Shown {
    let keys: Vec<_> = (0..20).map(|_| KeyPair::generate().expect("a key")).collect();
    let (mut chain, key) = signed("caller.test", &Issuer::new(authority(name), &keys[0]));
    for (number, own) in keys.iter().enumerate() {
        let issuer = Issuer::new(authority(name), &keys[(number + 1) % keys.len()]);
        let made = authority(name).signed_by(own, &issuer).expect("a certificate");
        chain.push(made.der().clone());
    }
    (chain, key)
}

/// What the library says of it.
fn verdict(root: &CertificateDer<'static>, (chain, _): &Shown) -> String {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(root)), provider());
    let verifier = verifier.build().expect("a verifier");
    let verified = verifier.verify_client_cert(&chain[0], &chain[1..], UnixTime::now());
    verified.map_or_else(|error| format!("{error:?}"), |_| "good".to_owned())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn roots(root: &CertificateDer<'static>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a root");
    roots
}

/// The first bytes that are answered to a client with this certificate; none where it is refused.
async fn answered(gateway: &Gateway, root: &CertificateDer<'static>, shown: &Shown) -> String {
    let key = PrivateKeyDer::try_from(shown.1.serialize_der()).expect("a key");
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots(root))
        .with_client_auth_cert(shown.0.clone(), key)
        .expect("a client");
    let ask = async {
        let stream = TcpStream::connect(address(gateway)).await.ok()?;
        let name = ServerName::try_from("gateway.test").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        stream.write_all(REQUEST).await.ok()?;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.ok()?;
        Some(String::from_utf8_lossy(&first).into_owned())
    };
    // A bound on hanging: untried, the ways take hours.
    let answer = tokio::time::timeout(Duration::from_secs(30), ask).await;
    answer.expect("it ends").unwrap_or_default()
}

/// Certificates that lead up in millions of ways are refused after a bounded number of steps, where
/// their names are the authority's and each way costs a signature, and where none is; callers with
/// good ones are served before and after.
///
/// The defence is webpki's: 100 signatures and 200,000 steps for a chain; that it was what ended it
/// is looked at. Seen to fail: with a webpki that has no such bounds, nothing was answered within
/// the 30 s.
#[tokio::test]
async fn fa_E20_chains_with_millions_of_ways_up_are_refused_soon() {
    let issuer = CertifiedIssuer::self_signed(authority("ca"), KeyPair::generate().expect("a key"));
    let issuer = issuer.expect("an authority");
    let root = issuer.der().clone();
    let (server, server_key) = signed("gateway.test", &issuer);
    let good = signed("caller.test", &issuer);
    let pem = |der: &[u8]| {
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    let files = Memory::default()
        .file("cert.pem", pem(&server[0]))
        .file("key.pem", server_key.serialize_pem())
        .file("ca.pem", issuer.pem());
    let tls = "tls: { certificates: [ { cert: cert.pem, key: key.pem } ], \
               client_certificates: { mode: require, ca: ca.pem } }, bind:";
    let document = document("", "").replace("bind:", tls);
    let gateway = Gateway::real_with(&document, files);
    assert_eq!(answered(&gateway, &root, &good).await, "HTTP/1.1 200");
    for (name, ends) in
        [("ca", "MaximumSignatureChecksExceeded"), ("x", "MaximumPathBuildCallsExceeded")]
    {
        let bad = crossed(name);
        assert_eq!(answered(&gateway, &root, &bad).await, "", "{name}");
        let said = verdict(&root, &bad);
        assert!(said.contains(ends), "{name}: {said}");
        assert_eq!(answered(&gateway, &root, &good).await, "HTTP/1.1 200");
    }
    let failed = "gateward_tls_handshakes_total{listener=\"web\",result=\"failed\"}";
    assert_eq!(Beside::new(&gateway).metric(failed).await, 2.0);
}
