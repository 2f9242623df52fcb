//! Keys out of PEM (RFC 7468): public ones, those of certificates, and private ones.

use rustls_pki_types::pem::{SectionKind, SliceIter};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::Jwk;
use super::jwk::Numbers;

const FORM: &str = "it is no PEM of a public key or a certificate";

impl Jwk {
    /// The public keys and the keys of the certificates in `pem`.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Vec<Self>, &'static str> {
        let mut keys = Vec::new();
        for section in SliceIter::<(SectionKind, Vec<u8>)>::new(pem) {
            keys.push(match section.map_err(|_| FORM)? {
                (SectionKind::PublicKey, der) => Self::from_spki(&der)?,
                (SectionKind::Certificate, der) => Self::from_certificate(&der)?,
                _ => return Err(FORM),
            });
        }
        if keys.is_empty() { Err(FORM) } else { Ok(keys) }
    }

    /// The key of a certificate in DER.
    fn from_certificate(der: &[u8]) -> Result<Self, &'static str> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| FORM)?;
        Self::from_info(certificate.public_key())
    }

    /// The key of a SubjectPublicKeyInfo in DER.
    fn from_spki(der: &[u8]) -> Result<Self, &'static str> {
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| FORM)?;
        if rest.is_empty() { Self::from_info(&info) } else { Err(FORM) }
    }

    fn from_info(info: &SubjectPublicKeyInfo<'_>) -> Result<Self, &'static str> {
        let bits = info.subject_public_key.data.as_ref();
        let kind = &info.algorithm.algorithm;
        let numbers = if *kind == OID_PKCS1_RSAENCRYPTION {
            rsa(bits)
        } else if *kind == OID_SIG_ED25519 {
            Some(Numbers::Okp(bits.to_vec()))
        } else if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            curve.and_then(|curve| point(curve_name(&curve)?, bits))
        } else {
            None
        };
        numbers.map(Self::bare).ok_or("it is no RSA, EC or Ed25519 key that is known here")
    }
}

fn curve_name(curve: &Oid<'_>) -> Option<&'static str> {
    // The registry of x509-parser calls P-256 by its older name.
    let p256 = x509_parser::oid_registry::OID_EC_P256;
    let known = [(p256, "P-256"), (OID_NIST_EC_P384, "P-384"), (OID_NIST_EC_P521, "P-521")];
    known.iter().find(|(oid, _)| oid == curve).map(|(_, name)| *name)
}

/// The numbers of an RSAPublicKey in DER (RFC 8017).
pub(super) fn rsa(der: &[u8]) -> Option<Numbers> {
    let (_, key) = RSAPublicKey::from_der(der).ok()?;
    Some(Numbers::Rsa { n: unsigned(key.modulus), e: unsigned(key.exponent) })
}

/// The numbers of an uncompressed point.
pub(super) fn point(curve: &str, bytes: &[u8]) -> Option<Numbers> {
    let (form, coordinates) = bytes.split_first()?;
    if *form != 4 || coordinates.len() % 2 != 0 {
        return None;
    }
    let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
    Some(Numbers::Ec { curve: curve.to_owned(), x: x.to_vec(), y: y.to_vec() })
}

/// A number without the zeros that DER puts before it.
fn unsigned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}
