//! Keys that sign, and the document that publishes their public halves.

use std::fmt;

#[cfg(test)]
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair, RsaSignatureEncoding,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

use super::algorithm::Family;
use super::jwk::Numbers;
use super::{Algorithm, Jwk, encode, pem};

/// A key that signs, with its one algorithm.
pub(crate) struct SigningKey {
    jwk: Jwk,
    algorithm: Algorithm,
    signer: Signer,
}

#[allow(clippy::large_enum_variant, reason = "there are few, each made once")]
enum Signer {
    Rsa(RsaKeyPair, &'static RsaSignatureEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(hmac::Key),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {:?})", self.algorithm.name(), self.kid())
    }
}

const NO_KEY: &str = "it is no private key in PEM";
const NO_SUCH: &str = "it is no RSA (2048 bits or more), EC (P-256, P-384, P-521) or Ed25519 key";

impl SigningKey {
    /// The private key in `text`: PKCS #8, PKCS #1 or SEC 1, not encrypted. Its algorithm is
    /// `wanted`, or else what fits: `RS256`, that of its curve, `EdDSA`.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it.
    pub(crate) fn from_pem(text: &[u8], wanted: Option<Algorithm>) -> Result<Self, &'static str> {
        let der = PrivateKeyDer::from_pem_slice(text).map_err(|_| NO_KEY)?;
        let all = wanted.as_ref().map_or(Algorithm::ASYMMETRIC, std::slice::from_ref);
        let read = all.iter().find_map(|algorithm| Self::from_der(&der, *algorithm));
        let found = read.ok_or(match wanted {
            None => NO_SUCH,
            Some(_) => "it is no private key for the algorithm that is wanted",
        })?;
        if matches!(&found.signer, Signer::Rsa(pair, _) if pair.public_modulus_len() < 256) {
            return Err(NO_SUCH);
        }
        Ok(found)
    }

    fn from_der(der: &PrivateKeyDer<'_>, algorithm: Algorithm) -> Option<Self> {
        let bytes = der.secret_der();
        let pkcs8 = matches!(der, PrivateKeyDer::Pkcs8(_));
        let signer = match (der, algorithm.family()) {
            (PrivateKeyDer::Pkcs8(_), Family::Rsa) => {
                Signer::Rsa(RsaKeyPair::from_pkcs8(bytes).ok()?, rsa(algorithm)?)
            }
            (PrivateKeyDer::Pkcs1(_), Family::Rsa) => {
                Signer::Rsa(RsaKeyPair::from_der(bytes).ok()?, rsa(algorithm)?)
            }
            (PrivateKeyDer::Pkcs8(_) | PrivateKeyDer::Sec1(_), Family::Ec(..)) => {
                let how = ecdsa(algorithm)?;
                let pair = match pkcs8 {
                    true => EcdsaKeyPair::from_pkcs8(how, bytes),
                    false => EcdsaKeyPair::from_private_key_der(how, bytes),
                };
                Signer::Ec(pair.ok()?)
            }
            // What other tools write often has the private half alone.
            (PrivateKeyDer::Pkcs8(_), Family::Ed25519) => {
                Signer::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes).ok()?)
            }
            _ => return None,
        };
        Self::new(signer, algorithm)
    }

    /// A new key: RSA of 2048 bits, on a curve, or Ed25519; no secret.
    pub(crate) fn generate(algorithm: Algorithm) -> Option<Self> {
        let signer = match algorithm.family() {
            Family::Rsa => {
                Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).ok()?, rsa(algorithm)?)
            }
            Family::Ec(..) => Signer::Ec(EcdsaKeyPair::generate(ecdsa(algorithm)?).ok()?),
            Family::Ed25519 => Signer::Ed25519(Ed25519KeyPair::generate().ok()?),
            Family::Hmac(_) => return None,
        };
        Self::new(signer, algorithm)
    }

    /// A secret that both ends know, at least as long as the algorithm's codes.
    pub(crate) fn from_secret(secret: &[u8], algorithm: Algorithm) -> Option<Self> {
        let Family::Hmac(least) = algorithm.family() else { return None };
        if secret.len() < least {
            return None;
        }
        let signer = Signer::Secret(hmac::Key::new(algorithm.hmac()?, secret));
        let jwk = Jwk::bare(Numbers::Secret(secret.to_vec()));
        Some(Self { jwk, algorithm, signer })
    }

    /// Called by its thumbprint, so that the same key has the same name wherever it is read.
    fn new(signer: Signer, algorithm: Algorithm) -> Option<Self> {
        let numbers = match (&signer, algorithm.family()) {
            (Signer::Rsa(pair, _), _) => pem::rsa(pair.public_key().as_ref()),
            (Signer::Ec(pair), Family::Ec(curve, _)) => {
                pem::point(curve, pair.public_key().as_ref())
            }
            (Signer::Ed25519(pair), _) => Some(Numbers::Okp(pair.public_key().as_ref().to_vec())),
            _ => None,
        };
        let mut jwk = Jwk::bare(numbers?);
        jwk.kid = Some(jwk.thumbprint());
        jwk.alg = Some(algorithm.name().to_owned());
        Some(Self { jwk, algorithm, signer })
    }

    /// With this id.
    #[must_use]
    pub(crate) fn named(mut self, kid: impl Into<String>) -> Self {
        self.jwk.kid = Some(kid.into());
        self
    }

    /// Its id; empty for a secret without a name.
    pub(crate) fn kid(&self) -> &str {
        self.jwk.kid.as_deref().unwrap_or_default()
    }

    /// Its algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its public half.
    pub(crate) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Its private half as PKCS #8 in PEM; none for a secret.
    #[cfg(test)]
    pub(crate) fn to_pem(&self) -> Option<String> {
        let der = match &self.signer {
            Signer::Rsa(pair, _) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).ok()?.as_ref().to_vec(),
            Signer::Ec(pair) => pair.to_pkcs8v1().ok()?.as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.to_pkcs8v1().ok()?.as_ref().to_vec(),
            Signer::Secret(_) => return None,
        };
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
            pem.extend([line, "\n"]);
            rest = after;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Some(pem)
    }

    /// A token of this kind (`JWT`, `at+jwt` …) with these claims; none where signing fails.
    pub(crate) fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Option<String> {
        let mut header = Map::new();
        header.insert("typ".into(), json!(typ));
        if !self.kid().is_empty() {
            header.insert("kid".into(), json!(self.kid()));
        }
        self.sign_with(header, claims)
    }

    /// A token with this header, to which `alg` is added.
    pub(crate) fn sign_with(
        &self,
        mut header: Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> Option<String> {
        header.insert("alg".into(), json!(self.algorithm.name()));
        let mut token = encode(serde_json::to_vec(&header).ok()?);
        token.push('.');
        token.push_str(&encode(serde_json::to_vec(claims).ok()?));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        token.push_str(&encode(signature));
        Some(token)
    }

    pub(crate) fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        Some(match &self.signer {
            Signer::Rsa(pair, how) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*how, &random, message, &mut signature).ok()?;
                signature
            }
            Signer::Ec(pair) => pair.sign(&random, message).ok()?.as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.try_sign(message).ok()?.as_ref().to_vec(),
            Signer::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
        })
    }
}

/// The JWK Set that publishes these keys; secrets are left out.
pub(crate) fn jwks<'k>(keys: impl IntoIterator<Item = &'k SigningKey>) -> Value {
    let keys: Vec<_> = keys.into_iter().filter_map(|key| key.jwk.public()).collect();
    json!({ "keys": keys })
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaSignatureEncoding> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_SHA512,
        Algorithm::PS256 => &RSA_PSS_SHA256,
        Algorithm::PS384 => &RSA_PSS_SHA384,
        Algorithm::PS512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

fn ecdsa(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    Some(match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Algorithm::ES512 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        _ => return None,
    })
}
