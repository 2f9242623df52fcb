//! A connection for one try: one that is there, or a new one where the upstream's bounds allow it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use base::Instant;
use policy::message::{Body, Response, Scheme};
use policy::{Code, codes};
use snapshot::{EndpointScheme, Protocol};

use super::bulkhead::{self, Count, Place};
use super::connect::{Connected, Offer, connect};
use super::failure::Failure;
use super::pool::Connecting;
use super::upstream::{Lane, Upstream};
use crate::accept::io::Io;
use crate::codec::{Interim, Outgoing, Permit, SendError, Sent, h1, h2};
use crate::core::Core;
use crate::deadline::Deadline;

/// Longest pause within a body on an HTTP/2 connection, whatever exchange it is of.
const STREAM_IDLE: Duration = Duration::from_secs(86_400);

/// A connection to send one request by.
pub(crate) struct Acquired {
    /// The connection.
    pub connection: Connection,
    /// Whether it was there already.
    pub reused: bool,
    /// The time it took to make.
    pub took: Duration,
}

/// A connection, whatever it speaks.
pub(crate) enum Connection {
    /// HTTP/1.1: this request has it for itself.
    Http1(h1::client::Connection),
    /// HTTP/2: shared.
    Http2(h2::client::Connection),
}

impl Connection {
    /// Sends a request and reads the head of the response.
    pub async fn send(
        self,
        out: &Outgoing<'_>,
        body: Body,
        interim: &Interim,
        response: &mut Response,
    ) -> Result<Sent, SendError> {
        match self {
            Self::Http1(connection) => connection.send(out, body, interim, response).await,
            Self::Http2(connection) => connection.send(out, body, interim, response).await,
        }
    }
}

/// What a request needs its connection to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; where it opens a tunnel, with extended CONNECT.
    Http2 {
        /// Whether it opens a tunnel.
        upgrade: bool,
    },
    /// What ALPN agrees on.
    Either,
}

impl Speech {
    /// What a request needs of an endpoint of an upstream that speaks `protocol`: `grpc` and
    /// `upgrade` tell whether it is a gRPC call and whether it opens a tunnel.
    pub fn of(grpc: bool, upgrade: bool, protocol: Protocol, scheme: Scheme) -> Self {
        match (protocol, scheme) {
            (Protocol::Http1, _) => Self::Http1,
            (Protocol::Http2, _) => Self::Http2 { upgrade },
            (Protocol::Auto, _) if grpc => Self::Http2 { upgrade },
            (Protocol::Auto, Scheme::Https) if !upgrade => Self::Either,
            // Every server that takes upgrades at all takes them by HTTP/1.1.
            (Protocol::Auto, _) => Self::Http1,
        }
    }
}

/// What a try needs of its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// What it speaks.
    pub speech: Speech,
    /// It must be a new one: one that was there has failed just now.
    pub fresh: bool,
    /// How long it may take to make.
    pub connect: Duration,
    /// When the exchange is over.
    pub total_by: Option<Instant>,
}

/// A connection to the endpoint of `lane`.
pub(crate) async fn acquire(
    core: &Core,
    upstream: &Rc<Upstream>,
    lane: &Lane,
    need: Need,
    now: Instant,
) -> Result<Acquired, Failure> {
    let there = if need.fresh { None } else { lane.pool.take(need.speech, now) };
    let acquired = match there {
        Some(connection) => Acquired { connection, reused: true, took: Duration::ZERO },
        // Boxed: it is seldom, and much larger than what is there.
        None => Box::pin(open(core, upstream, lane, need, now)).await?,
    };
    if let (Connection::Http2(connection), Speech::Http2 { upgrade: true }) =
        (&acquired.connection, need.speech)
        && !Box::pin(connection.takes_upgrades()).await
    {
        return Err(unfit(lane, "it takes no extended CONNECT (RFC 8441)"));
    }
    Ok(acquired)
}

async fn open(
    core: &Core,
    upstream: &Rc<Upstream>,
    lane: &Lane,
    need: Need,
    now: Instant,
) -> Result<Acquired, Failure> {
    let waits = Cell::new(true);
    let opening = async {
        match turn(core, upstream, lane, need).await {
            Turn::There(connection) => Ok((connection, true)),
            Turn::Make(permit, _connecting) => {
                waits.set(false);
                Ok((make(core, upstream, lane, need, permit).await?, false))
            }
        }
    };
    let opened = in_time(core, upstream, lane, need, now, &waits, opening).await;
    opened.map(|(connection, reused)| {
        let took = core.timers.now().since(now);
        Acquired { connection, reused, took }
    })
}

/// A new connection to the endpoint of `lane` for bytes alone, with its place among those of the
/// upstream.
pub(crate) async fn raw(
    core: &Core,
    upstream: &Rc<Upstream>,
    lane: &Lane,
    now: Instant,
) -> Result<(Io, Permit), Failure> {
    let config = upstream.config();
    let need = Need {
        speech: Speech::Http1,
        fresh: true,
        connect: config.timeouts.connect,
        total_by: None,
    };
    let waits = Cell::new(true);
    let opening = async {
        let state = &upstream.shared().state;
        let permit = loop {
            match bulkhead::connection(state, &lane.endpoint, config.breaker.connections) {
                Some(permit) => break permit,
                // What comes free before this waits is remembered.
                None => state.load.freed.notified().await,
            }
        };
        waits.set(false);
        let connected = connect(&lane.endpoint, None, Offer::Http1).await?;
        Ok((connected.io, permit))
    };
    in_time(core, upstream, lane, need, now, &waits, opening).await
}

