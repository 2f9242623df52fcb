//! The fields of a line.

use std::io::Write as _;

use policy::message::Known;
use policy::{Caller, Exchange, RouteFacts};

use super::json::{self, Line};
use super::time;
use crate::secret_names::SecretNames;

macro_rules! fields {
    ($($field:ident = $name:literal,)*) => {
        /// A field of a line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field { $(#[doc = $name] $field,)* }

        impl Field {
            /// All of them with their names, in the order they are written.
            pub(super) const ALL: &'static [(Self, &'static str)] = &[$((Self::$field, $name),)*];

            /// What stands before its value in a line.
            const fn key(self) -> &'static str {
                match self { $(Self::$field => concat!(",\"", $name, "\":"),)* }
            }
        }
    };
}

fields! {
    Time = "time",
    Id = "id",
    Trace = "trace_id",
    Client = "client",
    Listener = "listener",
    Protocol = "protocol",
    Tls = "tls",
    Method = "method",
    Scheme = "scheme",
    Host = "host",
    Path = "path",
    Query = "query",
    UserAgent = "user_agent",
    Status = "status",
    Code = "code",
    Note = "note",
    Complete = "complete",
    Duration = "duration_ms",
    Queued = "queued_ms",
    BytesIn = "bytes_in",
    BytesOut = "bytes_out",
    Api = "api",
    Version = "version",
    Route = "route",
    Application = "application",
    Organization = "organization",
    Credential = "credential",
    Upstream = "upstream",
    Endpoint = "endpoint",
    Attempts = "attempts",
    UpstreamStatus = "upstream_status",
    Connect = "connect_ms",
    FirstByte = "first_byte_ms",
}

/// Most bytes of `User-Agent`.
const USER_AGENT_BYTES: usize = 256;

impl Field {
    /// Writes it, where it is known of `exchange`.
    pub(super) fn write(self, line: &mut Line<'_>, exchange: &Exchange, secrets: &SecretNames) {
        match self {
            Self::Time | Self::Id | Self::Trace | Self::Client | Self::Listener => {
                self.write_where_from(line, exchange);
            }
            Self::Protocol | Self::Tls | Self::Method | Self::Scheme | Self::Host => {
                self.write_request(line, exchange, secrets);
            }
            Self::Path | Self::Query | Self::UserAgent => {
                self.write_request(line, exchange, secrets);
            }
            Self::Status | Self::Code | Self::Note | Self::Complete | Self::Duration => {
                self.write_outcome(line, exchange);
            }
            Self::Queued | Self::BytesIn | Self::BytesOut => self.write_outcome(line, exchange),
            Self::Api | Self::Version | Self::Route => self.write_names(line, exchange),
            Self::Application | Self::Organization | Self::Credential => {
                self.write_names(line, exchange);
            }
            Self::Upstream
            | Self::Endpoint
            | Self::Attempts
            | Self::UpstreamStatus
            | Self::Connect
            | Self::FirstByte => self.write_upstream(line, exchange),
        }
    }

    fn write_where_from(self, line: &mut Line<'_>, exchange: &Exchange) {
        let key = self.key();
        match self {
            Self::Time => line.quoted(key, |out| time::write(out, exchange.wall)),
            Self::Id => line.quoted(key, |out| out.extend_from_slice(&exchange.id.text())),
            Self::Trace if exchange.trace.trace.0 != 0 => {
                line.quoted(key, |out| out.extend_from_slice(&exchange.trace.trace.text()));
            }
            Self::Client => line.quoted(key, |out| {
                // Writing to memory does not fail.
                let _ = write!(out, "{}", exchange.client);
            }),
            Self::Listener => line.text(key, exchange.connection.listener.as_bytes()),
            _ => {}
        }
    }

