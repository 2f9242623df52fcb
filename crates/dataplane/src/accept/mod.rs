//! From a socket to bytes: listeners, PROXY protocol, TLS, and which codec speaks.

pub(crate) mod client_address;
pub(crate) mod door;
pub(crate) mod gate;
pub(crate) mod io;
pub(crate) mod keeper;
pub(crate) mod proxy_protocol;
pub(crate) mod socket;
pub(crate) mod spread;
pub(crate) mod tls;
mod welcome;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use snapshot::Listener;
use tokio::net::{TcpListener, UnixListener};

use crate::core::Core;
use crate::deadline::Deadline;
use crate::observe::metrics::TurnedAway;
use crate::overload::{Level, NoPlace, Place};
use door::{Door, Seat};
use io::{Io, Plain};
use socket::Listening;

/// Wait after the machine has no file or memory left for another connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// A connection, ready for a codec.
pub(crate) struct Accepted {
    /// The stream.
    pub io: Io,
    /// What was read of it already.
    pub read: BytesMut,
    /// What is known of it.
    pub connection: std::sync::Arc<policy::Connection>,
    /// The listener it came by.
    pub door: Rc<Door>,
}

/// A listening socket on a core's runtime.
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection just accepted, and its peer.
pub(crate) struct Arrival {
    /// The stream.
    pub plain: Plain,
    /// The peer's address; none on Unix sockets.
    pub peer: Option<SocketAddr>,
    /// Our address; none on Unix sockets.
    pub local: Option<SocketAddr>,
}

/// A connection of which is known where it comes from.
pub(crate) struct Introduced {
    /// The stream.
    pub io: Io,
    /// What was read of it already.
    pub read: BytesMut,
    /// The client's address; none on Unix sockets.
    pub peer: Option<std::net::SocketAddr>,
    /// The address it called; none on Unix sockets.
    pub local: Option<std::net::SocketAddr>,
}

impl Socket {
    fn new(listening: Listening) -> std::io::Result<Self> {
        match listening {
            Listening::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            Listening::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<std::io::Result<Arrival>> {
        match self {
            Self::Tcp(socket) => socket.poll_accept(cx).map_ok(|(stream, peer)| Arrival {
                local: stream.local_addr().ok(),
                plain: Plain::Tcp(stream),
                peer: Some(peer),
            }),
            Self::Unix(socket) => socket.poll_accept(cx).map_ok(|(stream, _)| Arrival {
                plain: Plain::Unix(stream),
                peer: None,
                local: None,
            }),
        }
    }
}

/// Accepts connections at a door until it closes; those that wait in the kernel by then are
/// accepted too. While memory is short none are: they wait in the kernel, which has a bound of its
/// own.
pub(crate) async fn run(core: Rc<Core>, door: Rc<Door>, listening: Listening) {
    let socket = match Socket::new(listening) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, listener = %door.listener().name, "can't accept");
            return;
        }
    };
    let _inside = door.enter(None).await;
    let mut pause = Deadline::new(&core.timers);
    // Whether there was no way to accept the last time; one line says so, not one for each try.
    let mut exhausted = false;
    loop {
        let arrival = poll_fn(|cx| {
            // The door wakes this task when it closes and when memory is no longer short.
            if core.overload.level() == Level::Full && !door.is_closing() {
                return Poll::Pending;
            }
            match socket.poll_accept(cx) {
                Poll::Ready(arrival) => Poll::Ready(Some(arrival)),
                Poll::Pending if door.is_closing() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        match arrival.await {
            None => return,
            Some(Ok(arrival)) => {
                exhausted = false;
                welcome(&core, &door, arrival);
            }
            Some(Err(error)) if is_of_one_connection(&error) => {}
            Some(Err(error)) => {
                if !std::mem::replace(&mut exhausted, true) {
                    let listener = &door.listener().name;
                    tracing::warn!(%error, %listener, "can't accept for now");
                }
                door.series.paused(core.number);
                pause.set_after(EXHAUSTED);
                pause.passed().await;
            }
        }
    }
}

/// Serves a connection, if the listener, the instance and the peer may have one more.
pub(crate) fn welcome(core: &Rc<Core>, door: &Rc<Door>, arrival: Arrival) {
    let held = match places(core, door, arrival.peer) {
        Ok(held) => held,
        Err(why) => {
            // A reset costs less than any answer, and leaves nothing behind in the kernel.
            arrival.plain.reset_on_drop();
            return door.series.refused(core.number, why);
        }
    };
    let (core, door) = (core.clone(), door.clone());
    tokio::task::spawn_local(async move {
        let _inside = door.enter(Some(held)).await;
        let _counted = door.series.open(core.number);
        welcome::run(&core, &door, arrival).await;
    });
}

/// What a connection of this peer needs to be served.
fn places(core: &Core, door: &Door, peer: Option<SocketAddr>) -> Result<(Seat, Place), TurnedAway> {
    let seat = door.seat().ok_or(TurnedAway::Listener)?;
    // Proxies in front speak for many.
    let counted = peer.map(|peer| peer.ip()).filter(|ip| !speaks_for_others(&door.listener(), *ip));
    match core.overload.places.take(counted) {
        Ok(place) => Ok((seat, place)),
        Err(NoPlace::Instance) => Err(TurnedAway::Instance),
        Err(NoPlace::Peer) => Err(TurnedAway::Address),
    }
}

/// Whether this peer is a proxy in front, by the listener's word.
fn speaks_for_others(listener: &Listener, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    let told = listener.proxy_protocol.as_ref().map(|proxies| &proxies.trusted);
    let heard = listener.client_address.as_ref().map(|rule| &rule.trusted);
    [told, heard].into_iter().flatten().any(|trusted| client_address::is_trusted(trusted, peer))
}

/// Whether it went wrong with one connection alone: it was gone before it was accepted.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}
