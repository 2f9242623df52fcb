//! JSON Web Keys (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2): what they say, and their thumbprints (RFC
//! 7638).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

#[cfg(test)]
use super::object;
use super::{decode, encode};

/// A key's public numbers, or its secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Numbers {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ec {
        curve: String,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    /// Ed25519.
    Okp(Vec<u8>),
    Secret(Vec<u8>),
}

/// A JSON Web Key, as it was written. What is private of a key pair is not taken from it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Jwk {
    pub(super) kid: Option<String>,
    pub(super) alg: Option<String>,
    pub(super) numbers: Numbers,
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kid = self.kid.as_deref().unwrap_or_default();
        write!(f, "Jwk({} {kid:?})", self.numbers.kty())
    }
}

impl Jwk {
    /// Reads one key.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it.
    #[cfg(test)]
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        Self::of(&object(bytes).ok_or("it is no JSON object in which each member stands once")?)
    }

    /// The key that these members are.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it.
    pub(crate) fn of(members: &Map<String, Value>) -> Result<Self, &'static str> {
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err("a member that should be a string is none"),
        };
        let bytes = |name: &str| {
            let text = text(name)?.ok_or("a number that its `kty` needs is missing")?;
            decode(text).ok_or("a number is not written in base64url")
        };
        if !matches!(text("use")?, None | Some("sig")) {
            return Err("its `use` is not `sig`");
        }
        if !members.get("key_ops").is_none_or(may_sign) {
            return Err("its `key_ops` do not name `verify`");
        }
        let numbers = match text("kty")?.ok_or("it has no `kty`")? {
            "RSA" => Numbers::Rsa { n: bytes("n")?, e: bytes("e")? },
            "EC" => Numbers::Ec {
                curve: text("crv")?.ok_or("it has no `crv`")?.to_owned(),
                x: bytes("x")?,
                y: bytes("y")?,
            },
            "OKP" if text("crv")? == Some("Ed25519") => Numbers::Okp(bytes("x")?),
            "oct" => Numbers::Secret(bytes("k")?),
            _ => return Err("its `kty` or `crv` is not one that is known here"),
        };
        let owned = |name| Ok::<_, &'static str>(text(name)?.map(str::to_owned));
        Ok(Self { kid: owned("kid")?, alg: owned("alg")?, numbers })
    }

    /// A key of these numbers that names neither itself nor an algorithm.
    pub(super) fn bare(numbers: Numbers) -> Self {
        Self { kid: None, alg: None, numbers }
    }

    /// Its thumbprint with SHA-256 (RFC 7638 §3).
    pub(crate) fn thumbprint(&self) -> String {
        let members = self.numbers.required();
        // What is required stands in the order of its names, without white space.
        let text = serde_json::to_vec(&members).unwrap_or_default();
        encode(digest(&SHA256, &text))
    }

    /// Whether it is a secret that both ends know.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.numbers, Numbers::Secret(_))
    }

    /// As it is published; a secret is not.
    pub(crate) fn public(&self) -> Option<Value> {
        if self.is_secret() {
            return None;
        }
        let mut members = self.numbers.required();
        members.insert("use".into(), json!("sig"));
        for (name, value) in [("alg", &self.alg), ("kid", &self.kid)] {
            if let Some(value) = value {
                members.insert(name.into(), json!(value));
            }
        }
        Some(Value::Object(members))
    }
}

impl Numbers {
    fn kty(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::Ec { .. } => "EC",
            Self::Okp(_) => "OKP",
            Self::Secret(_) => "oct",
        }
    }

    /// The members a thumbprint is made of, in order.
    fn required(&self) -> Map<String, Value> {
        let members: &[(&str, String)] = &match self {
            Self::Rsa { n, e } => vec![("e", encode(e)), ("kty", "RSA".into()), ("n", encode(n))],
            Self::Ec { curve, x, y } => vec![
                ("crv", curve.clone()),
                ("kty", "EC".into()),
                ("x", encode(x)),
                ("y", encode(y)),
            ],
            Self::Okp(x) => {
                vec![("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", encode(x))]
            }
            Self::Secret(k) => vec![("k", encode(k)), ("kty", "oct".into())],
        };
        members.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }
}

/// Whether `key_ops` allow signatures (RFC 7517 §4.3).
fn may_sign(ops: &Value) -> bool {
    let ops = ops.as_array().map(Vec::as_slice).unwrap_or_default();
    ops.iter().any(|op| matches!(op.as_str(), Some("verify" | "sign")))
}
