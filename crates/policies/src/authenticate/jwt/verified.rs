//! What is known of a token once it was verified.

use std::sync::Arc;
use std::time::Duration;

use policy::Caller;
use serde_json::{Map, Value};

/// A token that was verified.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) caller: Caller,
    pub(super) cnf: Option<Binding>,
    /// When it becomes valid: a clock may be set back.
    pub(super) since: Duration,
    /// Which issuer's it is, by place in the list.
    pub(super) issuer: usize,
    /// The number of the keys it was verified with.
    pub(super) generation: u64,
}

/// What a token is bound to (RFC 7800): its `cnf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// A certificate of this SHA-256, in base64url (RFC 8705 §3.1).
    Certificate(Arc<str>),
    /// A key of this thumbprint (RFC 9449 §6.1).
    Key(Arc<str>),
    /// Both.
    Both { certificate: Arc<str>, key: Arc<str> },
    /// Something that can't be checked here.
    Unknown,
}

impl Binding {
    /// What these claims are bound to.
    pub(super) fn of(claims: &Map<String, Value>) -> Option<Self> {
        let cnf = claims.get("cnf")?;
        let text = |name: &str| cnf.get(name).and_then(Value::as_str).map(Arc::from);
        Some(match (text("x5t#S256"), text("jkt")) {
            (Some(certificate), None) => Self::Certificate(certificate),
            (None, Some(key)) => Self::Key(key),
            (Some(certificate), Some(key)) => Self::Both { certificate, key },
            (None, None) => Self::Unknown,
        })
    }

    pub(super) fn certificate(&self) -> Option<&str> {
        match self {
            Self::Certificate(certificate) | Self::Both { certificate, .. } => Some(certificate),
            Self::Key(_) | Self::Unknown => None,
        }
    }

    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) | Self::Both { key, .. } => Some(key),
            Self::Certificate(_) | Self::Unknown => None,
        }
    }
}
