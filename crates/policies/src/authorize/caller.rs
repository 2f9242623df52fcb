//! Who calls, for those who decide what callers may do.

use policy::{Code, Fault};

/// Nobody was authenticated, and who may do what can't be decided for nobody.
pub(super) static UNKNOWN: Code = Code {
    name: "caller_unknown",
    status: 403,
    grpc: 7,
    title: "Only known callers may do this",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Show a credential. Operators: let a policy of the phase authenticate stand in the same \
           chain, and don't let strangers in where applications, groups or scopes are asked for.",
};
