//! Servers beside the request's way: identity providers, deciders, vaults. Policies call them
//! through this, and know no socket.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// A way to servers, with the trust and the certificate that one use of a policy asks for. Keeps
/// connections; follows no redirects.
pub trait Remote: fmt::Debug + Send + Sync {
    /// Calls a server.
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Answer, Unanswered>> + Send>>;
}

/// A call. Nothing in it is taken from a caller unchecked: whoever makes it answers for that.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method, as `GET`.
    pub method: &'static str,
    /// The URL, `http` or `https`.
    pub url: String,
    /// Header fields beside `Host`, `User-Agent` and `Content-Length`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
    /// Time for all of it: connecting, sending, and the answer to its last byte.
    pub within: Duration,
    /// Most bytes of an answer's body; a longer one is none.
    pub most: usize,
    /// Whether it is gRPC: over HTTP/2 alone, with `te: trailers`.
    pub grpc: bool,
    /// Whether it may be sent again where a connection breaks: it changes nothing at the server.
    pub again: bool,
}

impl Call {
    /// A `GET` of this URL: within 5 s, at most 1 MiB.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET",
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            within: Duration::from_secs(5),
            most: 1 << 20,
            grpc: false,
            again: true,
        }
    }

    /// A `POST` of this body, sent once; otherwise as [`Call::get`].
    pub fn post(url: impl Into<String>, kind: &str, body: impl Into<Bytes>) -> Self {
        let get = Self::get(url).header("content-type", kind);
        Self { method: "POST", body: body.into(), again: false, ..get }
    }

    /// That may be sent again: a question, and no order.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.again = true;
        self
    }

    /// With a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Within this time.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }
}

/// What a server answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields, names in lower case; trailers behind them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The first value of a field; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// Why there is no answer; never with anything secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The URL is none that can be called.
    Url(String),
    /// The server can't be reached, or broke off.
    Unreachable(String),
    /// It did not answer in time.
    Late,
    /// It answered more than was asked for.
    TooLong,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(what) => write!(f, "the URL can't be called: {what}"),
            Self::Unreachable(what) => write!(f, "it can't be reached: {what}"),
            Self::Late => f.write_str("it did not answer in time"),
            Self::TooLong => f.write_str("its answer is too long"),
        }
    }
}

/// What goes on beside the requests as long as a snapshot runs: keys are fetched, tokens renewed.
/// Chores run on one thread; one that is in the next snapshot too (the same `Arc`, from
/// [`crate::Carry`]) goes on undisturbed.
pub trait Chore: fmt::Debug + Send + Sync {
    /// Does it once. Gives the time until it is due again.
    fn run(&self) -> Pin<Box<dyn Future<Output = Duration> + Send + '_>>;
}
