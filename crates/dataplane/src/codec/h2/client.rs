//! HTTP/2 towards an endpoint: one connection, many requests at once.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::Instant;
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use policy::message::{Body, Headers, Method, Response, Status};
use tokio::task::{AbortHandle, spawn_local};

use super::conduct::{Conduct, Verdict};
use super::guard::Guard;
use super::incoming::Incoming;
use super::pipe::Pipe;
use super::pump::{Pump, PumpFault};
use super::{fields, head};
use crate::accept::io::Io;
use crate::codec::{
    INTERIM_MAX, Interim, Outgoing, Permit, RESPONSE_BYTES, SendError, Sent, Upgraded,
};
use crate::deadline::Timers;
use crate::tunnel::websocket;

/// Bytes of a response the endpoint may send ahead of its reader. That much waits here for each
/// stream of a client that takes nothing.
const STREAM_WINDOW: u32 = 32 << 10;

/// Bytes of one stream that wait in the h2 crate to be written.
const SEND_BUFFER: usize = 64 << 10;

/// Bytes of a response's head, by the measure of RFC 9113 §6.5.2.
const HEAD_MAX: u32 = RESPONSE_BYTES as u32;

/// What a connection to an endpoint is held to.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Most requests at once; the endpoint may allow fewer.
    pub streams: usize,
    /// Longest pause within a body, either way.
    pub idle: Duration,
    /// The core's timers.
    pub timers: Rc<Timers>,
}

/// A connection to an endpoint. Clones are handles of the same one; it closes when the last handle
/// is dropped and the last response was read.
#[derive(Clone)]
pub(crate) struct Connection(Rc<Shared>);

struct Shared {
    sender: SendRequest<Bytes>,
    state: Rc<State>,
    settings: Settings,
    born: Instant,
    /// Until it was used to find out whether the endpoint's settings are here.
    ping: RefCell<Option<PingPong>>,
}

/// What outlives the last handle.
struct State {
    timers: Rc<Timers>,
    open: Cell<bool>,
    running: Cell<usize>,
    requests: Cell<u64>,
    idle_since: Cell<Instant>,
}

/// A request's place on its connection.
struct Place(Rc<State>);

