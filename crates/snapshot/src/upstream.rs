//! Upstreams, compiled: what they are. How they are doing is the data plane's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::v1::{BalanceBy, RetryOn};
use policy::message::{Name, Scheme};
use rustls::pki_types::ServerName;

/// An upstream.
#[derive(Debug)]
pub struct Upstream {
    /// Its number in the snapshot.
    pub number: usize,
    /// Its name; of one that was written as a URL, the URL. What makes it the same across
    /// snapshots.
    pub name: Arc<str>,
    /// Its endpoints, as written: names are not looked up yet.
    pub endpoints: Vec<Endpoint>,
    /// How one is chosen.
    pub balance: Balance,
    /// The protocol spoken.
    pub protocol: Protocol,
    /// TLS; there when an endpoint needs it.
    pub tls: Option<UpstreamTls>,
    /// Active health checks.
    pub health: Option<Health>,
    /// Ejection by live traffic.
    pub outlier: Option<Outlier>,
    /// Connections kept.
    pub pool: Pool,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Retries.
    pub retry: Retry,
    /// How much runs at once.
    pub breaker: Breaker,
    /// Share of healthy endpoints under which all are used, in percent; 0 for never.
    pub panic_threshold: u8,
    /// Ramp of new and recovered endpoints; zero for none.
    pub slow_start: Duration,
    /// How names are looked up.
    pub dns: Dns,
    /// Stands for all that was written of it and for the files it names: another number where
    /// anything changed.
    pub fingerprint: u64,
}

/// An endpoint as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The URL, as logs and `/status` show it.
    pub url: Arc<str>,
    /// What is spoken to it.
    pub scheme: EndpointScheme,
    /// Where it is.
    pub address: EndpointAddress,
    /// The `Host` it is sent when it is asked for by its own name.
    pub authority: Arc<str>,
    /// Its share.
    pub weight: u32,
    /// Its tier; lower ones first.
    pub priority: u8,
}

/// What is spoken to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointScheme {
    /// HTTP, without TLS.
    Http,
    /// HTTP over TLS.
    Https,
    /// Whatever clients of TCP listeners speak.
    Tcp,
}

impl EndpointScheme {
    /// As URLs have it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
        }
    }

    /// The scheme of requests that are sent there.
    pub const fn of_requests(self) -> Scheme {
        match self {
            Self::Https => Scheme::Https,
            Self::Http | Self::Tcp => Scheme::Http,
        }
    }
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// At this address.
    Ip(SocketAddr),
    /// At the addresses this name has, at this port.
    Name(Arc<str>, u16),
    /// At the names, ports and weights this name's SRV records give.
    Srv(Arc<str>),
    /// At this socket.
    Unix(PathBuf),
}

/// How an endpoint is chosen.
#[derive(Clone, Debug)]
pub enum Balance {
    /// By an algorithm.
    By(BalanceBy),
    /// By the hash of a header field.
    HashHeader(Name),
    /// By the hash of a cookie.
    HashCookie(Arc<str>),
    /// By the hash of the client's address.
    HashClientAddress,
}

/// The protocol spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 where ALPN agrees on it or the request is gRPC, else HTTP/1.1.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// TLS towards an upstream.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Ready to shake hands, offering the ALPN of `protocol`.
    pub config: Arc<rustls::ClientConfig>,
    /// The name sent and expected; the endpoint's host where none.
    pub server_name: Option<ServerName<'static>>,
    /// Stable name of everything that makes a connection trusted; connections are shared only under
    /// the same one.
    pub identity: String,
    /// Files it was made from, for watching.
    pub files: Vec<PathBuf>,
}

/// Active health checks.
#[derive(Clone, Debug)]
pub struct Health {
    /// What a check does.
    pub probe: HealthProbe,
    /// Time between checks.
    pub interval: Duration,
    /// Time a check may take.
    pub timeout: Duration,
    /// Failures in a row until unhealthy.
    pub fall: u32,
    /// Passes in a row until healthy.
    pub rise: u32,
}

/// What a health check does.
#[derive(Clone, Debug)]
pub enum HealthProbe {
    /// GET a path with a host; these status ranges pass.
    Http(Arc<str>, Option<Arc<str>>, Vec<std::ops::RangeInclusive<u16>>),
    /// Connect.
    Tcp,
    /// Ask for this gRPC service's health.
    Grpc(Arc<str>),
}

/// Ejection by live traffic.
#[derive(Clone, Copy, Debug)]
pub struct Outlier {
    /// Failures in a row that eject.
    pub consecutive: u32,
    /// First ejection.
    pub base: Duration,
    /// Longest ejection.
    pub max: Duration,
    /// Most ejected at once, in percent.
    pub max_percent: u8,
}

/// Connections kept, per endpoint and core.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Idle ones kept.
    pub idle: usize,
    /// How long.
    pub idle_timeout: Duration,
    /// Age after which one is not used again.
    pub max_age: Duration,
    /// Requests after which one is not used again.
    pub max_requests: u64,
    /// Concurrent streams of an HTTP/2 connection.
    pub streams: usize,
}

/// Timeouts.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To connect, TLS included; per try.
    pub connect: Duration,
    /// To the response's first byte; per try.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
    /// The whole exchange; none for no bound.
    pub total: Option<Duration>,
}

/// Retries.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Further tries.
    pub attempts: u32,
    /// What counts as failed.
    pub causes: Vec<RetryOn>,
    /// Time a try may take until its response starts.
    pub per_try: Option<Duration>,
    /// First wait.
    pub backoff: Duration,
    /// Longest wait.
    pub backoff_max: Duration,
    /// Longest body kept for another try.
    pub body: usize,
    /// Budget: percent of the requests of the last 10 s.
    pub budget_percent: u8,
    /// Budget: this many a second in any case.
    pub budget_floor: u32,
}

/// How much runs at once, all cores together, and when nothing is sent because most fails.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    /// Connections.
    pub connections: usize,
    /// Requests waiting for a connection.
    pub pending: usize,
    /// Requests running.
    pub running: usize,
    /// Percent of the requests of the last 10 s that must fail for it to open; 0 for never.
    pub failure_percent: u8,
    /// Requests of the last 10 s below which it stays closed.
    pub failure_requests: u64,
    /// How long it stays open.
    pub open: Duration,
    /// How long requests take to come back.
    pub ramp: Duration,
}

/// How names are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dns {
    /// Shortest time between lookups.
    pub min_ttl: Duration,
    /// Longest time between lookups.
    pub max_ttl: Duration,
    /// Servers to ask; the system's where none.
    pub servers: Vec<SocketAddr>,
}
