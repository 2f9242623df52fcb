use base::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Certificate, Health, Outlier, Retry, TlsVersion, defaults};

/// A back end: one or more endpoints that answer alike.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// What APIs call it; unique.
    pub name: String,
    /// Its addresses.
    pub endpoints: Vec<Endpoint>,
    /// How an endpoint is chosen.
    #[serde(default)]
    pub balance: Balance,
    /// The protocol spoken to it.
    #[serde(default)]
    pub protocol: UpstreamProtocol,
    /// TLS to `https` endpoints.
    #[serde(default)]
    pub tls: UpstreamTls,
    /// Active health checks. None unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Ejection of endpoints that fail live traffic.
    #[serde(default)]
    pub outlier: Outlier,
    /// Connections kept.
    #[serde(default)]
    pub pool: Pool,
    /// How long to wait for what.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What is tried again, and how often.
    #[serde(default)]
    pub retry: Retry,
    /// How much runs at once, and when nothing is sent because most fails.
    #[serde(default)]
    pub breaker: Breaker,
    /// Percent of healthy endpoints under which all are used; 0 turns this off.
    #[serde(default = "defaults::panic_threshold")]
    #[schemars(range(max = 100))]
    pub panic_threshold: u8,
    /// Time over which a new or recovered endpoint gets its full share; `0s` turns this off.
    #[serde(default = "defaults::slow_start")]
    pub slow_start: Span,
    /// How names are looked up again.
    #[serde(default)]
    pub dns: Dns,
}

/// An endpoint: a URL, or a URL with its weight and priority.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Endpoint {
    /// `http://host:port`, `https://host`, `unix:/path/of.sock`, or `srv+http://_service._tcp.name`
    /// for SRV records; `tcp://host:port` for TCP listeners.
    Url(String),
    /// The long form.
    #[serde(rename_all = "snake_case")]
    Full(EndpointFull),
}

/// An endpoint, the long form.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointFull {
    /// `http://host:port`, `https://host`, `unix:/path/of.sock`, or `srv+http://_service._tcp.name`
    /// for SRV records; `tcp://host:port` for TCP listeners.
    pub url: String,
    /// Its share of the requests, against the other endpoints'. 0 takes none.
    #[serde(default = "defaults::weight")]
    #[schemars(range(max = 1000))]
    pub weight: u32,
    /// Its tier: the lowest number with enough healthy endpoints is used.
    #[serde(default)]
    #[schemars(range(max = 15))]
    pub priority: u8,
}

impl Endpoint {
    /// The long form of either form.
    pub fn full(&self) -> EndpointFull {
        match self {
            Self::Url(url) => {
                EndpointFull { url: url.clone(), weight: defaults::weight(), priority: 0 }
            }
            Self::Full(full) => full.clone(),
        }
    }
}

/// How an endpoint is chosen: a word, or `{ hash: … }`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Balance {
    /// By a named algorithm.
    By(BalanceBy),
    /// By consistent hash: the same caller meets the same endpoint while it is healthy.
    Hash {
        /// What is hashed.
        hash: HashOn,
    },
}

impl Default for Balance {
    fn default() -> Self {
        Self::By(BalanceBy::LeastRequests)
    }
}

/// A named way of choosing an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalanceBy {
    /// In turn, by weight.
    RoundRobin,
    /// The less busy of two drawn by weight.
    LeastRequests,
    /// The one of two drawn by weight whose answers come sooner (peak EWMA of latency times
    /// requests running).
    PeakEwma,
}

/// What a consistent hash is taken of; exactly one. The client's address where the named thing is
/// missing.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    /// A request header.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// The client's address.
    ClientAddress,
}

/// The protocol spoken to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamProtocol {
    /// What ALPN agrees on over TLS; HTTP/1.1 without TLS. gRPC requests use HTTP/2 in any case.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, by prior knowledge without TLS.
    Http2,
}

