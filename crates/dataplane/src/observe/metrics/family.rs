//! The catalogue: every metric there is. The manual's page, `docs/manual/metrics.md`, has exactly
//! these rows.

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows; starts again at zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by bucket.
    Histogram,
}

impl Kind {
    /// Its word in the exposition format.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric: all series of one name.
#[derive(Debug)]
pub(crate) struct Family {
    /// Its name; a counter's ends in `_total`.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The labels of its series, in order.
    pub labels: &'static [&'static str],
    /// What it says, one line.
    pub help: &'static str,
}

macro_rules! families {
    ($($konst:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)*) => {
        $(pub(crate) static $konst: Family = Family {
            name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help,
        };)*

        /// All of them, in the order they are exposed: what the page and the manual are held
        /// against.
        #[cfg(test)]
        pub(crate) static ALL: &[&Family] = &[$(&$konst),*];
    };
}

families! {
    REQUESTS = "gateward_requests_total", Counter, ["api", "version", "route", "class"],
        "Requests answered, by the status class of the answer.";
    REQUEST_DURATION = "gateward_request_duration_seconds", Histogram, ["api", "version", "route"],
        "Time from a request's head to the end of its answer.";
    REQUEST_BYTES = "gateward_request_body_bytes_total", Counter, ["api", "version", "route"],
        "Bytes of requests' bodies received.";
    RESPONSE_BYTES = "gateward_response_body_bytes_total", Counter, ["api", "version", "route"],
        "Bytes of responses' bodies sent.";
    REFUSALS = "gateward_refusals_total", Counter, ["code"],
        "Answers given by the gateway instead of the upstream, by code.";
    FIELDS_DROPPED = "gateward_request_fields_dropped_total", Counter, ["kind"],
        "Fields of requests that were left out: a name with `_` or `.`, or a trailer.";

    TRIES = "gateward_upstream_tries_total", Counter, ["upstream", "endpoint", "class"],
        "Tries an endpoint answered, by the status class of its answer.";
    FAILURES = "gateward_upstream_failures_total", Counter, ["upstream", "endpoint", "code"],
        "Tries an endpoint did not answer, by the code they failed with.";
    FIRST_BYTE = "gateward_upstream_first_byte_seconds", Histogram, ["upstream"],
        "Time from a try's start to the first byte of its answer.";
    RETRIES = "gateward_upstream_retries_total", Counter, ["upstream"],
        "Tries after the first one of a request.";
    BREAKER = "gateward_upstream_breaker_state", Gauge, ["upstream", "state"],
        "1 for what the breaker does now, 0 for the rest: closed, open, half_open, ramping.";
    BREAKER_OPENED = "gateward_upstream_breaker_opened_total", Counter, ["upstream"],
        "How often the breaker opened.";
    PANIC = "gateward_upstream_panic", Gauge, ["upstream"],
        "1 while so few endpoints are usable that all are used, else 0.";
    ENDPOINT_HEALTHY = "gateward_upstream_endpoint_healthy", Gauge,
        ["upstream", "endpoint", "address"],
        "1 when health checks pass or none are made, 0 when they fail.";
    ENDPOINT_EJECTED = "gateward_upstream_endpoint_ejected", Gauge,
        ["upstream", "endpoint", "address"],
        "1 while live traffic has ejected the endpoint, else 0.";
    ENDPOINT_ACTIVE = "gateward_upstream_endpoint_active_requests", Gauge,
        ["upstream", "endpoint", "address"],
        "Requests running at the endpoint.";
    ENDPOINT_CONNECTIONS = "gateward_upstream_endpoint_connections", Gauge,
        ["upstream", "endpoint", "address"],
        "Connections open to the endpoint, idle ones included.";
    ENDPOINT_IDLE = "gateward_upstream_endpoint_idle_connections", Gauge,
        ["upstream", "endpoint", "address"],
        "Connections kept open to the endpoint that no request uses.";

    ACCEPTED = "gateward_connections_accepted_total", Counter, ["listener"],
        "Connections taken.";
    REFUSED = "gateward_connections_refused_total", Counter, ["listener", "reason"],
        "Connections turned away: the listener, the instance or the peer's address has too many, or the peer is no trusted proxy.";
    OPEN = "gateward_connections_open", Gauge, ["listener"],
        "Connections open.";
    ACCEPT_PAUSES = "gateward_accept_pauses_total", Counter, ["listener"],
        "Times nothing could be accepted for a moment: no file descriptor or memory was left.";
    HANDSHAKES = "gateward_tls_handshakes_total", Counter, ["listener", "result"],
        "TLS handshakes; the result is done or failed.";
    HTTP2_ENDED = "gateward_http2_connections_ended_total", Counter, ["listener", "reason"],
        "HTTP/2 connections of clients that ended, by the reason; `enhance_your_calm`: the client did little but cost.";
    HTTP2_RESETS = "gateward_http2_streams_reset_total", Counter, ["listener", "reason"],
        "HTTP/2 streams of clients cut short, by the reason; `taken_back` by the client, all others by the gateway.";
    PASSED = "gateward_tcp_connections_total", Counter, ["listener", "outcome"],
        "Connections of TCP listeners that are over, by how they ended.";
    PASSED_BYTES = "gateward_tcp_bytes_total", Counter, ["listener", "direction"],
        "Bytes passed on by TCP listeners; the direction is up, to the upstream, or down.";
    CERTIFICATE_END = "gateward_certificate_expiry_timestamp_seconds", Gauge,
        ["listener", "file", "name"],
        "When a certificate ends, in seconds since 1970; the name is its first.";

    OVERLOAD = "gateward_overload_level", Gauge, [],
        "How short memory is: 0 calm, 1 saving, 2 refusing low, 3 refusing normal priority, 4 full.";
    BUDGET = "gateward_memory_budget_bytes", Gauge, [],
        "Memory the instance may use.";
    USED = "gateward_memory_used_bytes", Gauge, [],
        "Memory in use, as the budget is held to.";
    CONNECTIONS_MAX = "gateward_connections_max", Gauge, [],
        "Connections all listeners together may have.";
    LAG = "gateward_queue_seconds", Gauge, [],
        "Time what is ready waits for its core, of the core where it is longest.";
    SHED = "gateward_shed_requests_total", Counter, ["reason", "priority"],
        "Requests turned away because memory was short (memory) or the queue too long (queue).";
    STREAMS_REFUSED = "gateward_shed_streams_total", Counter, [],
        "HTTP/2 streams turned away because memory was short.";
    IDLE_CLOSED = "gateward_shed_idle_connections_total", Counter, [],
        "Idle connections closed because memory was short.";

    LOG_DROPPED = "gateward_log_lines_dropped_total", Counter, ["destination"],
        "Access log lines lost: the destination was full, slow or failing.";
    SPANS_EXPORTED = "gateward_spans_exported_total", Counter, [],
        "Spans the collector took.";
    SPANS_DROPPED = "gateward_spans_dropped_total", Counter, [],
        "Spans lost: the queue was full, or the collector did not take them.";

    RELOADS = "gateward_reloads_total", Counter, ["result"],
        "Documents that were to be taken; the result is taken or refused.";
    LAST_RELOAD = "gateward_reload_success_timestamp_seconds", Gauge, [],
        "When the running document was taken, in seconds since 1970.";
    REVISION = "gateward_revision", Gauge, [],
        "The revision of the running document.";
    FALLBACK = "gateward_document_fallback", Gauge, [],
        "1 when the last good document runs, because the one given is refused or crashed.";
    RESTARTS = "gateward_restarts_total", Counter, ["reason"],
        "Serving processes that were replaced: crashed, stuck.";
    READY = "gateward_ready", Gauge, [],
        "1 when the instance takes traffic; 0 while it starts or drains.";
    WORKERS = "gateward_workers", Gauge, [],
        "Cores that serve traffic.";
    UPTIME = "gateward_uptime_seconds", Gauge, [],
        "Time since the instance started.";
    BUILD = "gateward_build_info", Gauge, ["version"],
        "Always 1; the version is in the label.";

    CPU = "process_cpu_seconds_total", Counter, [],
        "Processor time used, user and system.";
    RESIDENT = "process_resident_memory_bytes", Gauge, [],
        "Memory held in RAM.";
    FDS = "process_open_fds", Gauge, [],
        "File descriptors open.";
    MAX_FDS = "process_max_fds", Gauge, [],
        "File descriptors that may be open.";
    THREADS = "process_threads", Gauge, [],
        "Threads of the process.";
    STARTED = "process_start_time_seconds", Gauge, [],
        "When the process started, in seconds since 1970.";
}
