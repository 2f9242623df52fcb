//! The files that documents of these tests name: certificates made once, and what is no
//! certificate.

use std::sync::LazyLock;

use config::Memory;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority and what it signed.
pub struct Pki {
    issuer: Issuer<'static, KeyPair>,
    pub ca: String,
    /// For `api.example.com`, `*.wild.example.com` and 127.0.0.1.
    pub server: Pair,
    /// For `other.example.com`.
    pub other: Pair,
    /// A caller's.
    pub client: Pair,
    /// For `api.example.com`, until 2021.
    pub expired: Pair,
}

/// A certificate and its key, as PEM.
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Pki {
    /// Another certificate for the names of `server`, with a key of its own.
    pub fn renewed(&self) -> Pair {
        sign(&self.issuer, &["api.example.com", "*.wild.example.com", "127.0.0.1"], 2091)
    }
}

fn sign(issuer: &Issuer<'_, KeyPair>, names: &[&str], last_year: i32) -> Pair {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(last_year, 1, 1);
    let cert = params.signed_by(&key, issuer).unwrap().pem();
    Pair { cert, key: key.serialize_pem() }
}

/// Made once: keys take their time.
pub static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Test authority");
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let sign = |names: &[&str], last_year| sign(&issuer, names, last_year);
    Pki {
        server: sign(&["api.example.com", "*.wild.example.com", "127.0.0.1"], 2090),
        other: sign(&["other.example.com"], 2090),
        client: sign(&["client"], 2090),
        expired: sign(&["api.example.com"], 2021),
        ca,
        issuer,
    }
});

/// The files.
pub fn world() -> Memory {
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    Memory::default()
        .file("api.pem", PKI.server.cert.as_str())
        .file("api.key", PKI.server.key.as_str())
        .file("other.pem", PKI.other.cert.as_str())
        .file("other.key", PKI.other.key.as_str())
        .file("client.pem", PKI.client.cert.as_str())
        .file("client.key", PKI.client.key.as_str())
        .file("expired.pem", PKI.expired.cert.as_str())
        .file("expired.key", PKI.expired.key.as_str())
        .file("ca.pem", PKI.ca.as_str())
        .file("orders.yaml", "openapi: 3.0.0\npaths: { /orders: { get: { operationId: list } } }\n")
        .file(
            "wrong.yaml",
            "openapi: 3.0.0\npaths: { /a: { get: { parameters: [ { in: path } ] } } }\n",
        )
        .file("twice.json", "{ \"openapi\": \"3.0.0\",\n  \"openapi\": \"3.1.0\" }\n")
        .file("empty.pem", "")
        .file("words.pem", "this is no certificate\n")
        .file("cut.pem", &*PKI.server.cert.replace("-----END CERTIFICATE-----", ""))
        .file("encrypted.key", encrypted)
}
