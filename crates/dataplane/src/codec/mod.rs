//! From bytes to an exchange and back: HTTP/1.1 by our own codec, HTTP/2 by the h2 crate, both ends
//! of each.
//!
//! The client's side of a codec reads requests and is a [`Client`]; the upstream's side takes an
//! [`Outgoing`] and gives a response, or a [`SendError`]. Nothing outside this folder knows which
//! codec it talks to.

pub(crate) mod grpc;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod normalize;
pub(crate) mod rewind;
pub(crate) mod trailers;

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use policy::Exchange;
use policy::message::{Headers, Method, Scheme, Status};

use crate::enforce::names;

/// The client of one exchange: who gets its answer.
#[allow(async_fn_in_trait, reason = "futures stay on their core")]
pub(crate) trait Client {
    /// Runs beside the work on the answer: passes interim responses on as they come, and ends only
    /// when the client has gone.
    async fn accompany(&mut self, interim: &Interim);

    /// Sends the exchange's response, to its end. Writes what was sent into the exchange
    /// (`bytes_out`, `complete`). `close` ends the connection after it (HTTP/1.1).
    async fn answer(&mut self, exchange: &mut Exchange, close: bool);

    /// From now on the client must send and take bodies at this many bytes a second, while it is
    /// waited for; 0: any. Before [`Self::accompany`].
    fn keep_pace(&mut self, rate: u64);

    /// After this exchange's answer nothing is read of the connection for so long, where it carries
    /// one exchange at a time: the client was told not to come before.
    fn pause(&mut self, _time: Duration) {}

    /// The client has gone: nobody is answered.
    fn abandon(&mut self) {}

    /// Answers an upgrade with the exchange's response (101, or 200 to an extended CONNECT), then
    /// carries bytes both ways until both ends are done.
    async fn tunnel(&mut self, exchange: &mut Exchange, upstream: Upgraded);
}

/// How a request that was sent ended.
pub(crate) enum Sent {
    /// The response's head is here.
    Response,
    /// The upstream switched protocols.
    Upgraded(Upgraded),
}

/// What a connection to an endpoint holds as long as it lives: its place among those its upstream
/// may have.
#[derive(Default)]
pub(crate) struct Permit {
    /// Held, not read.
    _place: Option<Box<dyn Any>>,
}

impl Permit {
    /// Holds `place`, which is given up by being dropped.
    pub fn holding(place: impl Any) -> Self {
        Self { _place: Some(Box::new(place)) }
    }

    /// Holds nothing.
    pub const fn free() -> Self {
        Self { _place: None }
    }
}

/// What an upgraded upstream connection has become: bytes both ways.
pub(crate) struct Upgraded {
    /// The stream.
    pub io: Box<dyn Duplex>,
    /// What was read beyond the response's head.
    pub read: bytes::Bytes,
}

/// Bytes both ways.
pub(crate) trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Duplex for T {}

/// A request as it goes to an endpoint, all decisions taken: hop-by-hop fields gone, `Forwarded`
/// and its like set, path and host rewritten. Made once per exchange, sent once per try. Its body
/// goes beside it.
pub(crate) struct Outgoing<'x> {
    /// The method.
    pub method: Method,
    /// The scheme, for HTTP/2.
    pub scheme: Scheme,
    /// Host and port, for `Host` or `:authority`.
    pub authority: &'x str,
    /// Path and query.
    pub target: &'x str,
    /// The fields, without `Host` and without those of the connection.
    pub headers: &'x Headers,
    /// The protocol to switch to, where that is asked.
    pub upgrade: Option<&'x str>,
}

/// What a response's head may hold, in bytes.
const RESPONSE_BYTES: usize = 64 << 10;

/// What a response's head may hold, in fields.
const RESPONSE_FIELDS: usize = 200;

/// Interim responses before the final one.
const INTERIM_MAX: usize = 10;

/// Why a request could not be sent or its response not be read.
#[derive(Debug)]
pub(crate) struct SendError {
    /// What happened.
    pub kind: SendFault,
    /// Whether any byte of the request may have reached the endpoint. If not, it can be sent again
    /// whatever it is.
    pub sent: bool,
    /// More, for operators.
    pub note: Box<str>,
}

/// What happened to a request on its way to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendFault {
    /// The connection broke.
    Reset,
    /// HTTP/2: the endpoint says it did not process the request (REFUSED_STREAM, GOAWAY).
    Refused,
    /// The response can't be read, or could be read in two ways.
    Malformed,
    /// The client's body broke off, was too large or too slow: the client's fault, not the
    /// endpoint's.
    Body(policy::message::BodyError),
}

/// Where an HTTP/1.1 upstream connection goes when its response was read to the end and it can be
/// used again.
pub(crate) trait Home {
    /// Takes it back.
    fn back(&self, connection: h1::client::Connection);
}

/// Interim responses (1xx but 101) on their way from the upstream to the client.
#[derive(Clone, Default)]
pub(crate) struct Interim(Rc<RefCell<InterimQueue>>);

#[derive(Default)]
struct InterimQueue {
    waiting: VecDeque<(Status, Headers)>,
    waker: Option<Waker>,
}

/// Interim responses that wait at most; more are dropped.
const INTERIM_WAITING: usize = 8;

impl Interim {
    /// Adds one.
    pub fn push(&self, status: Status, mut headers: Headers) {
        names::strip_response(&mut headers);
        let mut queue = self.0.borrow_mut();
        if queue.waiting.len() < INTERIM_WAITING {
            queue.waiting.push_back((status, headers));
        }
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }

    /// Whether there is one that was not passed on yet.
    pub fn is_waiting(&self) -> bool {
        !self.0.borrow().waiting.is_empty()
    }

    /// The next one.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<(Status, Headers)> {
        let mut queue = self.0.borrow_mut();
        match queue.waiting.pop_front() {
            Some(next) => Poll::Ready(next),
            None => {
                match &mut queue.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}
