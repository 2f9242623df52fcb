//! Certificates and keys, out of PEM files.

use std::time::Duration;

use base::{Pointer, Problem};
use config::v1::Certificate;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Files, PROVIDER, fingerprint};
use crate::ShownCertificate;
use crate::compile::Findings;

/// A certificate with its key, checked.
pub(super) struct Pair {
    pub key: CertifiedKey,
    pub facts: ShownCertificate,
    /// Stands for both files' content.
    pub fingerprint: String,
}

/// Reads a certificate chain and its key. One that has expired is only warned of: refusing it would
/// also refuse every other change to the document.
pub(super) fn pair(
    written: &Certificate,
    at: &Pointer,
    files: &Files<'_>,
    wall: Duration,
    findings: &mut Findings,
) -> Option<Pair> {
    let (at_cert, at_key) = (at.key("cert"), at.key("key"));
    let cert = findings.take(files.read(&written.cert, "certificate", &at_cert));
    let key_pem = findings.take(files.read(&written.key, "private key", &at_key));
    let chain = cert.as_ref().and_then(|pem| findings.take(chain(pem, &written.cert, &at_cert)));
    let leaf = chain.as_ref().and_then(|chain| chain.first());
    let facts = leaf.and_then(|leaf| facts(leaf, &written.cert, &at_cert, wall, findings));
    let private =
        key_pem.as_ref().and_then(|pem| findings.take(private_key(pem, &written.key, &at_key)));
    let (chain, facts, private) = (chain?, facts?, private?);
    let made = CertifiedKey::from_der(chain, private, &PROVIDER).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            Problem::new(&at_key, format!("the key `{}` is not the certificate's", written.key))
                .hint("name the key that the certificate was asked for with")
                .see(&at_cert, "this certificate")
        }
        Error::InvalidCertificate(error) => {
            Problem::new(&at_cert, format!("the certificate can't be used: {error:?}"))
        }
        error => Problem::new(&at_key, format!("the key can't be used: {error}"))
            .hint("use an RSA key of 2048 bits or more, ECDSA (P-256, P-384, P-521) or Ed25519"),
    });
    let key = findings.take(made)?;
    let fingerprint = fingerprint([cert?.as_slice(), key_pem?.as_slice()]);
    Some(Pair { key, facts, fingerprint })
}

/// The authorities of a PEM file, and the file's bytes.
pub(super) fn authorities(
    name: &str,
    at: &Pointer,
    files: &Files<'_>,
    findings: &mut Findings,
) -> Option<(RootCertStore, Vec<u8>)> {
    let pem = findings.take(files.read(name, "file of authorities", at))?;
    let certificates = findings.take(chain(&pem, name, at))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        if let Err(error) = roots.add(certificate) {
            let what = format!("an authority in `{name}` can't be used: {error}");
            findings.problem(Problem::new(at, what));
            return None;
        }
    }
    Some((roots, pem))
}

/// The certificates of a PEM file, one at least.
fn chain(pem: &[u8], name: &str, at: &Pointer) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| bad_pem(name, &error, at))?;
    if chain.is_empty() {
        return Err(Problem::new(at, format!("`{name}` holds no certificate"))
            .hint("it must be a PEM file with `-----BEGIN CERTIFICATE-----` in it"));
    }
    Ok(chain)
}

fn private_key(pem: &[u8], name: &str, at: &Pointer) -> Result<PrivateKeyDer<'static>, Problem> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let is_encrypted = pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
        match error {
            PemError::NoItemsFound if is_encrypted => {
                Problem::new(at, format!("the private key `{name}` is encrypted"))
                    .hint("decrypt it, `openssl pkey -in KEY -out PLAIN`, and guard the file")
            }
            PemError::NoItemsFound => Problem::new(at, format!("`{name}` holds no private key"))
                .hint("it must be a PEM file with `-----BEGIN PRIVATE KEY-----` in it"),
            error => bad_pem(name, &error, at),
        }
    })
}

const ENCRYPTED: &[u8] = b"ENCRYPTED";

fn bad_pem(name: &str, error: &PemError, at: &Pointer) -> Problem {
    let what = match error {
        PemError::MissingSectionEnd { .. } => "a BEGIN line has no END line",
        PemError::IllegalSectionStart { .. } => "a BEGIN line is not as it must be",
        PemError::Base64Decode(_) => "what stands between BEGIN and END is not Base64",
        _ => "it can't be taken apart",
    };
    Problem::new(at, format!("`{name}` is no valid PEM file: {what}"))
        .hint("export it again, and copy it as a whole")
}

/// What there is to know of a certificate. One that does not hold now is warned of.
fn facts(
    leaf: &CertificateDer<'_>,
    name: &str,
    at: &Pointer,
    wall: Duration,
    findings: &mut Findings,
) -> Option<ShownCertificate> {
    let parsed = X509Certificate::from_der(leaf)
        .map_err(|error| Problem::new(at, format!("`{name}` holds no valid certificate: {error}")));
    let (_, parsed) = findings.take(parsed)?;
    let (now, validity) = (wall.as_secs() as i64, parsed.validity());
    let what = if validity.not_after.timestamp() < now {
        Some("has expired: clients will refuse it")
    } else if validity.not_before.timestamp() > now {
        Some("does not hold yet: clients will refuse it")
    } else {
        None
    };
    if let Some(what) = what {
        let warning = Problem::new(at, format!("the certificate `{name}` {what}"));
        findings.warning(warning.hint("renew it; it is read again when the file changes"));
    }
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let names = alternative.iter().flat_map(|names| &names.value.general_names);
    Some(ShownCertificate {
        names: names.filter_map(written_name).collect(),
        file: name.to_owned(),
        not_after: validity.not_after.timestamp(),
    })
}

fn written_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let any = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
            any.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
