//! A request's head, canonical: one meaning, the same for router, policies, log and upstream.

use super::{Body, Headers, Known, Method};

/// A request.
#[derive(Debug, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The version it came by.
    pub version: Version,
    /// What it asks for.
    pub target: Target,
    /// Its fields, without `Host` and without the fields of the connection: those are in `target`
    /// and known to the codec alone.
    pub headers: Headers,
    /// Its body.
    pub body: Body,
    /// The protocol it asks to switch to (`Upgrade`, RFC 9110 §7.8, or extended CONNECT, RFC 8441),
    /// in lower case.
    pub upgrade: Option<Box<str>>,
    /// Whether the caller waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// The version of HTTP a message came by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
}

impl Version {
    /// As logs and `Via` write it: `1.1`, `2`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// `http` or `https`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS.
    #[default]
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// Its name.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is not written.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// What a request asks for, normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// How the caller reached the gateway.
    pub scheme: Scheme,
    /// The host and port asked for.
    pub authority: Authority,
    /// The path: starts with `/`, no dot segments, no empty segments but a last one, escapes in
    /// upper case and only where needed. `*` for `OPTIONS *`.
    pub path: String,
    /// The query as it came, without `?`; none where there was no `?`.
    pub query: Option<String>,
}

/// Host and port (RFC 3986 §3.2), in lower case; the port where it was written and is not the
/// scheme's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    text: String,
    host_len: usize,
}

impl Authority {
    /// From a host (in lower case, an IPv6 address in brackets) and a port.
    pub fn set(&mut self, host: &str, port: Option<u16>) {
        self.text.clear();
        self.text.push_str(host);
        self.text.make_ascii_lowercase();
        self.host_len = self.text.len();
        if let Some(port) = port {
            self.text.push(':');
            self.text.push_str(itoa::Buffer::new().format(port));
        }
    }

    /// Becomes the same as `other`, in the memory it has.
    pub fn copy_from(&mut self, other: &Self) {
        self.text.clear();
        self.text.push_str(&other.text);
        self.host_len = other.host_len;
    }

    /// Host, and port where there is one.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone; empty where there was none (HTTP/1.0).
    pub fn host(&self) -> &str {
        self.text.get(..self.host_len).unwrap_or_default()
    }

    /// The port, where it is not the scheme's.
    pub fn port(&self) -> Option<u16> {
        self.text.get(self.host_len + 1..).and_then(|port| port.parse().ok())
    }

    /// Forgets both, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.host_len = 0;
    }
}

impl Request {
    /// Makes it as new, keeps the memory.
    pub fn clear(&mut self) {
        self.method = Method::default();
        self.version = Version::default();
        self.target.scheme = Scheme::default();
        self.target.authority.clear();
        self.target.path.clear();
        self.target.query = None;
        self.headers.clear();
        self.body = Body::Empty;
        self.upgrade = None;
        self.expects_continue = false;
    }

    /// The method that a CORS preflight asks for (Fetch, "CORS-preflight fetch"); none if it is
    /// none.
    pub fn preflight(&self) -> Option<Method> {
        if self.method != Method::Options || !self.headers.has(Known::Origin) {
            return None;
        }
        Method::new(self.headers.get(Known::AccessControlRequestMethod)?)
    }

    /// Whether it is a gRPC call: its refusals are gRPC statuses and its upstream speaks HTTP/2.
    pub fn is_grpc(&self) -> bool {
        self.headers.get(Known::ContentType).is_some_and(|value| {
            value
                .strip_prefix(b"application/grpc")
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        })
    }
}
