//! The first bytes of a connection: where it comes from, TLS, which protocol is spoken.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use base::Instant;
use bytes::{Buf, BytesMut};
use policy::{Connection, Exchange, Refusal, Tls};
use snapshot::{Limits, Listener};

use super::door::Door;
use super::io::{Io, Plain};
use super::proxy_protocol::{self, Parsed, Said};
use super::{Accepted, Arrival, Introduced, client_address, tls};
use crate::buffers::SMALL;
use crate::codec::h2::answer::Asker;
use crate::codec::h2::server::Service;
use crate::codec::{h1, h2};
use crate::core::Core;
use crate::deadline::{Deadline, Elapsed, Timers};
use crate::observe::metrics::TurnedAway;
use crate::observe::metrics::http2::{End, Reset};
use crate::{relay, serve};

/// What every HTTP/2 connection starts with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a connection from its first byte to its last.
pub(super) async fn run(core: &Rc<Core>, door: &Rc<Door>, arrival: Arrival) {
    let listener = door.listener();
    if listener.relay.is_some() {
        return Box::pin(pass(core, door, &listener, arrival)).await;
    }
    if listener.tls.is_none() && listener.proxy_protocol.is_none() {
        // The usual case costs nothing that the others need.
        let Arrival { plain, peer, local } = arrival;
        let connection = facts(&listener, peer, local, None);
        let accepted =
            Accepted { io: plain.into(), read: BytesMut::new(), connection, door: door.clone() };
        return speak(core, &listener, accepted).await;
    }
    match Box::pin(greet(core, door, &listener, arrival)).await {
        Ok((accepted, Some(true))) => run_http2(core, accepted).await,
        Ok((accepted, Some(false))) => h1::server::run(core.clone(), accepted).await,
        Ok((accepted, None)) => speak(core, &listener, accepted).await,
        Err(error) => turned_away(&listener, &error),
    }
}

/// Passes a connection on that is not to be opened.
async fn pass(core: &Rc<Core>, door: &Rc<Door>, listener: &Listener, arrival: Arrival) {
    let mut deadline = Deadline::after(&core.timers, listener.limits.tls_handshake_timeout);
    match introduce(core, door, listener, arrival, &mut deadline).await {
        Ok(known) => relay::run(core, door, known, deadline).await,
        Err(error) => turned_away(listener, &error),
    }
}

fn turned_away(listener: &Listener, error: &io::Error) {
    tracing::debug!(%error, listener = %listener.name, "a connection was turned away");
}

/// PROXY header and TLS handshake, where the listener has them. Says whether ALPN agreed on HTTP/2,
/// where there was TLS.
async fn greet(
    core: &Core,
    door: &Rc<Door>,
    listener: &Listener,
    arrival: Arrival,
) -> io::Result<(Accepted, Option<bool>)> {
    let mut deadline = Deadline::after(&core.timers, listener.limits.tls_handshake_timeout);
    let known = introduce(core, door, listener, arrival, &mut deadline).await?;
    let Introduced { io, read, peer, local } = known;
    let Some(settings) = &listener.tls else {
        let connection = facts(listener, peer, local, None);
        return Ok((Accepted { io, read, connection, door: door.clone() }, None));
    };
    let plain = io.into_plain().ok_or_else(|| refused("TLS runs already"))?;
    let at_once = core.running().snapshot.limits.tls_handshakes;
    let turn = tls::Turn { gate: &core.handshakes, at_once };
    let done = deadline.within(tls::accept(plain, &read, settings.config.clone(), turn)).await;
    let done = done.map_err(late).flatten();
    door.series.handshake(core.number, done.is_ok());
    let tls::Accepted { io, tls, http2 } = done?;
    let connection = facts(listener, peer, local, Some(tls));
    let accepted = Accepted { io, read: BytesMut::new(), connection, door: door.clone() };
    Ok((accepted, Some(http2)))
}

/// Reads the PROXY header, where the listener expects one.
async fn introduce(
    core: &Core,
    door: &Rc<Door>,
    listener: &Listener,
    arrival: Arrival,
    deadline: &mut Deadline,
) -> io::Result<Introduced> {
    let Arrival { plain, mut peer, mut local } = arrival;
    let mut io = Io::from(plain);
    let mut read = BytesMut::new();
    if let Some(proxies) = &listener.proxy_protocol {
        let ip = peer.map(|peer| peer.ip().to_canonical());
        if !ip.is_none_or(|ip| client_address::is_trusted(&proxies.trusted, ip)) {
            door.series.refused(core.number, TurnedAway::Proxy);
            return Err(refused("the peer is no trusted proxy"));
        }
        let said = deadline.within(proxy_header(&mut io, &mut read)).await;
        if let Said::Proxied(from, to) = said.map_err(late)?? {
            (peer, local) = (Some(from), Some(to));
        }
    }
    Ok(Introduced { io, read, peer, local })
}