/// TLS towards `https` endpoints. Verified by default, against the system's authorities.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// Verify the endpoint's certificate. Turn it off for nothing but a laptop.
    pub verify: bool,
    /// PEM file of the authorities to trust, in place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The name sent (SNI) and expected, in place of the URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Names one of which the certificate must carry, in place of the one sent.
    pub names: Vec<String>,
    /// The certificate shown to the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self {
            verify: true,
            ca: None,
            server_name: None,
            names: Vec::new(),
            certificate: None,
            min_version: TlsVersion::default(),
        }
    }
}

/// Connections kept to an endpoint, per core.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Idle connections kept per endpoint and core.
    pub idle: u32,
    /// Time an idle connection is kept.
    pub idle_timeout: Span,
    /// Age after which a connection is not used again.
    pub max_age: Span,
    /// Requests after which a connection is not used again; 0 for no bound.
    pub max_requests: u64,
    /// Concurrent streams of one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            idle: defaults::pool_idle(),
            idle_timeout: defaults::pool_idle_timeout(),
            max_age: defaults::pool_max_age(),
            max_requests: 0,
            streams: defaults::pool_streams(),
        }
    }
}

/// How long to wait for what. The refusal says which timer fired.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To connect, TLS included; per try.
    pub connect: Span,
    /// From the request's last byte to the first of the response; per try.
    pub first_byte: Span,
    /// Between two pieces of a body.
    pub idle: Span,
    /// The whole exchange, all tries; `0s` for no bound.
    pub total: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: defaults::connect_timeout(),
            first_byte: defaults::first_byte_timeout(),
            idle: defaults::upstream_idle_timeout(),
            total: defaults::total_timeout(),
        }
    }
}

/// How much runs at once towards an upstream, and what share may fail before nothing is sent for a
/// while; the rest is refused at once with 503.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Connections.
    pub connections: u32,
    /// Requests waiting for a connection.
    pub pending: u32,
    /// Requests running.
    pub running: u32,
    /// Percent of the requests of 10 s that must fail, by 502, 503, 504 or no answer, for the
    /// breaker to open; 0 turns this off.
    #[schemars(range(max = 100))]
    pub failure_percent: u8,
    /// Requests of 10 s below which it stays closed.
    pub failure_requests: u32,
    /// How long it stays open; then one request goes, to see.
    pub open: Span,
    /// Time over which all requests come back after that one went well; `0s` for at once.
    pub ramp: Span,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            connections: defaults::breaker_connections(),
            pending: defaults::breaker_pending(),
            running: defaults::breaker_running(),
            failure_percent: defaults::breaker_failure_percent(),
            failure_requests: defaults::breaker_failure_requests(),
            open: defaults::breaker_open(),
            ramp: defaults::breaker_ramp(),
        }
    }
}

/// How names are looked up again while running: at their TTL, held within these bounds. The last
/// answer stays when a lookup fails.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Shortest time between lookups.
    pub min_ttl: Span,
    /// Longest time between lookups.
    pub max_ttl: Span,
    /// Servers to ask, `address:port`; the system's unless said.
    pub servers: Vec<String>,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            min_ttl: defaults::dns_min_ttl(),
            max_ttl: defaults::dns_max_ttl(),
            servers: Vec::new(),
        }
    }
}

impl Upstream {
    /// The upstream that a URL in place of a name stands for: one endpoint, and every default.
    pub fn of_url(url: &str) -> Self {
        Self {
            name: url.to_owned(),
            endpoints: vec![Endpoint::Url(url.to_owned())],
            balance: Balance::default(),
            protocol: UpstreamProtocol::default(),
            tls: UpstreamTls::default(),
            health: None,
            outlier: Outlier::default(),
            pool: Pool::default(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            breaker: Breaker::default(),
            panic_threshold: defaults::panic_threshold(),
            slow_start: defaults::slow_start(),
            dns: Dns::default(),
        }
    }
}
