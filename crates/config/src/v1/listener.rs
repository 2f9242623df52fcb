use base::{ByteSize, Span};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use super::network::NetworkText;
use super::paths::{OddFieldNames, Paths};
use super::tcp::{ListenerTcp, TlsPassthrough};

/// An address to accept on.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// What the listener is called in logs and metrics; unique.
    pub name: String,
    /// `address:port`, `[v6]:port`, or `unix:/path/of.sock`.
    pub bind: String,
    /// The protocols spoken; both unless said otherwise. HTTP/2 is offered by ALPN on TLS and by
    /// prior knowledge without.
    #[serde(default = "protocols")]
    pub protocols: Vec<Protocol>,
    /// Speak TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Speak no HTTP: pass raw TCP on to an upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<ListenerTcp>,
    /// Speak no HTTP: pass TLS on unopened, by the name that clients ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_passthrough: Option<TlsPassthrough>,
    /// Expect a PROXY protocol header (v1 or v2) from these peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whose word on the client's address is taken; nobody's unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<ClientAddress>,
    /// How odd paths are read.
    #[serde(default)]
    pub paths: Paths,
    /// What becomes of header fields whose name has a `_` or `.`.
    #[serde(default = "defaults::odd_field_names")]
    pub odd_field_names: OddFieldNames,
    /// Bounds on what a stranger can use.
    #[serde(default)]
    pub limits: ListenerLimits,
}

fn protocols() -> Vec<Protocol> {
    vec![Protocol::Http1, Protocol::Http2]
}

/// A protocol a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112), and 1.0 clients.
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
}

/// TLS of a listener.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// Certificates; the one whose name fits best is used (exact, then wildcard), else the first.
    pub certificates: Vec<Certificate>,
    /// Refuse a handshake for a name no certificate is for, or for none, instead of answering with
    /// the first.
    #[serde(default = "defaults::reject_unknown_sni")]
    pub reject_unknown_sni: bool,
    /// The oldest version spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Ask callers for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<ClientCertificates>,
}

/// A certificate chain and its private key, PEM files. Read again when they change.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The chain, leaf first.
    pub cert: String,
    /// The private key.
    pub key: String,
}

/// A version of TLS.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// Certificates of callers.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificates {
    /// Whether one is asked for and must be given.
    pub mode: ClientCertificateMode,
    /// PEM file of the authorities callers' certificates must come from. Needed unless the mode is
    /// `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Tell upstreams of the certificate a caller showed, in `Client-Cert` (RFC 9440). What callers
    /// themselves say there is removed in any case.
    #[serde(default)]
    pub forward: bool,
}

/// What a listener does about callers' certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificateMode {
    /// Not asked for.
    None,
    /// Asked for, verified if given, not needed.
    Request,
    /// Needed: no handshake without.
    Require,
}

/// The PROXY protocol, as load balancers in front speak it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Networks whose connections start with a PROXY header. Connections from elsewhere are closed.
    #[schemars(with = "Vec<NetworkText>")]
    pub trusted: Vec<IpNet>,
}

/// How the client's address is found behind other proxies.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientAddress {
    /// Networks of the proxies in front. The header is walked from the right over addresses in
    /// them.
    #[schemars(with = "Vec<NetworkText>")]
    pub trusted: Vec<IpNet>,
    /// The header they write.
    #[serde(default)]
    pub header: ClientAddressHeader,
}

/// A header that carries clients' addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAddressHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Bounds of a listener.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerLimits {
    /// Bytes of a request's head.
    pub header_bytes: ByteSize,
    /// Header fields of a request.
    pub header_count: u32,
    /// Time to receive a request's head.
    pub header_timeout: Span,
    /// Bytes a second of a head that must come, from half of `header_timeout` on. 0: any pace.
    pub header_rate: ByteSize,
    /// Time between two pieces of a body.
    pub body_idle_timeout: Span,
    /// Bytes a second a client must send or take of a body, over `body_idle_timeout` and while it
    /// is waited for. 0: any pace.
    pub body_rate: ByteSize,
    /// Time a connection may stay open without a request.
    pub keep_alive: Span,
    /// Time for a TLS handshake.
    pub tls_handshake_timeout: Span,
    /// Connections at once.
    pub connections: u32,
    /// Requests of a connection; the last one's answer ends it.
    pub requests_per_connection: u32,
    /// Concurrent HTTP/2 streams of a connection.
    pub http2_streams: u32,
    /// HTTP/2 requests of a connection taken back, or reset for the client's fault, within 10 s.
    pub http2_resets: u32,
    /// HTTP/2 frames about the connection itself within 10 s, beyond those that go with requests.
    pub http2_control_frames: u32,
    /// Bytes of a request's body.
    pub body_bytes: ByteSize,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            header_bytes: defaults::header_bytes(),
            header_count: defaults::header_count(),
            header_timeout: defaults::header_timeout(),
            header_rate: defaults::header_rate(),
            body_idle_timeout: defaults::body_idle_timeout(),
            body_rate: defaults::body_rate(),
            keep_alive: defaults::keep_alive(),
            tls_handshake_timeout: defaults::tls_handshake_timeout(),
            connections: defaults::connections(),
            requests_per_connection: defaults::requests_per_connection(),
            http2_streams: defaults::http2_streams(),
            http2_resets: defaults::http2_resets(),
            http2_control_frames: defaults::http2_control_frames(),
            body_bytes: defaults::body_bytes(),
        }
    }
}