/// Reads the PROXY header off the front of the connection.
async fn proxy_header(io: &mut Io, read: &mut BytesMut) -> io::Result<Said> {
    loop {
        match proxy_protocol::parse(read) {
            Parsed::Done(said, length) => {
                read.advance(length);
                return Ok(said);
            }
            Parsed::Wrong(what) => return Err(refused(what)),
            Parsed::Partial => {}
        }
        let more = poll_fn(|cx| h1::read_some(cx, io, read, SMALL)).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Finds out which protocol a connection without TLS speaks, and serves it.
async fn speak(core: &Rc<Core>, listener: &Listener, mut accepted: Accepted) {
    let both = listener.protocols.http1 && listener.protocols.http2;
    let http2 = if both {
        let patience = listener.limits.header_timeout;
        let mut deadline = Deadline::after(&core.timers, patience);
        let until = core.timers.now().after(patience);
        match starts_http2(&mut accepted, &mut deadline, until, core).await {
            Some(http2) => http2,
            None => return,
        }
    } else {
        listener.protocols.http2
    };
    if http2 {
        run_http2(core, accepted).await;
    } else {
        h1::server::run(core.clone(), accepted).await;
    }
}

/// Whether the connection starts with HTTP/2's preface; none if it ends, stays silent for too long,
/// or the listener closes before a byte came.
async fn starts_http2(
    accepted: &mut Accepted,
    deadline: &mut Deadline,
    until: Instant,
    core: &Core,
) -> Option<bool> {
    let mut told = false;
    poll_fn(|cx| {
        loop {
            let seen = accepted.read.len().min(PREFACE.len());
            if seen > 0 {
                let same = accepted.read.get(..seen) == PREFACE.get(..seen);
                if !same || seen == PREFACE.len() {
                    return Poll::Ready(Some(same));
                }
            }
            match h1::read_some(cx, &mut accepted.io, &mut accepted.read, SMALL) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending if accepted.door.is_cut() => return Poll::Ready(None),
                Poll::Pending => {
                    let call = accepted.door.last_call(core.timers.now());
                    if let Some(call) = call.filter(|_| !told && accepted.read.is_empty()) {
                        told = true;
                        deadline.set(until.min(call));
                    }
                    return deadline.poll(cx).map(|()| None);
                }
            }
        }
    })
    .await
}

/// A connection that speaks HTTP/2.
struct Http2 {
    core: Rc<Core>,
    door: Rc<Door>,
    connection: Arc<Connection>,
}

async fn run_http2(core: &Rc<Core>, accepted: Accepted) {
    let Accepted { io, read, connection, door } = accepted;
    let service = Rc::new(Http2 { core: core.clone(), door, connection });
    Box::pin(h2::server::run(service, io, read.freeze())).await;
}

impl Service for Http2 {
    fn limits(&self) -> Limits {
        self.door.limits()
    }

    fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn timers(&self) -> &Rc<Timers> {
        &self.core.timers
    }

    /// The door wakes the connection's task when it closes.
    fn poll_closing(&self, _: &mut Context<'_>) -> Poll<()> {
        if self.door.is_closing() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_cut(&self) -> bool {
        self.door.is_cut()
    }

    fn begin(&self) -> Box<Exchange> {
        self.core.take_exchange(&self.connection)
    }

    async fn serve(&self, x: &mut Exchange, client: &mut Asker, refused: Option<Refusal>) {
        match refused {
            None => serve::serve(&self.core, x, client).await,
            Some(refusal) => serve::serve_refusal(&self.core, x, client, refusal).await,
        }
    }

    fn is_saving(&self) -> bool {
        self.core.overload.saves()
    }

    fn refused_stream(&self) {
        self.core.overload.stream_refused(self.core.number);
    }

    fn closed_idle(&self) {
        self.core.overload.idle_closed(self.core.number);
    }

    fn end(&self, x: Box<Exchange>) {
        self.core.give_exchange(x);
    }

    fn reset(&self, kind: Reset, streams: u32) {
        self.door.series.http2_reset(self.core.number, kind, streams);
    }

    fn ended(&self, end: End) {
        self.door.series.http2_ended(self.core.number, end);
    }
}

fn facts(
    listener: &Listener,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    tls: Option<Tls>,
) -> Arc<Connection> {
    Arc::new(Connection { listener: listener.name.clone(), peer, local, tls })
}

fn refused(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, what)
}

fn late(_: Elapsed) -> io::Error {
    io::ErrorKind::TimedOut.into()
}

impl From<Plain> for Io {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Tcp(stream) => Self::Tcp(stream),
            Plain::Unix(stream) => Self::Unix(stream),
            Plain::Memory(stream) => Self::Memory(stream),
        }
    }
}

impl Io {
    /// What TLS can run over; none of what it runs over already.
    fn into_plain(self) -> Option<Plain> {
        match self {
            Self::Tcp(stream) => Some(Plain::Tcp(stream)),
            Self::Unix(stream) => Some(Plain::Unix(stream)),
            Self::Memory(stream) => Some(Plain::Memory(stream)),
            Self::Tls(_) | Self::Gone(_) => None,
        }
    }
}
