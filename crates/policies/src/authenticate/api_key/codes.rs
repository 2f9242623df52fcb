//! Why a key does not let a caller in.

use policy::{Code, Fault};

/// A reason that another key cures.
const fn refused(name: &'static str, title: &'static str, cure: &'static str) -> Code {
    Code {
        name,
        status: 401,
        grpc: 16,
        title,
        proxy_error: "http_request_denied",
        fault: Fault::Caller,
        cure,
    }
}

pub(super) static MISSING: Code = refused(
    "api_key_missing",
    "An API key is needed",
    "Send an API key where WWW-Authenticate says.",
);

pub(super) static MALFORMED: Code = refused(
    "api_key_malformed",
    "This is no API key that was ever issued",
    "Send the key as it was given to you, whole and without spaces: its checksum is wrong; where \
     `format: strict` is written, keys of other makes don't count.",
);

pub(super) static INVALID: Code = refused(
    "api_key_invalid",
    "The API key is not known",
    "Check the key: it may be mistyped, replaced or withdrawn.",
);

pub(super) static EARLY: Code = refused(
    "api_key_not_yet_valid",
    "The API key is not valid yet",
    "Use the key that came before it until then; operators see and set the key's `not_before`.",
);

pub(super) static EXPIRED: Code = refused(
    "api_key_expired",
    "The API key has expired",
    "Use the key that replaces it, or ask whoever runs the API for one; operators make it with \
     `gateward key new`.",
);

pub(super) static DISABLED: Code = refused(
    "api_key_disabled",
    "The API key is disabled",
    "Ask whoever runs the API why; operators set the key's `enabled`.",
);
