//! The settings.

use base::{ByteSize, Secret, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::key::Algorithm;

/// What a signature must be like, and by whose keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Signature")]
pub(super) struct Settings {
    /// The keys, by the `keyid` that signatures name.
    pub keys: Vec<WrittenKey>,
    /// What every signature must cover: names of fields in lower case, and derived components as
    /// `@method`.
    pub components: Vec<String>,
    /// Whether a request with a body must cover `content-digest`.
    pub digest: Needed,
    /// Whether a signature must have a nonce.
    pub nonce: Needed,
    /// How long a signature is good for; at most 1d.
    pub max_age: Span,
    /// What clocks may differ by.
    pub clock_skew: Span,
    /// Which signature counts, where a request may have several: its `tag`.
    pub tag: Option<String>,
    /// The longest body that is held back to be compared with its digest.
    pub body: ByteSize,
    /// Nonces remembered at most; a half of them is shared out to the keys.
    pub nonces: u32,
    /// Whether the upstream gets to see the signature.
    pub keep: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let components = ["@method", "@authority", "@path", "@query"];
        Self {
            keys: Vec::new(),
            components: components.map(str::to_owned).to_vec(),
            digest: Needed::Required,
            nonce: Needed::Required,
            max_age: Span::secs(300),
            clock_skew: Span::secs(30),
            tag: None,
            body: ByteSize(1 << 20),
            nonces: 1_000_000,
            keep: false,
        }
    }
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SignatureNeeded")]
pub(super) enum Needed {
    /// It must.
    Required,
    /// It is looked at where it is.
    Optional,
}

/// A key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignatureKey")]
pub(super) struct WrittenKey {
    /// What signatures call it: their `keyid`.
    pub id: String,
    /// The application that has it.
    pub application: Option<String>,
    /// The one algorithm it is for.
    pub algorithm: Algorithm,
    /// The secret of `hmac-sha256`, as text; at least 16 bytes.
    pub secret: Option<Secret>,
    /// The secret of `hmac-sha256`, in base64.
    pub secret_base64: Option<Secret>,
    /// The public key of the others: a PEM block, `BEGIN PUBLIC KEY`.
    pub public_key: Option<String>,
}
