//! HTTP/1.1 towards clients: one connection, from its first byte to its last.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::Instant;
use bytes::Bytes;
use policy::message::{Body, Method, Scheme, Version};
use policy::{Exchange, Refusal, codes};
use snapshot::Limits;

use super::head::{self, EndFinder, Framing, HeadLimits, RequestHead, malformed};
use super::pump::{Pump, PumpError};
use super::wire::{RequestBody, Wire};
use super::write::{self, ResponseForm};
use crate::accept::Accepted;
use crate::accept::door::Door;
use crate::buffers;
use crate::codec::normalize::TARGET_MAX;
use crate::codec::rewind::Rewind;
use crate::codec::{Client, Interim, Upgraded};
use crate::core::Core;
use crate::in_place::in_place;
use crate::serve;
use crate::tunnel::{self, websocket};

/// Bytes of a body nobody wanted that are read and thrown away to keep the connection.
const DRAIN_MAX: u64 = 64 << 10;

/// Time for that, and for a client to close its end after we closed ours.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Bytes read after our end was closed, so that the client gets the answer before it gets a reset.
const LINGER_MAX: usize = 256 << 10;

/// Serves a connection until it ends.
pub(crate) async fn run(core: Rc<Core>, accepted: Accepted) {
    let Accepted { io, read, connection, door } = accepted;
    let limits = door.limits();
    let wire = Wire::new(io, read, &core.timers, limits.body_idle_timeout);
    let scheme = if connection.tls.is_some() { Scheme::Https } else { Scheme::Http };
    let mut server = Server {
        core: core.clone(),
        wire: Rc::new(RefCell::new(wire)),
        door,
        scheme,
        limits,
        head: RequestHead { framing: Framing::None, keep_alive: true, trailers: false },
        interim: true,
        served: 0,
        pause: None,
        keep: true,
    };
    let mut now = core.timers.now();
    while server.keep && server.waited(now).await {
        let mut x = core.take_exchange(&connection);
        match server.read_head(&mut x).await {
            Ok(true) => in_place(|| serve::serve(&core, &mut x, &mut server)).await,
            Ok(false) => {
                core.give_exchange(x);
                break;
            }
            Err(refusal) => {
                server.keep = false;
                in_place(|| serve::serve_refusal(&core, &mut x, &mut server, refusal)).await;
            }
        }
        now = x.started.after(x.times.total);
        core.give_exchange(x);
        server.served += 1;
    }
}

/// A client's connection.
struct Server {
    core: Rc<Core>,
    wire: Rc<RefCell<Wire>>,
    door: Rc<Door>,
    scheme: Scheme,
    limits: Limits,
    /// Of the request being served.
    head: RequestHead,
    /// Whether the client takes interim responses: not with HTTP/1.0.
    interim: bool,
    /// Requests served before this one.
    served: u32,
    /// How long nothing is read before the next one.
    pause: Option<Duration>,
    /// Whether another request may follow.
    keep: bool,
}

impl Server {
    /// Waits for a request's first byte, from `now` on; false if none will come.
    async fn waited(&mut self, now: Instant) -> bool {
        if !self.paused().await {
            return false;
        }
        if !self.wire.borrow().input.is_empty() {
            return true;
        }
        let first = self.served == 0;
        let patience = if first { self.limits.header_timeout } else { self.limits.keep_alive };
        let until = now.after(patience);
        self.wire.borrow_mut().deadline.set(until);
        let mut told = false;
        poll_fn(|cx| {
            let mut wire = self.wire.borrow_mut();
            match wire.poll_fill(cx) {
                Poll::Ready(read) => return Poll::Ready(read.is_ok_and(|read| read > 0)),
                Poll::Pending if self.door.is_cut() => return Poll::Ready(false),
                Poll::Pending if !first && self.core.overload.saves() => {
                    self.core.overload.idle_closed(self.core.number);
                    return Poll::Ready(false);
                }
                Poll::Pending => {}
            }
            if !told
                && self.door.is_closing()
                && let Some(call) = self.door.last_call(self.core.timers.now())
            {
                told = true;
                wire.deadline.set(until.min(call));
            }
            wire.deadline.poll(cx).map(|()| false)
        })
        .await
    }

    /// Waits until the client may come again; false if the listener closes.
    async fn paused(&mut self) -> bool {
        let Some(pause) = self.pause.take() else { return true };
        self.wire.borrow_mut().deadline.set_after(pause);
        poll_fn(|cx| match self.door.is_closing() {
            true => Poll::Ready(false),
            false => self.wire.borrow_mut().deadline.poll(cx).map(|()| true),
        })
        .await
    }