/// What `opening` gives, if it does so in time and not too many wait already; `waits` tells whether
/// it still waits for a place among the upstream's connections.
async fn in_time<T>(
    core: &Core,
    upstream: &Rc<Upstream>,
    lane: &Lane,
    need: Need,
    now: Instant,
    waits: &Cell<bool>,
    opening: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let breaker = upstream.config().breaker;
    let Some(_pending) = Place::take(upstream, Count::Pending, breaker.pending) else {
        let most = breaker.pending;
        return Err(Failure::overloaded(format!("{most} requests wait (breaker.pending)")));
    };
    let connect_by = now.after(need.connect);
    let by = need.total_by.map_or(connect_by, |total| total.min(connect_by));
    let mut deadline = Deadline::new(&core.timers);
    deadline.set(by);
    match deadline.within(opening).await {
        Ok(opened) => opened,
        Err(_) if by < connect_by => {
            Err(Failure::out_of_time(format!("{}: connecting", lane.endpoint.label)))
        }
        Err(_) if waits.get() => {
            let most = breaker.connections;
            Err(Failure::overloaded(format!("{most} connections are busy (breaker.connections)")))
        }
        Err(_) => {
            let note = format!("{}: no connection within timeouts.connect", lane.endpoint.label);
            Err(Failure::unsent(&codes::CONNECT_TIMEOUT, note))
        }
    }
}

/// What a request that waits for its turn gets.
enum Turn<'l> {
    /// Leave to make a connection.
    Make(Permit, Option<Connecting<'l>>),
    /// A connection that came free.
    There(Connection),
}

async fn turn<'l>(core: &Core, upstream: &Upstream, lane: &'l Lane, need: Need) -> Turn<'l> {
    let state = &upstream.shared().state;
    let most = upstream.config().breaker.connections;
    let mut first = true;
    loop {
        // The first look was taken before.
        if !first
            && !need.fresh
            && let Some(connection) = lane.pool.take(need.speech, core.timers.now())
        {
            return Turn::There(connection);
        }
        first = false;
        // Where one connection may carry many requests, one is made at a time and the others wait
        // for it.
        let shares = lane.pool.shares(need.speech);
        if !(shares && lane.pool.is_connecting())
            && let Some(permit) = bulkhead::connection(state, &lane.endpoint, most)
        {
            return Turn::Make(permit, shares.then(|| lane.pool.connecting()));
        }
        // What comes free before this waits is remembered, or is for nobody else to take.
        tokio::select! {
            () = state.load.freed.notified() => {}
            () = lane.pool.freed() => {}
        }
    }
}

async fn make(
    core: &Core,
    upstream: &Upstream,
    lane: &Lane,
    need: Need,
    permit: Permit,
) -> Result<Connection, Failure> {
    let config = upstream.config();
    let offer = match need.speech {
        Speech::Http1 => Offer::Http1,
        Speech::Http2 { .. } => Offer::Http2,
        Speech::Either => Offer::Both,
    };
    let Connected { io, http2: agreed } =
        connect(&lane.endpoint, config.tls.as_ref(), offer).await?;
    let tls = lane.endpoint.key.scheme == EndpointScheme::Https;
    let http2 = match need.speech {
        Speech::Http1 => false,
        Speech::Either => agreed,
        Speech::Http2 { .. } if tls && !agreed => {
            return Err(unfit(lane, "it did not agree on HTTP/2 (ALPN)"));
        }
        Speech::Http2 { .. } => true,
    };
    if !http2 {
        lane.pool.told(false);
        let home = Some(lane.pool.home());
        let connection = h1::client::Connection::new(io, home, permit, core.timers.now());
        return Ok(Connection::Http1(connection));
    }
    let settings = h2::client::Settings {
        streams: config.pool.streams,
        // Pauses are watched over by each exchange, by its route's own measure.
        idle: STREAM_IDLE,
        timers: core.timers.clone(),
    };
    let connection = h2::client::Connection::handshake(io, permit, settings).await;
    let connection = connection.map_err(|error| unfit(lane, &error.to_string()))?;
    lane.pool.told(true);
    lane.pool.share(connection.clone());
    Ok(Connection::Http2(connection))
}

/// The endpoint can't be spoken to as is needed.
fn unfit(lane: &Lane, what: &str) -> Failure {
    const CODE: &Code = &codes::CONNECT_FAILED;
    Failure::unsent(CODE, format!("{}: {what}", lane.endpoint.label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_needs_its_connection_to_speak() {
        use Protocol::{Auto, Http1, Http2};
        use Scheme::{Http, Https};
        let (plain, grpc, socket) = ((false, false), (true, false), (false, true));
        let http2 = Speech::Http2 { upgrade: false };
        for ((grpc, upgrade), protocol, scheme, expected) in [
            (plain, Auto, Http, Speech::Http1),
            (plain, Auto, Https, Speech::Either),
            (plain, Http1, Https, Speech::Http1),
            (plain, Http2, Http, http2),
            (grpc, Auto, Http, http2),
            (grpc, Auto, Https, http2),
            (grpc, Http1, Http, Speech::Http1),
            (socket, Auto, Http, Speech::Http1),
            (socket, Auto, Https, Speech::Http1),
            (socket, Http2, Https, Speech::Http2 { upgrade: true }),
        ] {
            let speech = Speech::of(grpc, upgrade, protocol, scheme);
            assert_eq!(speech, expected, "{grpc} {upgrade} {protocol:?} {scheme:?}");
        }
    }
}
