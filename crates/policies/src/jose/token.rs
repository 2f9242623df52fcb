//! Tokens: JWS in compact form whose payload is a JSON object (RFC 7515 §7.1, RFC 7519).

use serde_json::{Map, Value};

use super::{Algorithm, Key, KeySet, decode, object};

/// Most bytes of a token; what is longer is not looked at.
pub(crate) const TOKEN_BYTES: usize = 16 << 10;

/// Most bytes of a key's id.
const KID_BYTES: usize = 256;

/// Most keys a token without `kid` is tried with.
const TRIES: usize = 4;

/// Why a token is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// It is longer than any is.
    TooLong,
    /// It is not three parts in base64url, the first two JSON objects.
    Form,
    /// It names no algorithm, `none`, or not the one of its key.
    Algorithm,
    /// It asks for what is not understood here.
    Critical,
    /// It names a key that is not known.
    UnknownKey,
    /// The signature is not the key's.
    Signature,
}

impl Bad {
    /// The same in words.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::TooLong => "the token is longer than 16 KiB",
            Self::Form => "the token is no JWS in compact form",
            Self::Algorithm => "the token's algorithm is not the one of its key",
            Self::Critical => "the token's header asks for what is not understood here",
            Self::UnknownKey => "the token's key is not known",
            Self::Signature => "the token's signature is not right",
        }
    }
}

/// A token that is well formed. Nothing in it can be relied on before [`Token::verify`].
#[derive(Debug)]
pub(crate) struct Token<'t> {
    header: Map<String, Value>,
    algorithm: Algorithm,
    /// What is signed.
    message: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is not well formed, or its header asks for what is never given.
    pub(crate) fn read(text: &'t str) -> Result<Self, Bad> {
        if text.len() > TOKEN_BYTES {
            return Err(Bad::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(Bad::Form)?;
        let (header, payload) = message.split_once('.').ok_or(Bad::Form)?;
        if payload.contains('.') {
            return Err(Bad::Form);
        }
        let header = decode(header).and_then(|header| object(&header)).ok_or(Bad::Form)?;
        // `b64` has a meaning only where `crit` names it (RFC 7797 §6).
        if header.contains_key("crit") || header.get("b64").is_some_and(|b64| b64 != true) {
            return Err(Bad::Critical);
        }
        let kid = header.get("kid");
        if kid.is_some_and(|kid| kid.as_str().is_none_or(|kid| kid.len() > KID_BYTES)) {
            return Err(Bad::Form);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
        let algorithm = algorithm.ok_or(Bad::Algorithm)?;
        Ok(Self { header, algorithm, message, payload, signature })
    }

    /// A member of its header.
    pub(crate) fn header(&self, name: &str) -> Option<&Value> {
        self.header.get(name)
    }

    /// The id of the key it says it is signed with.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.header("kid").and_then(Value::as_str)
    }

    /// Its `typ`, in lower case, without `application/` (RFC 7515 §4.1.9).
    pub(crate) fn kind(&self) -> Option<String> {
        let kind = self.header("typ")?.as_str()?.to_ascii_lowercase();
        Some(kind.strip_prefix("application/").unwrap_or(&kind).to_owned())
    }

    /// The algorithm it names.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What it says, before anyone has verified it: only good for finding out whose keys to verify
    /// it with.
    ///
    /// # Errors
    /// It is no JSON object.
    pub(crate) fn unverified(&self) -> Result<Map<String, Value>, Bad> {
        decode(self.payload).and_then(|payload| object(&payload)).ok_or(Bad::Form)
    }

    /// Whether it was signed with a key of `keys`.
    ///
    /// # Errors
    /// It was not.
    pub(crate) fn verify(&self, keys: &KeySet) -> Result<(), Bad> {
        self.signed_by(keys).map(|_| ())
    }

    /// The key of `keys` it was signed with.
    ///
    /// # Errors
    /// It was not signed with one of them.
    pub(crate) fn signed_by<'k>(&self, keys: &'k KeySet) -> Result<&'k Key, Bad> {
        let mut candidates = keys.candidates(self.kid(), self.algorithm)?.take(TRIES);
        let signature = self.signature()?;
        let message = self.message.as_bytes();
        candidates.find(|key| key.verifies(message, &signature)).ok_or(Bad::Signature)
    }

    /// Whether it was signed with this key.
    ///
    /// # Errors
    /// It was not.
    pub(crate) fn verify_with(&self, key: &Key) -> Result<(), Bad> {
        if key.algorithm() != self.algorithm {
            return Err(Bad::Algorithm);
        }
        let right = key.verifies(self.message.as_bytes(), &self.signature()?);
        right.then_some(()).ok_or(Bad::Signature)
    }

    fn signature(&self) -> Result<Vec<u8>, Bad> {
        decode(self.signature).ok_or(Bad::Form)
    }

    /// The bytes of what it says, for vectors whose payload is no JSON.
    #[cfg(test)]
    pub(super) fn payload(&self) -> Option<Vec<u8>> {
        decode(self.payload)
    }
}
