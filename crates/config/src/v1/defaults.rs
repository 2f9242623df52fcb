//! Every default of the document in one place; `docs/manual/defaults.md` is made from it.

use base::{ByteSize, Span};

use super::{DotSegments, DoubleSlash, EncodedSlash, OddFieldNames, Semicolon};

macro_rules! defaults {
    ($($(#[doc = $doc:literal])+ $name:ident: $ty:ty = $value:expr;)*) => {
        $($(#[doc = $doc])+ pub fn $name() -> $ty { $value })*

        /// Name, value and meaning of every default, for the manual.
        pub fn table() -> Vec<(&'static str, String, &'static str)> {
            vec![$((
                stringify!($name),
                serde_json::to_string(&$name()).unwrap_or_default(),
                concat!($($doc),+).trim(),
            )),*]
        }
    };
}

defaults! {
    /// Where the admin listener stands.
    admin_bind: String = "127.0.0.1:8090".into();

    /// Whether organizations, applications, keys, plans and subscriptions count.
    enabled: bool = true;

    /// Bytes of a request's head, all protocols; more is refused with 431.
    header_bytes: ByteSize = ByteSize(32 << 10);
    /// Header fields of a request, cookie crumbs counted; more is refused with 431.
    header_count: u32 = 100;
    /// Time to receive a request's head, from its first byte.
    header_timeout: Span = Span::secs(10);
    /// Bytes a second of a head that must come, from half of `header_timeout` on.
    header_rate: ByteSize = ByteSize(500);
    /// Time a client may take between two pieces of a body it sends or reads.
    body_idle_timeout: Span = Span::secs(60);
    /// Bytes a second a client must send or take of a body, averaged over `body_idle_timeout`,
    /// while it is waited for. gRPC calls and tunnels are free; `body_rate` of an API or route sets
    /// another rate, 0 any.
    body_rate: ByteSize = ByteSize(1 << 10);
    /// Time a connection may stay open without a request.
    keep_alive: Span = Span::secs(75);
    /// Time for a TLS handshake.
    tls_handshake_timeout: Span = Span::secs(5);
    /// Connections a listener holds at once, all cores together. All listeners together hold no
    /// more than that, than half the file descriptors less 64, than one per 64 KiB of the memory
    /// budget, unless `limits.connections` says otherwise.
    connections: u32 = 50_000;
    /// Requests of a connection; the last one's answer ends it (`Connection: close`, GOAWAY).
    requests_per_connection: u32 = 10_000;
    /// Concurrent HTTP/2 streams of a connection.
    http2_streams: u32 = 100;
    /// HTTP/2 requests of a connection that a client may take back, or that have to be reset for
    /// its fault, within 10 s; more end the connection.
    http2_resets: u32 = 50;
    /// HTTP/2 frames about the connection itself (settings, pings, priorities, unknown ones …) that
    /// a client may send within 10 s beyond those that go with requests; more end the connection.
    http2_control_frames: u32 = 1_000;
    /// Bytes of a request's body; more is refused with 413. `body_size` sets another limit for an
    /// API or route.
    body_bytes: ByteSize = ByteSize(10 << 20);
    /// Time without a byte either way after which a connection of a TCP listener ends.
    tcp_idle_timeout: Span = Span::secs(300);

    /// Connections at once from one peer: an IPv4 address, an IPv6 network of 64 bits.
    connections_per_address: u32 = 1_000;
    /// Memory budget in percent of the control group's limit, or of the machine's memory where
    /// there is none.
    memory_percent: u64 = 75;
    /// TLS handshakes a core works on before it turns to what else is ready.
    tls_handshakes: u32 = 2;
    /// Time what is ready may wait for a core, by the core's own clock; above it requests are
    /// turned away with 503.
    queue_time: Span = Span::millis(100);

    /// Whether TLS listeners refuse names none of their certificates is for.
    reject_unknown_sni: bool = false;

    /// The version of the rules by which paths are read.
    paths_version: u32 = 1;
    /// What becomes of `%2F` in a path.
    paths_encoded_slash: EncodedSlash = EncodedSlash::Refuse;
    /// What becomes of `//` in a path.
    paths_double_slash: DoubleSlash = DoubleSlash::Merge;
    /// What becomes of dot segments in a path.
    paths_dot_segments: DotSegments = DotSegments::Remove;
    /// What becomes of `;` in a path.
    paths_semicolon: Semicolon = Semicolon::Keep;
    /// What becomes of header fields whose name has a `_` or `.`.
    odd_field_names: OddFieldNames = OddFieldNames::Drop;

    /// Time to connect to an endpoint, TLS included.
    connect_timeout: Span = Span::secs(2);
    /// Time from the request's last byte sent to the first byte of the response.
    first_byte_timeout: Span = Span::secs(30);
    /// Time an upstream may take between two pieces of a body.
    upstream_idle_timeout: Span = Span::secs(60);
    /// Time of the whole exchange, retries and waits included; streams that outlive it set it to
    /// `0s` (none).
    total_timeout: Span = Span::secs(30);

    /// Weight of an endpoint or of one upstream of a split.
    weight: u32 = 1;
    /// Share of healthy endpoints under which health is not believed and all are used, in percent.
    panic_threshold: u8 = 50;
    /// Time over which the weight of an endpoint that was added or recovered grows from 10 %.
    slow_start: Span = Span::secs(30);

    /// Time between two health checks of an endpoint; varied by a fifth.
    health_interval: Span = Span::secs(5);
    /// Time a health check may take.
    health_timeout: Span = Span::secs(2);
    /// Failed checks in a row that make an endpoint unhealthy.
    health_fall: u32 = 3;
    /// Passed checks in a row that make it healthy again.
    health_rise: u32 = 2;
    /// The path asked by HTTP health checks.
    health_path: String = "/".into();
    /// Statuses that pass an HTTP health check: `200`, `200-299`.
    health_expect: Vec<String> = vec!["200-299".into()];

    /// Whether live traffic ejects endpoints.
    outlier_enabled: bool = true;
    /// Failures in a row, 502, 503, 504 or no answer, that eject an endpoint.
    outlier_consecutive: u32 = 5;
    /// First ejection; the n-th lasts n times as long.
    outlier_base: Span = Span::secs(30);
    /// Longest ejection.
    outlier_max: Span = Span::secs(300);
    /// Most endpoints ejected at once, in percent; one may always be, when there are two.
    outlier_max_percent: u8 = 50;

    /// Idle connections kept per endpoint and core.
    pool_idle: u32 = 64;
    /// Time an idle upstream connection is kept.
    pool_idle_timeout: Span = Span::secs(55);
    /// Age after which an upstream connection is not used again.
    pool_max_age: Span = Span::secs(3_600);
    /// Concurrent streams of one HTTP/2 upstream connection.
    pool_streams: u32 = 100;

    /// Further tries after a failed one.
    retry_attempts: u32 = 1;
    /// First wait between tries; full jitter, doubled each time.
    retry_backoff: Span = Span::millis(25);
    /// Longest wait between tries.
    retry_backoff_max: Span = Span::millis(250);
    /// Bytes of a request's body kept for another try; a longer body is sent once.
    retry_body: ByteSize = ByteSize(64 << 10);
    /// Retries allowed, in percent of the requests of the last 10 s.
    retry_budget_percent: u8 = 20;
    /// Retries allowed each second whatever the traffic.
    retry_budget_floor: u32 = 10;

    /// Connections to one upstream, all cores together.
    breaker_connections: u32 = 1024;
    /// Requests waiting for a connection.
    breaker_pending: u32 = 256;
    /// Requests running.
    breaker_running: u32 = 1024;
    /// Share of the requests of the last 10 s that must fail for the breaker to open, in percent.
    breaker_failure_percent: u8 = 50;
    /// Requests of the last 10 s below which the breaker stays closed.
    breaker_failure_requests: u32 = 20;
    /// Time the breaker stays open before one request goes, to see.
    breaker_open: Span = Span::secs(10);
    /// Time over which requests come back from 10 % after that.
    breaker_ramp: Span = Span::secs(10);

    /// Shortest time between two lookups of a name, whatever its TTL.
    dns_min_ttl: Span = Span::secs(1);
    /// Longest time between two lookups of a name.
    dns_max_ttl: Span = Span::secs(300);

    /// Share of requests traced when the caller has not decided, 0 to 1.
    trace_sample: f64 = 0.01;
    /// The service name traces carry.
    trace_service: String = "gateward".into();
}
