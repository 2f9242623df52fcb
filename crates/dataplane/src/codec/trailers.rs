//! Trailers: which of them go on (RFC 9110 §6.5.1).

use policy::message::Known;

/// Whether a trailer stays here: one about the connection, framing, routing or authentication, or
/// about where a request came from. Whoever merges trailers into the head would otherwise take them
/// for what was checked there.
pub(crate) const fn is_barred(name: Known) -> bool {
    matches!(
        name,
        Known::Authorization
            | Known::CacheControl
            | Known::Connection
            | Known::ContentEncoding
            | Known::ContentLength
            | Known::ContentType
            | Known::Cookie
            | Known::Expect
            | Known::Forwarded
            | Known::Host
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::ProxyAuthenticate
            | Known::ProxyAuthorization
            | Known::ProxyConnection
            | Known::SetCookie
            | Known::Te
            | Known::Trailer
            | Known::TransferEncoding
            | Known::Upgrade
            | Known::Via
            | Known::WwwAuthenticate
            | Known::XForwardedFor
            | Known::XForwardedHost
            | Known::XForwardedPort
            | Known::XForwardedPrefix
            | Known::XForwardedProto
            | Known::XRealIp
            | Known::XRequestId
    )
}
