//! One request and its response, as they pass: what came, and what is known about it by now.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::{Instant, RequestId, SpanId, TraceId};
use smallvec::SmallVec;

use crate::message::{Headers, Request, Response};
use crate::{Caller, Code, Credential, Plan, Timers};

/// One request and its response. Facts are typed fields, each written by one place and read by
/// many.
#[derive(Debug)]
pub struct Exchange {
    /// The request, canonical.
    pub request: Request,
    /// The response, from when there is one.
    pub response: Response,
    /// The connection it came by.
    pub connection: Arc<Connection>,
    /// The client's address: the connection's, or what a trusted proxy said.
    pub client: IpAddr,
    /// Its id.
    pub id: RequestId,
    /// Its place in a trace.
    pub trace: TraceContext,
    /// The core it runs on.
    pub core: usize,
    /// The clock of that core, for policies that wait; none where no engine runs it.
    pub timers: Option<Rc<dyn Timers>>,
    /// When it came, monotonic.
    pub started: Instant,
    /// When it came, since 1970.
    pub wall: Duration,
    /// When there was a response for policies to see, monotonic; without meaning before.
    pub answered: Instant,
    /// The API and route that match it; none before routing and where nothing matches.
    pub route: Option<RouteFacts>,
    /// Who it was authenticated as.
    pub caller: Option<Caller>,
    /// The plan it is called by, where a subscription let it in.
    pub plan: Option<Arc<Plan>>,
    /// Which of their parts ran, by combinations of policies: whose it is, and a bit for each part.
    pub parts: SmallVec<[(usize, u32); 1]>,
    /// Fields that policies have for the response before there is one; each adds its own to it.
    pub for_response: Headers,
    /// What limits have to say, for the response's `RateLimit` fields.
    pub rates: SmallVec<[RateReport; 2]>,
    /// Most bytes its body may have; held to by the engine as it streams.
    pub body_limit: u64,
    /// What policies hold for as long as it lasts: a place among those allowed at once. Dropped
    /// when it is over, however it ends: after the response's last byte, or the tunnel's.
    pub held: SmallVec<[Box<dyn Any + Send + Sync>; 1]>,
    /// What policies noted for their own later hooks; theirs until `on_end`.
    pub memos: SmallVec<[Box<dyn Any + Send + Sync>; 1]>,
    /// What the gateway proves itself with to the upstream.
    pub credential: Option<Arc<dyn Credential>>,
    /// How the call to the upstream went.
    pub upstream: UpstreamFacts,
    /// Why it was refused, if it was.
    pub refusal: Option<&'static Code>,
    /// What there is to say of it for operators: why it was refused, or would have been. Never sent
    /// to callers.
    pub note: Option<Box<str>>,
    /// How long what took.
    pub times: Times,
    /// Bytes of the request's body received.
    pub bytes_in: u64,
    /// Bytes of the response's body sent.
    pub bytes_out: u64,
    /// Whether the response was sent to its end.
    pub complete: bool,
}

impl Exchange {
    /// An exchange on a connection, with nothing in it yet.
    pub fn new(connection: Arc<Connection>, core: usize) -> Self {
        Self {
            request: Request::default(),
            response: Response::default(),
            client: connection.peer_ip(),
            connection,
            id: RequestId::default(),
            trace: TraceContext::default(),
            core,
            timers: None,
            started: Instant::default(),
            wall: Duration::ZERO,
            answered: Instant::default(),
            route: None,
            caller: None,
            plan: None,
            parts: SmallVec::new(),
            for_response: Headers::new(),
            rates: SmallVec::new(),
            body_limit: u64::MAX,
            held: SmallVec::new(),
            memos: SmallVec::new(),
            credential: None,
            upstream: UpstreamFacts::default(),
            refusal: None,
            note: None,
            times: Times::default(),
            bytes_in: 0,
            bytes_out: 0,
            complete: false,
        }
    }

    /// Makes it ready for the connection's next request, keeps the memory.
    pub fn clear(&mut self) {
        self.request.clear();
        self.response.clear();
        self.client = self.connection.peer_ip();
        self.id = RequestId::default();
        self.trace = TraceContext::default();
        self.route = None;
        self.caller = None;
        self.plan = None;
        self.parts.clear();
        self.for_response.clear();
        self.rates.clear();
        self.body_limit = u64::MAX;
        self.held.clear();
        self.memos.clear();
        self.credential = None;
        self.upstream = UpstreamFacts::default();
        self.refusal = None;
        self.note = None;
        self.times = Times::default();
        self.bytes_in = 0;
        self.bytes_out = 0;
        self.complete = false;
    }
}

