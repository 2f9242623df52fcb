//! How Gateward says no: one contract for every answer it gives instead of the upstream's.

use smallvec::SmallVec;

use crate::message::BodyError;

/// Who can do something about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller.
    Caller,
    /// Whoever runs the gateway.
    Gateway,
    /// Whoever runs the upstream.
    Upstream,
}

/// A reason to refuse. Its name is part of the API: it never changes its meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable name, in snake case; the `code` of the problem document (RFC 9457).
    pub name: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status code, for gRPC calls.
    pub grpc: u8,
    /// One line for people; the `title` of the problem document.
    pub title: &'static str,
    /// The `error` of `Proxy-Status` (RFC 9209 §2.3).
    pub proxy_error: &'static str,
    /// Who can do something about it.
    pub fault: Fault,
    /// What they can do; the manual's text.
    pub cure: &'static str,
}

/// One thing that is wrong in what was sent; one of the problem document's `errors`.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, in what was sent: a JSON Pointer (RFC 6901); empty for all of it.
    pub pointer: Box<str>,
    /// The rule that it breaks: a JSON Pointer into the schema.
    pub rule: Box<str>,
    /// What is wrong. Nothing of the value that was sent is in it.
    pub what: Box<str>,
}

/// An answer instead of the upstream's.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub code: &'static Code,
    /// More for the caller, for this very request; the `detail` of the problem document.
    pub detail: Option<Box<str>>,
    /// More for operators; logged, never sent.
    pub note: Option<Box<str>>,
    /// What is wrong in what was sent, one by one, as many as are told.
    pub violations: Vec<Violation>,
    /// Header fields that go with it: `Retry-After`, `WWW-Authenticate`, `Allow`.
    pub headers: SmallVec<[(&'static str, Box<str>); 1]>,
    /// Whether the connection ends with it, because where its next message starts is in doubt.
    pub close: bool,
    /// Whether nothing was shown that the policy could judge: another way to prove who calls may be
    /// tried, and where proof is optional the caller may stay unknown.
    pub absent: bool,
}

impl Refusal {
    /// A refusal for this reason.
    pub fn new(code: &'static Code) -> Self {
        Self {
            code,
            detail: None,
            note: None,
            violations: Vec::new(),
            headers: SmallVec::new(),
            close: false,
            absent: false,
        }
    }

    /// Says more to the caller.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says more to operators.
    #[must_use]
    pub fn note(mut self, note: impl Into<Box<str>>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Says what is wrong, one by one.
    #[must_use]
    pub fn violations(mut self, violations: Vec<Violation>) -> Self {
        self.violations = violations;
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Box<str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Says that no credential was shown at all. What was shown and is wrong, however little of it,
    /// is not absent: nobody becomes a stranger by a slip, or gets past by spoiling what they have.
    #[must_use]
    pub fn absent(mut self) -> Self {
        self.absent = true;
        self
    }

    /// Ends the connection.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        Self::new(error.code())
    }
}

impl BodyError {
    /// Why a request is refused whose body stops like this.
    pub const fn code(self) -> &'static Code {
        match self {
            Self::Broken => &codes::BODY_BROKEN,
            Self::Timeout => &codes::REQUEST_TIMEOUT,
            Self::TooLarge => &codes::BODY_TOO_LARGE,
        }
    }
}

impl From<&'static Code> for Refusal {
    fn from(code: &'static Code) -> Self {
        Self::new(code)
    }
}

/// The engine's own reasons. Policies' stand in their folders.
pub mod codes {
    use super::{Code, Fault};

