//! Spans: one for an exchange, one for each try of an endpoint; with OpenTelemetry's HTTP semantic
//! conventions (1.27).

use std::borrow::Cow;
use std::time::Duration;

use base::{Instant, SpanId, TraceId};
use policy::message::{Known, Method, Status};
use policy::{Code, Exchange};
use snapshot::Route;

use crate::observe::Try;

/// A span, on its way to the collector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    /// The trace it belongs to.
    pub trace: TraceId,
    /// Its id.
    pub id: SpanId,
    /// The span that caused it; zero where none did.
    pub parent: SpanId,
    /// The caller's `tracestate`.
    pub state: Box<str>,
    /// Which side of a call it is.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// When it began, since 1970.
    pub start: Duration,
    /// When it ended, since 1970.
    pub end: Duration,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether it failed.
    pub failed: bool,
}

/// Which side of a call a span is; the numbers are OTLP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It was called.
    Server = 2,
    /// It calls.
    Client = 3,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A number.
    Number(u64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Cow::Owned(text.to_owned()))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// Longest text of an attribute, in bytes.
const TEXT_MAX: usize = 1_024;

/// Attributes in the making.
struct Attributes(Vec<(&'static str, Value)>);

impl Attributes {
    fn text(&mut self, key: &'static str, text: &str) {
        if !text.is_empty() {
            let cut = text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or_default();
            self.0.push((key, cut.into()));
        }
    }

    fn number(&mut self, key: &'static str, number: u64) {
        self.0.push((key, number.into()));
    }

    /// The method, as the conventions want it: those they don't know are `_OTHER`.
    fn method(&mut self, method: Method) {
        match method {
            Method::Other(_) | Method::Unset => {
                self.text("http.request.method", "_OTHER");
                self.text("http.request.method_original", method.as_str());
            }
            known => self.text("http.request.method", known.as_str()),
        }
    }

    fn address(&mut self, authority: &str, port: u16) {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => {
                (host, digits.parse().unwrap_or(port))
            }
            _ => (authority, port),
        };
        self.text("server.address", host);
        if port != 0 {
            self.number("server.port", u64::from(port));
        }
    }
}

/// The span of an exchange that is over. The query is left out: it may hold a credential.
pub(crate) fn of_exchange(x: &Exchange, route: Option<&Route>) -> Span {
    let mut to = Attributes(Vec::with_capacity(20));
    let target = &x.request.target;
    let status = x.response.status;
    to.method(x.request.method);
    to.text("url.scheme", target.scheme.text());
    to.text("url.path", &target.path);
    to.address(target.authority.as_str(), target.scheme.port());
    to.text("network.protocol.version", x.request.version.text());
    to.text("client.address", &x.client.to_string());
    to.number("http.response.status_code", u64::from(status.code()));
    to.number("http.request.body.size", x.bytes_in);
    to.number("http.response.body.size", x.bytes_out);
    to.text("gateward.request_id", &x.id.to_string());
    to.text("gateward.listener", &x.connection.listener);
    let template = route.and_then(template);
    to.text("http.route", template.as_deref().unwrap_or_default());
    if let Some(route) = &x.route {
        to.text("gateward.api", route.api());
        to.text("gateward.api_version", route.version().unwrap_or_default());
        to.text("gateward.route", route.route());
    }
    if let Some(upstream) = &x.upstream.name {
        to.text("gateward.upstream", upstream);
        to.number("gateward.upstream_tries", u64::from(x.upstream.attempts));
    }
    if let Some(code) = x.refusal {
        to.text("gateward.refusal", code.name);
    }
    let failed = status.class() == 5;
    if failed {
        let code = status.code().to_string();
        to.text("error.type", x.refusal.map_or(&*code, |refusal| refusal.name));
    }
    let method = if matches!(x.request.method, Method::Other(_) | Method::Unset) {
        "HTTP"
    } else {
        x.request.method.as_str()
    };
    Span {
        trace: x.trace.trace,
        id: x.trace.span,
        parent: x.trace.parent,
        state: state(x),
        kind: Kind::Server,
        name: match (template, &x.route) {
            (Some(template), _) => format!("{method} {template}"),
            (None, Some(found)) => format!("{method} {}", found.route()),
            (None, None) => method.to_owned(),
        },
        start: x.wall,
        end: x.wall + x.times.total,
        attributes: to.0,
        failed,
    }
}

/// The path a route matches, where the route got its name from it: `/orders` and `GET,HEAD /{id}
/// #2` are `/orders/{id}`.
fn template(route: &Route) -> Option<String> {
    let path = match route.name.split_once(' ') {
        Some((methods, rest)) if !methods.starts_with('/') => {
            methods.bytes().all(|b| b.is_ascii_uppercase() || b == b',').then_some(rest)?
        }
        _ => &route.name,
    };
    let path = path.split_once(" #").map_or(path, |(path, _)| path);
    path.starts_with('/').then(|| format!("{}{path}", route.api.path))
}

/// The span of a try that ended `now`.
pub(crate) fn of_try(
    x: &Exchange,
    one: &Try,
    outcome: Result<Status, &'static Code>,
    now: Instant,
) -> Span {
    let mut to = Attributes(Vec::with_capacity(10));
    to.method(x.request.method);
    let endpoint = x.upstream.endpoint.as_deref().unwrap_or_default();
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => 0,
    };
    to.text("url.scheme", scheme);
    to.address(rest.split('/').next().unwrap_or_default(), port);
    to.text("gateward.upstream", x.upstream.name.as_deref().unwrap_or_default());
    to.text("gateward.endpoint", endpoint);
    if x.upstream.attempts > 1 {
        to.number("http.request.resend_count", u64::from(x.upstream.attempts - 1));
    }
    let failed = match outcome {
        Ok(status) => {
            to.number("http.response.status_code", u64::from(status.code()));
            to.text("network.protocol.version", x.response.version.text());
            if status.class() >= 4 {
                to.text("error.type", &status.code().to_string());
            }
            status.class() >= 4
        }
        Err(code) => {
            to.text("error.type", code.name);
            true
        }
    };
    Span {
        trace: x.trace.trace,
        id: one.span,
        parent: x.trace.span,
        state: state(x),
        kind: Kind::Client,
        name: format!("{} {}", x.request.method, x.upstream.name.as_deref().unwrap_or_default()),
        start: x.wall + one.started.since(x.started),
        end: x.wall + now.since(x.started),
        attributes: to.0,
        failed,
    }
}

fn state(x: &Exchange) -> Box<str> {
    let fields: Vec<_> =
        x.request.headers.all(Known::TraceState).map(String::from_utf8_lossy).collect();
    fields.join(",").into()
}
