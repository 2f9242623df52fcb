//! The snapshot: what an instance runs, immutable, loaded once per request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use base::Problems;
use config::v1::{ClientAddressHeader, OddFieldNames, Paths};
use ipnet::IpNet;
use policy::{Chore, Directory, LogTarget, message::Name};
use rustc_hash::FxBuildHasher;

use crate::{Chain, Relay, Route, Router, Upstream};

/// A document, compiled.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision: counts up with every document that is taken.
    pub revision: u64,
    /// SHA-256 of the document as resolved, in hexadecimal.
    pub digest: String,
    /// The addresses to accept on.
    pub listeners: Vec<Arc<Listener>>,
    /// The admin listener.
    pub admin: Option<Bind>,
    /// Bounds of the whole instance.
    pub limits: InstanceLimits,
    /// Finds the route of a request.
    pub router: Router,
    /// Every route, by its number.
    pub routes: Vec<Arc<Route>>,
    /// The versions of every API, by its name.
    pub(crate) apis: HashMap<Arc<str>, Vec<Option<Arc<str>>>, FxBuildHasher>,
    /// The chain of requests that no route matches: the document's policies.
    pub fallback: Chain,
    /// Every upstream, by its number.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Applications and their credentials.
    pub directory: Arc<Directory>,
    /// Header names that say who the caller is; removed from every request that comes in.
    pub identity_headers: Vec<Name>,
    /// Where access logs go.
    pub log_targets: Vec<Arc<LogTarget>>,
    /// What goes on beside the requests as long as this runs.
    pub chores: Vec<Arc<dyn Chore>>,
    /// Files that policies were made from, for watching.
    pub policy_files: Vec<PathBuf>,
    /// Where traces go.
    pub traces: Option<Traces>,
    /// What is odd about the document, but does not keep it from running: a certificate that has
    /// expired.
    pub warnings: Problems,
    /// Stand for parts of the document, for [`crate::diff`].
    pub(crate) fingerprints: Fingerprints,
    /// The document, secrets masked, as `/config` shows it.
    pub masked: serde_json::Value,
}

impl Snapshot {
    /// Where in memory stands what requests look up: addresses, for whoever places it better.
    pub fn memory(&self) -> impl Iterator<Item = Range<usize>> {
        let routes = self.routes.iter().flat_map(|route| {
            [place(slice::from_ref(&**route)), place(slice::from_ref(&*route.names))]
        });
        self.router.memory().chain(routes).chain(self.directory.memory())
    }

    /// Whether there is an API of this name and version.
    pub fn has_api(&self, name: &str, version: Option<&str>) -> bool {
        let versions = self.apis.get(name);
        versions.is_some_and(|known| known.iter().any(|one| one.as_deref() == version))
    }
}

/// The addresses of these.
pub(crate) fn place<T>(items: &[T]) -> Range<usize> {
    let range = items.as_ptr_range();
    range.start.addr()..range.end.addr()
}

/// Numbers for parts of a document: other ones where anything changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprints {
    pub policies: u64,
    pub applications: u64,
}

/// An address to accept on, or to call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Bind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A listener, ready.
#[derive(Debug)]
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// Its number, for routes that answer on some listeners only.
    pub number: usize,
    /// Its address. What makes it the same listener across snapshots.
    pub bind: Bind,
    /// What it speaks.
    pub protocols: Protocols,
    /// TLS.
    pub tls: Option<ListenerTls>,
    /// Where its connections go unopened; none where it speaks HTTP.
    pub relay: Option<Relay>,
    /// Whether upstreams are told of the certificate a caller showed, in `Client-Cert` (RFC 9440).
    pub forward_certificate: bool,
    /// Peers that speak the PROXY protocol.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whose word on the client's address is taken.
    pub client_address: Option<ClientAddress>,
    /// What becomes of header fields whose name has a `_` or `.`.
    pub odd_field_names: OddFieldNames,
    /// Its bounds.
    pub limits: Limits,
    /// Stands for all that was written of it and for the files it names: another number where
    /// anything changed.
    pub fingerprint: u64,
}

/// What a listener speaks; at least one.
#[derive(Clone, Copy, Debug)]
pub struct Protocols {
    /// HTTP/1.1.
    pub http1: bool,
    /// HTTP/2.
    pub http2: bool,
}

/// TLS of a listener.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// Ready to shake hands: certificates by name, client certificates, ALPN, versions.
    pub config: Arc<rustls::ServerConfig>,
    /// Files it was made from, for watching.
    pub files: Vec<PathBuf>,
    /// Stands for what those files hold.
    pub identity: String,
    /// The certificates shown, for `/status` and the metric of their end.
    pub certificates: Vec<ShownCertificate>,
}

/// A certificate a listener shows: what operators need to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The names and addresses it is for.
    pub names: Vec<String>,
    /// The file it came from, as written.
    pub file: String,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
}

/// Peers that speak the PROXY protocol.
#[derive(Clone, Debug)]
pub struct ProxyProtocol {
    /// Their networks.
    pub trusted: Vec<IpNet>,
}

/// Whose word on the client's address is taken.
#[derive(Clone, Debug)]
pub struct ClientAddress {
    /// Their networks.
    pub trusted: Vec<IpNet>,
    /// The header they write.
    pub header: ClientAddressHeader,
}

/// Bounds of a listener, and what else a codec reads requests by.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Header fields of a request.
    pub header_count: usize,
    /// Time to receive a head.
    pub header_timeout: Duration,
    /// Bytes a second of a head, from half of `header_timeout` on; 0: any pace.
    pub header_rate: u64,
    /// Time between two pieces of a body, either way.
    pub body_idle_timeout: Duration,
    /// Bytes a second of a body, either way; 0: any pace.
    pub body_rate: u64,
    /// Time without a request.
    pub keep_alive: Duration,
    /// Time for a TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Connections at once, all cores together.
    pub connections: usize,
    /// Requests of a connection.
    pub requests_per_connection: u32,
    /// Concurrent HTTP/2 streams of a connection.
    pub http2_streams: u32,
    /// HTTP/2 requests taken back or reset for the client's fault, of a connection in 10 s.
    pub http2_resets: u32,
    /// HTTP/2 frames about the connection itself, of a connection in 10 s.
    pub http2_control_frames: u32,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// How odd paths are read.
    pub paths: Paths,
}

impl Limits {
    /// Time from a head's first byte by which all of it must be there when `bytes` are: half of
    /// what it may take, and as long again as those bytes may take at the least rate.
    pub fn head_time(&self, bytes: usize) -> Duration {
        match self.header_rate {
            0 => self.header_timeout,
            rate => {
                let earned = Duration::from_nanos(bytes as u64 * 1_000_000_000 / rate);
                self.header_timeout.min(self.header_timeout / 2 + earned)
            }
        }
    }
}

/// Bounds of the whole instance. What is none depends on the machine it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Connections at once over all listeners.
    pub connections: Option<usize>,
    /// Connections at once from one peer.
    pub connections_per_address: usize,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// TLS handshakes a core works on before it turns to what else is ready.
    pub tls_handshakes: usize,
    /// Time what is ready may wait for a core.
    pub queue_time: Duration,
}

/// Where traces go.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The OTLP/HTTP collector's URL.
    pub otlp: String,
    /// Share of requests traced when the caller has not decided.
    pub sample: f64,
    /// The service name.
    pub service: String,
}