    /// Reads a request's head; false if the client left before it was all there.
    async fn read_head(&mut self, x: &mut Exchange) -> Result<bool, Refusal> {
        self.limits = self.door.limits();
        x.request.target.scheme = self.scheme;
        x.body_limit = self.limits.body_bytes;
        let by = x.started.after(self.limits.header_timeout);
        self.wire.borrow_mut().expect(by, self.limits.body_idle_timeout);
        let mut finder = EndFinder::default();
        let started = x.started;
        match poll_fn(|cx| self.poll_head(cx, &mut finder, started)).await? {
            Some(length) => self.take_head(length, x).map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes the head, whose length is known, and gets ready for the body.
    fn take_head(&mut self, length: usize, x: &mut Exchange) -> Result<(), Refusal> {
        let mut wire = self.wire.borrow_mut();
        wire.deadline.clear();
        let limits =
            HeadLimits { bytes: self.limits.header_bytes, fields: self.limits.header_count };
        let all = wire.input.get(..length).unwrap_or_default();
        self.head = head::request(all, limits, self.scheme, self.limits.paths, &mut x.request)?;
        self.interim = x.request.version != Version::Http10;
        wire.consume(length);
        wire.start_body(self.head.framing, x.request.expects_continue);
        drop(wire);
        if self.head.framing != Framing::None {
            x.request.body = self.body();
        }
        Ok(())
    }

    /// The request's body: at once if it came with the head.
    fn body(&self) -> Body {
        let mut guard = self.wire.borrow_mut();
        let wire = &mut *guard;
        if let Some(whole) = wire.reader.whole(&mut wire.input) {
            wire.received = whole.len() as u64;
            wire.expecting = false;
            return Body::Full(whole);
        }
        Body::Stream(Box::new(RequestBody(self.wire.clone())))
    }

    /// The length of the head, once all of it was read; none if the client left.
    fn poll_head(
        &self,
        cx: &mut Context<'_>,
        finder: &mut EndFinder,
        started: Instant,
    ) -> Poll<Result<Option<usize>, Refusal>> {
        let mut wire = self.wire.borrow_mut();
        loop {
            // An empty line before a request is from a client that counted wrong (RFC 9112 §2.2).
            while wire.input.starts_with(b"\r\n") {
                wire.consume(2);
                *finder = EndFinder::default();
            }
            let found = finder.find(&wire.input).map_err(|_| {
                malformed(&codes::REQUEST_MALFORMED, "a line is ended by LF without CR")
            })?;
            let length = found.unwrap_or(wire.input.len());
            if length > self.limits.header_bytes {
                return Poll::Ready(Err(self.too_large(finder)));
            }
            if found.is_some() {
                return Poll::Ready(Ok(found));
            }
            if !finder.has_line() && wire.input.len() > TARGET_MAX + 64 {
                return Poll::Ready(Err(endless_line(&wire.input)));
            }
            match wire.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    let by = started.after(self.limits.head_time(wire.input.len()));
                    wire.deadline.set(by);
                    ready!(wire.deadline.poll(cx));
                    return Poll::Ready(Err(Refusal::new(&codes::REQUEST_TIMEOUT).close()));
                }
            }
        }
    }

    fn too_large(&self, finder: &EndFinder) -> Refusal {
        let code = if finder.has_line() { &codes::HEADERS_TOO_LARGE } else { &codes::URI_TOO_LONG };
        let detail = format!("the head is larger than {} bytes", self.limits.header_bytes);
        Refusal::new(code).detail(detail).close()
    }

    /// How the response is framed, and whether the connection goes on.
    fn form(&self, x: &Exchange, close: bool) -> ResponseForm {
        let status = x.response.status;
        let to_head = x.request.method == Method::Head;
        let version = x.request.version;
        let length = x.response.body.remaining();
        let framing = match length {
            _ if to_head || !status.may_have_body() => Framing::None,
            Some(length) => Framing::Length(length),
            None if version == Version::Http10 => Framing::Close,
            None => Framing::Chunked,
        };
        let announce = length.filter(|length| to_head && *length > 0);
        // After an upgrade that was not granted, what follows may be of the other protocol.
        let keep_alive = self.keep
            && !close
            && self.served + 1 < self.limits.requests_per_connection
            && x.request.upgrade.is_none()
            && self.head.keep_alive
            && framing != Framing::Close
            && self.can_drain()
            && !self.door.is_closing();
        let keep_length = to_head || status.code() == 304;
        ResponseForm { framing, announce, keep_length, version, keep_alive }
    }

    /// Whether what is left of the request's body is little enough to be read and thrown away.
    fn can_drain(&self) -> bool {
        let wire = self.wire.borrow();
        let reader = &wire.reader;
        reader.is_done()
            || (!wire.expecting
                && !reader.is_broken()
                && reader.remaining().is_none_or(|left| left <= DRAIN_MAX))
    }

    /// Writes the response; true if that went well.
    async fn write(&mut self, x: &mut Exchange, form: ResponseForm) -> bool {
        let mut head = self.wire.borrow_mut().take_out();
        write::response(&mut head, &mut x.response, form, x.wall);
        let mut body = x.response.body.take();
        let mut pump = Pump::new(head, form.framing);
        pump.trailers = self.head.trailers;
        let done = self.pump(&mut pump, &mut body).await;
        x.bytes_out = pump.written;
        match done {
            Ok(()) => true,
            Err(PumpError::Io(error)) => {
                tracing::debug!(%error, "the client took no more");
                false
            }
            Err(PumpError::Body(error)) => {
                tracing::debug!(?error, "the response broke off");
                if form.framing == Framing::Close {
                    // An orderly end would make it look whole.
                    self.wire.borrow_mut().io.reset_on_drop();
                }
                false
            }
        }
    }