impl Place {
    fn take(state: &Rc<State>) -> Self {
        state.running.set(state.running.get() + 1);
        state.requests.set(state.requests.get() + 1);
        Self(state.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = self.0.running.get().saturating_sub(1);
        self.0.running.set(left);
        if left == 0 {
            self.0.idle_since.set(self.0.timers.now());
        }
    }
}

/// The task that sends the rest of a request while its response is read already; ends with the
/// response.
struct Sending(AbortHandle);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Opens HTTP/2 on `io`, which must have agreed on it (ALPN) or be known to speak it. `permit`
    /// is given up when the connection has closed.
    pub async fn handshake(io: Io, permit: Permit, settings: Settings) -> io::Result<Self> {
        // Room for every stream's window: a response nobody reads must not hold up the others.
        let streams = u32::try_from(settings.streams).unwrap_or(u32::MAX);
        let window = streams.saturating_mul(STREAM_WINDOW).clamp(STREAM_WINDOW, (1 << 31) - 1);
        let conduct = Conduct::of_endpoint(&settings.timers);
        let (sender, mut connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(window)
            .max_header_list_size(HEAD_MAX)
            .max_send_buffer_size(SEND_BUFFER)
            .handshake(Guard::of_endpoint(io, conduct.clone()))
            .await
            .map_err(io::Error::other)?;
        let now = settings.timers.now();
        let state = Rc::new(State {
            timers: settings.timers.clone(),
            open: Cell::new(true),
            running: Cell::new(0),
            requests: Cell::new(0),
            idle_since: Cell::new(now),
        });
        let ping = RefCell::new(connection.ping_pong());
        let driven = state.clone();
        spawn_local(async move {
            let _permit = permit;
            let ended = poll_fn(|cx| {
                conduct.next_turn();
                if conduct.verdict() == Verdict::Abusive {
                    return Poll::Ready(Err(Reason::ENHANCE_YOUR_CALM.into()));
                }
                Pin::new(&mut connection).poll(cx)
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "an HTTP/2 connection to an endpoint broke");
            }
            driven.open.set(false);
        });
        Ok(Self(Rc::new(Shared { sender, state, settings, born: now, ping })))
    }

    /// When it was opened.
    pub fn born(&self) -> Instant {
        self.0.born
    }

    /// Requests sent on it.
    pub fn requests(&self) -> u64 {
        self.0.state.requests.get()
    }

    /// Since when nothing runs on it; none while something does.
    pub fn idle_since(&self) -> Option<Instant> {
        (self.0.state.running.get() == 0).then(|| self.0.state.idle_since.get())
    }

    /// Whether new requests can be sent: it has not closed, and the endpoint has not said GOAWAY.
    pub fn is_open(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.0.state.open.get()
            && !matches!(self.0.sender.clone().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// Requests that can be sent beside those that run.
    pub fn free_streams(&self) -> usize {
        let most = self.0.settings.streams.min(self.0.sender.current_max_send_streams());
        most.saturating_sub(self.0.state.running.get())
    }

    /// Whether the endpoint takes extended CONNECT (RFC 8441), by which WebSockets are opened.
    /// Waits for its settings if they are not here yet.
    pub async fn takes_upgrades(&self) -> bool {
        let ping = self.0.ping.borrow_mut().take();
        if let Some(mut ping) = ping
            && !self.0.sender.is_extended_connect_protocol_enabled()
        {
            // Settings are the first frame an endpoint sends: what answers a ping comes after them.
            let _ = ping.ping(Ping::opaque()).await;
        }
        self.0.sender.is_extended_connect_protocol_enabled()
    }

    /// Sends a request and waits for the response's head. The request's body goes on while the
    /// response comes; dropping the response's body, or this future, cancels both. An accepted
    /// upgrade is told by status 101, as over HTTP/1.1.
    pub async fn send(
        &self,
        out: &Outgoing<'_>,
        body: Body,
        interim: &Interim,
        response: &mut Response,
    ) -> Result<Sent, SendError> {
        let head = head::request(out, &body)?;
        let ends = out.upgrade.is_none() && body.is_empty();
        let place = Place::take(&self.0.state);
        let sending = self.0.sender.clone().send_request(head, ends);
        let (mut coming, mut stream) =
            sending.map_err(|error| SendError { sent: false, ..head::fault(&error) })?;
        if out.upgrade.is_some() {
            let mut early = 0;
            let coming =
                poll_fn(|cx| poll_head(cx, &mut coming, &mut None, interim, &mut early)).await?;
            if coming.status().is_success() {
                let receive = head::response(coming, false, response)?.0;
                response.status = websocket::SWITCHING;
                let io = Box::new(Pipe::new(stream, receive, place));
                return Ok(Sent::Upgraded(Upgraded { io, read: Bytes::new() }));
            }
            // Refused: nothing more goes up. Fails only on a stream that has ended already.
            let _ = stream.send_data(Bytes::new(), true);
            return self.take(coming, false, None, place, response);
        }
        let Settings { timers, idle, .. } = &self.0.settings;
        let mut pump = (!ends).then(|| Pump::new(body, stream, timers, *idle));
        let mut early = 0;
        let coming =
            poll_fn(|cx| poll_head(cx, &mut coming, &mut pump, interim, &mut early)).await?;
        self.take(coming, out.method == Method::Head, pump, place, response)
    }

    /// Takes a response whose head has come. `pump`: what is still sent of the request.
    fn take(
        &self,
        coming: http::Response<RecvStream>,
        to_head: bool,
        pump: Option<Pump>,
        place: Place,
        response: &mut Response,
    ) -> Result<Sent, SendError> {
        let (stream, length) = head::response(coming, to_head, response)?;
        if stream.is_end_stream() {
            return Ok(Sent::Response);
        }
        let Settings { timers, idle, .. } = &self.0.settings;
        let mut incoming = Incoming::new(stream, length, timers, *idle);
        let sending = pump.map(|mut pump| {
            let task = spawn_local(async move {
                if poll_fn(|cx| pump.poll(cx)).await.is_err() {
                    pump.reset(Reason::CANCEL);
                }
            });
            Sending(task.abort_handle())
        });
        response.body = match incoming.take_whole() {
            Some(whole) => Body::Full(whole),
            None => Body::Stream(Box::new(incoming.keeping((place, sending)))),
        };
        Ok(Sent::Response)
    }
}

/// Waits for a response's head, and sends the request's body and takes interim responses while
/// doing so; `early` counts these.
fn poll_head(
    cx: &mut Context<'_>,
    coming: &mut ResponseFuture,
    pump: &mut Option<Pump>,
    interim: &Interim,
    early: &mut usize,
) -> Poll<Result<http::Response<RecvStream>, SendError>> {
    if let Some(sending) = pump
        && let Poll::Ready(done) = sending.poll(cx)
    {
        match done {
            Ok(()) => {}
            // What the endpoint says about it comes as the response, or as the lack of one.
            Err(PumpFault::Gone) => {}
            Err(fault) => {
                sending.reset(Reason::CANCEL);
                return Poll::Ready(Err(head::body_fault(fault)));
            }
        }
        *pump = None;
    }
    while let Poll::Ready(Some(Ok(head))) = coming.poll_informational(cx) {
        *early += 1;
        let status = Status::new(head.status().as_u16());
        // HTTP/2 has no 101 (RFC 9113 §8.6): over HTTP/1.1 it would say that a tunnel starts.
        if *early > INTERIM_MAX || status == Some(websocket::SWITCHING) {
            let note = "too many interim responses, or a switch of protocols";
            return Poll::Ready(Err(head::malformed(note)));
        }
        // The client's own wish for 100 is met by the gateway.
        if let Some(status) = status.filter(|status| status.code() != 100) {
            let mut headers = Headers::new();
            fields::read(head.headers(), &mut headers);
            interim.push(status, headers);
        }
    }
    Pin::new(coming).poll(cx).map_err(|error| head::fault(&error))
}