    fn write_request(self, line: &mut Line<'_>, exchange: &Exchange, secrets: &SecretNames) {
        let key = self.key();
        let request = &exchange.request;
        match self {
            Self::Protocol => line.text(key, request.version.text().as_bytes()),
            Self::Tls => {
                if let Some(tls) = &exchange.connection.tls {
                    line.text(key, tls.version.as_bytes());
                }
            }
            Self::Method => line.text(key, request.method.as_str().as_bytes()),
            Self::Scheme => line.text(key, request.target.scheme.text().as_bytes()),
            Self::Host => line.text(key, request.target.authority.host().as_bytes()),
            Self::Path => line.text(key, request.target.path.as_bytes()),
            Self::Query => {
                if let Some(query) = &request.target.query {
                    line.quoted(key, |out| write_query(out, query, secrets));
                }
            }
            Self::UserAgent => {
                if let Some(agent) = request.headers.get(Known::UserAgent) {
                    line.text(key, agent.get(..USER_AGENT_BYTES).unwrap_or(agent));
                }
            }
            _ => {}
        }
    }

    fn write_outcome(self, line: &mut Line<'_>, exchange: &Exchange) {
        let key = self.key();
        match self {
            Self::Status => line.number(key, u64::from(exchange.response.status.code())),
            Self::Code => maybe(line, key, exchange.refusal.map(|code| code.name)),
            Self::Note => maybe(line, key, exchange.note.as_deref()),
            Self::Complete if !exchange.complete => line.bool(key, false),
            Self::Duration => line.millis(key, exchange.times.total),
            Self::Queued if !exchange.times.queued.is_zero() => {
                line.millis(key, exchange.times.queued);
            }
            Self::BytesIn => line.number(key, exchange.bytes_in),
            Self::BytesOut => line.number(key, exchange.bytes_out),
            _ => {}
        }
    }

    fn write_names(self, line: &mut Line<'_>, exchange: &Exchange) {
        let route = exchange.route.as_ref();
        let caller = exchange.caller.as_ref();
        let name = match self {
            Self::Api => route.map(RouteFacts::api),
            Self::Version => route.and_then(RouteFacts::version),
            Self::Route => route.map(RouteFacts::route),
            Self::Application => caller.and_then(Caller::application_name),
            Self::Organization => caller.and_then(Caller::organization),
            Self::Credential => caller.map(|caller| &*caller.credential),
            _ => None,
        };
        maybe(line, self.key(), name);
    }

    fn write_upstream(self, line: &mut Line<'_>, exchange: &Exchange) {
        let key = self.key();
        let upstream = &exchange.upstream;
        match self {
            Self::Upstream => maybe(line, key, upstream.name.as_deref()),
            Self::Endpoint => maybe(line, key, upstream.endpoint.as_deref()),
            Self::Attempts if upstream.attempts > 1 => {
                line.number(key, u64::from(upstream.attempts));
            }
            Self::UpstreamStatus => {
                if let Some(status) = upstream.status {
                    line.number(key, u64::from(status));
                }
            }
            Self::Connect if !exchange.times.connect.is_zero() => {
                line.millis(key, exchange.times.connect);
            }
            Self::FirstByte if !exchange.times.first_byte.is_zero() => {
                line.millis(key, exchange.times.first_byte);
            }
            _ => {}
        }
    }
}

fn maybe(line: &mut Line<'_>, key: &str, text: Option<&str>) {
    if let Some(text) = text {
        line.text(key, text.as_bytes());
    }
}

/// Most bytes of a query.
const QUERY_BYTES: usize = 4096;

/// Writes `query` with `***` in place of the values that are secrets.
fn write_query(out: &mut Vec<u8>, query: &str, secrets: &SecretNames) {
    let mut room = QUERY_BYTES;
    for (number, pair) in query.split('&').enumerate() {
        if room < pair.len() + 4 {
            out.extend_from_slice("…".as_bytes());
            return;
        }
        room -= pair.len() + 1;
        if number > 0 {
            out.push(b'&');
        }
        match pair.split_once('=') {
            Some((name, _)) if secrets.has(name) => {
                json::escape(out, name.as_bytes());
                out.extend_from_slice(b"=***");
            }
            _ => json::escape(out, pair.as_bytes()),
        }
    }
}