    async fn pump(&mut self, pump: &mut Pump, body: &mut Body) -> Result<(), PumpError> {
        poll_fn(|cx| {
            if self.door.is_cut() {
                // An orderly end could make what was sent look whole.
                self.wire.borrow_mut().io.reset_on_drop();
                return Poll::Ready(Err(PumpError::Io(ErrorKind::ConnectionAborted.into())));
            }
            let before = pump.taken;
            let done = pump.poll(cx, &mut self.wire, body);
            self.wire.borrow_mut().judge(cx, pump, before, done)
        })
        .await
    }

    /// Reads the rest of the request's body, if that is little; true if the next request can
    /// follow.
    async fn drain(&mut self) -> bool {
        if self.wire.borrow().reader.is_done() {
            return true;
        }
        self.wire.borrow_mut().deadline.set_after(DRAIN_TIME);
        poll_fn(|cx| {
            let mut wire = self.wire.borrow_mut();
            let most = DRAIN_MAX;
            match wire.poll_drain(cx, most) {
                Poll::Ready(all) => Poll::Ready(all),
                Poll::Pending => wire.deadline.poll(cx).map(|()| false),
            }
        })
        .await
    }

    /// Closes our end, then reads until the client closes its own, within bounds: closing with
    /// bytes unread would reset the connection, and the client might lose the answer.
    async fn close(&mut self) {
        let mut left = LINGER_MAX;
        let mut closed = false;
        self.wire.borrow_mut().deadline.set_after(DRAIN_TIME);
        poll_fn(|cx| {
            let mut wire = self.wire.borrow_mut();
            if !closed {
                let shut = Pin::new(&mut wire.io);
                match tokio::io::AsyncWrite::poll_shutdown(shut, cx) {
                    Poll::Ready(Ok(())) => closed = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return wire.deadline.poll(cx),
                }
            }
            match wire.poll_linger(cx, &mut left) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => wire.deadline.poll(cx),
            }
        })
        .await;
    }
}

/// The refusal of a first line that does not end: the same that it would get at its end.
fn endless_line(line: &[u8]) -> Refusal {
    const METHOD_MAX: usize = 32;
    if line.iter().take(METHOD_MAX + 1).any(|byte| *byte == b' ') {
        return Refusal::new(&codes::URI_TOO_LONG).close();
    }
    malformed(&codes::REQUEST_MALFORMED, "the method is longer than 32 bytes")
}

impl Client for Server {
    async fn accompany(&mut self, interim: &Interim) {
        let takes_interim = self.interim;
        poll_fn(|cx| {
            let mut wire = self.wire.borrow_mut();
            if self.door.is_cut() {
                return Poll::Ready(());
            }
            while let Poll::Ready((status, headers)) = interim.poll_next(cx) {
                if takes_interim {
                    wire.push_interim(|out| write::interim(out, status.code(), &headers));
                }
            }
            wire.poll_gone(cx)
        })
        .await;
    }

    async fn answer(&mut self, x: &mut Exchange, close: bool) {
        let form = self.form(x, close);
        // What nobody wants any more of is told to its source before the answer goes out.
        x.request.body = Body::Empty;
        x.complete = self.write(x, form).await;
        // The exchange is over; only the connection's end may still be waited for.
        x.held.clear();
        self.keep = x.complete && form.keep_alive && self.drain().await;
        x.bytes_in = self.wire.borrow().received;
        if x.complete && !self.keep {
            self.close().await;
        }
    }

    fn keep_pace(&mut self, rate: u64) {
        self.wire.borrow_mut().rate = rate;
    }

    fn pause(&mut self, time: Duration) {
        self.pause = Some(time);
    }

    fn abandon(&mut self) {
        self.keep = false;
    }

    async fn tunnel(&mut self, x: &mut Exchange, upstream: Upgraded) {
        self.keep = false;
        let protocol = x.request.upgrade.clone().unwrap_or_default();
        let mut head = self.wire.borrow_mut().take_out();
        websocket::complete(&x.request, &mut x.response);
        write::switching(&mut head, &mut x.response.headers, &protocol);
        // Gone with its buffer before the tunnel begins: an idle one holds none.
        let written = {
            let mut pump = Pump::new(head, Framing::None);
            self.pump(&mut pump, &mut Body::Empty).await
        };
        if written.is_err() {
            return;
        }
        let (io, read) = self.wire.borrow_mut().take();
        let early = if read.is_empty() {
            buffers::give_input(read);
            Bytes::new()
        } else {
            read.freeze()
        };
        let client = Rewind::new(io, early);
        let moved = |up, down| {
            x.bytes_in += up;
            x.bytes_out += down;
        };
        let copied = tunnel::copy(client, upstream, self.limits.body_idle_timeout, moved);
        let Some(()) = self.door.unless_cut(copied).await else { return };
        x.complete = true;
    }
}
