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

    TRIES = "gateward_upstream_tries_total", Counter, ["upstream", "endpoint", "class"],
        "Tries an endpoint answered, by the status class of its answer.";
    FAILURES = "gateward_upstream_failures_total", Counter, ["upstream", "endpoint", "code"],
        "Tries an endpoint did not answer, by the code they failed with.";
    FIRST_BYTE = "gateward_upstream_first_byte_seconds", Histogram, ["upstream"],
        "Time from a try's start to the first byte of its answer.";
    RETRIES = "gateward_upstream_retries_total", Counter, ["upstream"],
        "Tries after the first one of a request.";
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
    REFUSED = "gateward_connections_refused_total", Counter, ["listener"],
        "Connections turned away: too many open, or a wrong PROXY header.";
    OPEN = "gateward_connections_open", Gauge, ["listener"],
        "Connections open.";
    HANDSHAKES = "gateward_tls_handshakes_total", Counter, ["listener", "result"],
        "TLS handshakes; the result is done or failed.";
    CERTIFICATE_END = "gateward_certificate_expiry_timestamp_seconds", Gauge,
        ["listener", "file", "name"],
        "When a certificate ends, in seconds since 1970; the name is its first.";

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
