//! The settings.

use base::{ByteSize, Secret, Span};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a signature must be like, and by whose secrets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Hmac")]
pub(super) struct Settings {
    /// The secrets, by the `keyId` that signatures name.
    pub keys: Vec<WrittenKey>,
    /// What every signature must cover: names of fields, `(request-target)`, `(created)`.
    pub headers: Vec<String>,
    /// Whether a request with a body must cover `digest`.
    pub digest: Needed,
    /// What the time of a signature may differ from the gateway's clock; at most 1h.
    pub clock_skew: Span,
    /// The longest body that is held back to be compared with its digest.
    pub body: ByteSize,
    /// Whether the upstream gets to see the signature.
    pub keep: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            headers: ["(request-target)", "host", "date"].map(str::to_owned).to_vec(),
            digest: Needed::Required,
            clock_skew: Span::secs(300),
            body: ByteSize(1 << 20),
            keep: false,
        }
    }
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HmacNeeded")]
pub(super) enum Needed {
    /// It must.
    Required,
    /// It is looked at where it is.
    Optional,
}

/// A secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HmacKey")]
pub(super) struct WrittenKey {
    /// What signatures call it: their `keyId`.
    pub id: String,
    /// The application that has it.
    pub application: Option<String>,
    /// The one algorithm it is for.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// The secret, as text; at least 16 bytes.
    pub secret: Secret,
}

/// The algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "HmacAlgorithm")]
pub(super) enum Algorithm {
    /// HMAC with SHA-256.
    #[default]
    #[serde(rename = "hmac-sha256")]
    Sha256,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    Sha512,
}

impl Algorithm {
    /// Its name.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha512 => "hmac-sha512",
        }
    }
}
