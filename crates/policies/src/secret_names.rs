//! Names of header fields and query parameters that hold secrets: never logged, whoever asks.

use std::sync::{Arc, PoisonError, RwLock};

use policy::Carry;
use policy::message::Known;

/// Names that policies read credentials from. Only grows: a name stays secret after a reload.
#[derive(Debug, Default)]
pub(crate) struct SecretNames(RwLock<Vec<String>>);

/// Names that usually hold secrets, whatever the document says.
const USUAL: &[&str] = &["x-api-key", "api-key", "apikey", "x-auth-token", "x-access-token"];

impl SecretNames {
    /// The names of this instance.
    pub(crate) fn of(carry: &Carry) -> Arc<Self> {
        carry.keep("secret names", Self::default)
    }

    /// Makes `name` a secret.
    pub(crate) fn add(&self, name: &str) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.to_ascii_lowercase());
        }
    }

    /// Whether what stands under `name` is a secret.
    pub(crate) fn has(&self, name: &str) -> bool {
        usually(name)
            || self
                .0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Whether what stands under `name` is a secret whatever the document says.
pub(crate) fn usually(name: &str) -> bool {
    matches!(
        Known::of(name.as_bytes()),
        Known::Authorization | Known::ProxyAuthorization | Known::Cookie | Known::SetCookie
    ) || USUAL.iter().any(|usual| usual.eq_ignore_ascii_case(name))
}