/// A connection: what is true of all its requests.
#[derive(Debug)]
pub struct Connection {
    /// The listener's name.
    pub listener: Arc<str>,
    /// The peer, as the socket or the PROXY protocol has it; none on Unix sockets.
    pub peer: Option<SocketAddr>,
    /// Our end; none on Unix sockets.
    pub local: Option<SocketAddr>,
    /// TLS, where it is spoken.
    pub tls: Option<Tls>,
}

impl Connection {
    /// The peer's address; 0.0.0.0 on Unix sockets.
    pub fn peer_ip(&self) -> IpAddr {
        self.peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical())
    }
}

/// TLS of a connection.
#[derive(Clone, Debug)]
pub struct Tls {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The cipher suite's name.
    pub cipher: Arc<str>,
    /// The name the client asked for.
    pub server_name: Option<Arc<str>>,
    /// The certificate it showed, verified.
    pub client: Option<Arc<ClientCertificate>>,
}

/// A caller's certificate.
#[derive(Debug)]
pub struct ClientCertificate {
    /// Subject, as RFC 4514 writes it.
    pub subject: String,
    /// Names and addresses it is for.
    pub names: Vec<String>,
    /// SHA-256 of its DER form.
    pub sha256: [u8; 32],
    /// Its DER form.
    pub der: Vec<u8>,
    /// The value of `Client-Cert` that tells of it (RFC 9440 §2.1).
    pub field: String,
}

/// What matched. One count of one `Arc` a request: with many routes, each of its lines of memory is
/// a cold one.
#[derive(Clone, Debug)]
pub struct RouteFacts {
    /// The route's number in its snapshot.
    pub number: usize,
    /// What it is called.
    pub names: Arc<RouteNames>,
    /// Where in the request's path the values of its parameters stand, in the order of their names.
    pub values: Values,
}

/// Where in a path the values of parameters stand.
pub type Values = SmallVec<[(u32, u32); 4]>;

/// What a route is called, the same for all its requests.
#[derive(Debug, Default)]
pub struct RouteNames {
    /// The API's name.
    pub api: Arc<str>,
    /// The API's version.
    pub version: Option<Arc<str>>,
    /// The route's name.
    pub route: Arc<str>,
    /// The names of its path's parameters.
    pub params: Arc<[Arc<str>]>,
    /// The number of its operation in the API's contract, where it has one.
    pub operation: Option<u32>,
}

impl RouteFacts {
    /// The API's name.
    pub fn api(&self) -> &str {
        &self.names.api
    }

    /// The API's version.
    pub fn version(&self) -> Option<&str> {
        self.names.version.as_deref()
    }

    /// The route's name.
    pub fn route(&self) -> &str {
        &self.names.route
    }

    /// The parameters, out of the request's `path` as it was when the route was found.
    pub fn params<'p>(&'p self, path: &'p str) -> impl Iterator<Item = (&'p str, &'p str)> {
        self.names.params.iter().zip(&self.values).filter_map(|(name, (start, end))| {
            Some((&**name, path.get(*start as usize..*end as usize)?))
        })
    }

    /// The parameter `name` of these.
    pub fn param<'p>(&'p self, path: &'p str, name: &str) -> Option<&'p str> {
        self.params(path).find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// What one limit has to say (IETF draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Debug)]
pub struct RateReport {
    /// The limit's name.
    pub policy: Arc<str>,
    /// Requests allowed in the window.
    pub limit: u64,
    /// The window, in seconds.
    pub window: u64,
    /// Requests left.
    pub remaining: u64,
    /// Seconds until there are more.
    pub reset: u64,
}

/// A request's place in a trace (W3C Trace Context).
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceContext {
    /// The trace; zero where there is none.
    pub trace: TraceId,
    /// The caller's span; zero where it sent none.
    pub parent: SpanId,
    /// Our span.
    pub span: SpanId,
    /// Whether it is recorded.
    pub sampled: bool,
}

/// How the call to the upstream went.
#[derive(Clone, Debug, Default)]
pub struct UpstreamFacts {
    /// The upstream's name.
    pub name: Option<Arc<str>>,
    /// The endpoint called last.
    pub endpoint: Option<Arc<str>>,
    /// Tries made.
    pub attempts: u32,
    /// Whether the last try used a connection that was open already.
    pub reused: bool,
    /// The status the upstream answered with, before any policy changed it.
    pub status: Option<u16>,
}

/// How long what took; zero where it did not happen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Waiting for its turn, where a policy has requests queue.
    pub queued: Duration,
    /// Connecting to the endpoint, of the last try.
    pub connect: Duration,
    /// From the last try's start to the first byte of the response.
    pub first_byte: Duration,
    /// From the request's head to the end of the response.
    pub total: Duration,
}