    macro_rules! codes {
        ($($(#[doc = $doc:literal])+ $konst:ident = $name:literal, $status:literal,
            grpc $grpc:literal, $error:literal, $fault:ident, $title:literal, $cure:literal;)*
        ) => {
            $($(#[doc = $doc])+ pub static $konst: Code = Code {
                name: $name, status: $status, grpc: $grpc, title: $title, proxy_error: $error,
                fault: Fault::$fault, cure: $cure,
            };)*

            /// All of them, for the manual.
            pub static ALL: &[&Code] = &[$(&$konst),*];
        };
    }

    codes! {
        /// The request can't be read, or could be read in two ways.
        REQUEST_MALFORMED = "request_malformed", 400, grpc 3, "http_request_error", Caller,
            "The request is malformed",
            "Send a request that follows RFC 9110 and RFC 9112; the detail says which rule \
             was broken.";
        /// The path could be read in two ways.
        PATH_AMBIGUOUS = "path_ambiguous", 400, grpc 3, "http_request_error", Caller,
            "The path is ambiguous",
            "Send the path without encoded slashes, backslashes, control characters or dot \
             segments that leave it.";
        /// `Host` or `:authority` is missing, repeated, malformed or contradicts the target.
        HOST_INVALID = "host_invalid", 400, grpc 3, "http_request_error", Caller,
            "The host is missing or invalid", "Send exactly one Host, the same as in the target.";
        /// A field could be taken for one that the gateway reads or writes.
        FIELD_AMBIGUOUS = "field_ambiguous", 400, grpc 3, "http_request_error", Caller,
            "A header field could be taken for another",
            "Write names of header fields with `-` in place of `_` and `.`; operators let through \
             those that stand for no other with the listener's `odd_field_names`.";
        /// A transfer coding other than `chunked`.
        TRANSFER_CODING_UNSUPPORTED = "transfer_coding_unsupported", 501, grpc 12,
            "http_request_error", Caller,
            "The transfer coding is not supported",
            "Send the body by Content-Length or by `Transfer-Encoding: chunked` alone.";
        /// NTLM and the like: they authenticate a connection, and the gateway's connections to
        /// upstreams carry requests of many callers.
        CONNECTION_AUTHENTICATION = "connection_authentication", 501, grpc 12,
            "http_request_denied", Caller,
            "Authentication of connections is not supported",
            "Authenticate each request by itself: with a token, a key or HTTP Basic over TLS.";
        /// The head is larger than allowed.
        HEADERS_TOO_LARGE = "headers_too_large", 431, grpc 8, "http_request_error", Caller,
            "The request's header fields are too large",
            "Send fewer or shorter header fields; operators raise limits.header_bytes and \
             limits.header_count.";
        /// The target is longer than allowed.
        URI_TOO_LONG = "uri_too_long", 414, grpc 3, "http_request_error", Caller,
            "The request's target is too long", "Send what is long in the body.";
        /// The body is longer than allowed.
        BODY_TOO_LARGE = "body_too_large", 413, grpc 8, "http_request_error", Caller,
            "The request's body is too large",
            "Send a smaller body; operators raise the limit with the body_size policy.";
        /// The request did not arrive in time.
        REQUEST_TIMEOUT = "request_timeout", 408, grpc 4, "http_request_error", Caller,
            "The request did not arrive in time", "Send the request without pauses.";
        /// The body broke off, or its framing is broken.
        BODY_BROKEN = "body_broken", 400, grpc 3, "http_request_error", Caller,
            "The request's body is broken",
            "Send as many bytes as Content-Length says, or well-formed chunks.";
        /// An expectation other than 100-continue.
        EXPECTATION_FAILED = "expectation_failed", 417, grpc 3, "http_request_error", Caller,
            "The expectation can't be met", "Send no Expect but 100-continue.";
        /// A version of HTTP that is not spoken here.
        VERSION_UNSUPPORTED = "version_unsupported", 505, grpc 12, "http_request_error", Caller,
            "This version of HTTP is not supported", "Speak HTTP/1.1 or HTTP/2.";
        /// A method the gateway itself does not carry (CONNECT, TRACE).
        METHOD_UNSUPPORTED = "method_unsupported", 501, grpc 12, "http_request_denied", Caller,
            "The method is not supported", "Use another method.";
        /// The request was made for another server (RFC 9110 §15.5.20).
        MISDIRECTED = "misdirected_request", 421, grpc 5, "http_request_denied", Caller,
            "The request came by a connection for another host",
            "Open a connection of its own for this host.";
        /// No route matches.
        ROUTE_NOT_FOUND = "route_not_found", 404, grpc 12, "destination_not_found", Caller,
            "No API answers here",
            "Check host and path; `gateward explain` shows what would match and why the \
             others don't.";
        /// Routes match, but none for this method.
        METHOD_NOT_ALLOWED = "method_not_allowed", 405, grpc 12, "http_request_denied", Caller,
            "The method is not allowed here", "Use one of the methods named in Allow.";
        /// The application is switched off.
        APPLICATION_DISABLED = "application_disabled", 403, grpc 7, "http_request_denied", Caller,
            "The application is disabled",
            "Ask whoever runs the API to enable the application; operators set its `enabled`.";
        /// The organization is switched off.
        ORGANIZATION_DISABLED = "organization_disabled", 403, grpc 7, "http_request_denied",
            Caller,
            "The application's organization is disabled",
            "Ask whoever runs the API to enable the organization; operators set its `enabled`.";
        /// A policy's condition can't be evaluated.
        CONDITION_FAILED = "condition_failed", 500, grpc 13, "proxy_configuration_error", Gateway,
            "A policy's condition could not be evaluated",
            "Mend the `when` that the log names; guard what may be missing with has() or `in`.";
        /// A policy panicked, or waited without end.
        POLICY_ERROR = "policy_error", 500, grpc 13, "proxy_internal_error", Gateway,
            "A policy failed",
            "Report it with the request id; the log names the policy and what it failed with.";
        /// No endpoint of the upstream can take the request.
        NO_HEALTHY_ENDPOINT = "no_healthy_endpoint", 503, grpc 14, "destination_unavailable",
            Upstream,
            "No endpoint of the upstream is available",
            "See /status for each endpoint's health and why it is out.";
        /// The upstream's name can't be looked up.
        NAME_NOT_RESOLVED = "name_not_resolved", 502, grpc 14, "dns_error", Upstream,
            "The upstream's name can't be resolved",
            "Check the endpoint's host and the name servers.";
        /// The upstream's breaker has too much running already.
        UPSTREAM_OVERLOADED = "upstream_overloaded", 503, grpc 8, "connection_limit_reached",
            Upstream,
            "The upstream has too many requests already",
            "Try again later; operators raise the upstream's breaker limits.";
        /// The upstream's breaker is open, or lets only a part through.
        BREAKER_OPEN = "breaker_open", 503, grpc 14, "destination_unavailable", Upstream,
            "The upstream fails too often and is left alone for now",
            "Try again after the time in Retry-After; /status shows what its endpoints failed \
             with, and breaker.failure_percent when that is too often.";
        /// No connection.
        CONNECT_FAILED = "connect_failed", 502, grpc 14, "connection_refused", Upstream,
            "The upstream can't be reached",
            "Check that the endpoint listens and that the network lets the gateway through.";
        /// No connection in time.
        CONNECT_TIMEOUT = "connect_timeout", 504, grpc 14, "connection_timeout", Upstream,
            "The upstream can't be reached in time",
            "Check the network; operators raise timeouts.connect.";
        /// TLS with the upstream failed.
        UPSTREAM_TLS_FAILED = "upstream_tls_failed", 502, grpc 14, "tls_certificate_error",
            Upstream,
            "TLS with the upstream failed",
            "Check the endpoint's certificate against tls.ca, tls.server_name and tls.names.";
        /// The connection broke before or in the response.
        UPSTREAM_RESET = "upstream_reset", 502, grpc 14, "connection_terminated", Upstream,
            "The upstream broke off", "See the upstream's own log.";
        /// The response can't be read, or could be read in two ways.
        UPSTREAM_MALFORMED = "upstream_malformed", 502, grpc 14, "http_protocol_error", Upstream,
            "The upstream's response is malformed",
            "Mend the upstream; the log says which rule it broke.";
        /// The response did not start in time.
        FIRST_BYTE_TIMEOUT = "first_byte_timeout", 504, grpc 4, "http_response_timeout", Upstream,
            "The upstream did not answer in time",
            "See what the upstream waits for; operators raise timeouts.first_byte.";
        /// The exchange took longer than allowed in all.
        TOTAL_TIMEOUT = "total_timeout", 504, grpc 4, "http_response_timeout", Upstream,
            "The exchange took too long",
            "See what the upstream waits for; operators raise timeouts.total, or set it to 0s \
             for streams.";
        /// The upstream sent nothing for too long.
        UPSTREAM_IDLE_TIMEOUT = "upstream_idle_timeout", 504, grpc 4, "connection_read_timeout",
            Upstream,
            "The upstream stopped sending",
            "See what the upstream waits for; operators raise timeouts.idle.";
        /// The caller left before the answer.
        CALLER_GONE = "caller_gone", 499, grpc 1, "connection_terminated", Caller,
            "The caller left", "Wait longer, or cancel knowingly.";
        /// The gateway has too much to do.
        OVERLOADED = "overloaded", 503, grpc 14, "connection_limit_reached", Gateway,
            "The gateway has too much to do",
            "Try again after Retry-After; operators see in /status what is short, add instances, \
             or raise limits.memory.";
        /// The gateway is going down.
        DRAINING = "draining", 503, grpc 14, "proxy_internal_response", Gateway,
            "The gateway is stopping", "Try again; another instance will answer.";
        /// A bug.
        INTERNAL_ERROR = "internal_error", 500, grpc 13, "proxy_internal_error", Gateway,
            "The gateway failed", "Report it with the request id; the log has more.";
    }
}
