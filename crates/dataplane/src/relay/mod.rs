//! A connection of a TCP listener: passed on to an upstream, unopened. Its life is [`run`].

pub(crate) mod hello;
mod record;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use snapshot::{RelayTo, Split};
use tokio::io::AsyncWriteExt;

use crate::accept::Introduced;
use crate::accept::door::Door;
use crate::accept::io::Io;
use crate::accept::proxy_protocol;
use crate::buffers::SMALL;
use crate::codec::h1;
use crate::core::Core;
use crate::deadline::Deadline;
use crate::forward::{self, Dialed};
use crate::tunnel::{self, Early, End};
use hello::{Reader, Seen};
pub(crate) use record::Outcome;
use record::Record;

/// What a client gets whose name leads nowhere (RFC 6066 §3): a fatal alert, `unrecognized_name`.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 1, 0, 2, 2, 112];

/// Passes a connection on, from its first byte to its last. `deadline` is when it must have said
/// where it wants to go.
pub(crate) async fn run(core: &Rc<Core>, door: &Rc<Door>, known: Introduced, deadline: Deadline) {
    let mut record = Record::new(core, door, known.peer);
    match open(core, door, known, deadline, &mut record).await {
        Ok(opened) => carry(opened, &mut record).await,
        Err(outcome) => record.outcome = outcome,
    }
}

/// A connection whose other end stands.
struct Opened {
    client: Io,
    upstream: Dialed,
    /// What goes to the upstream first.
    early: Bytes,
    idle: std::time::Duration,
}

/// Finds out where a connection goes and connects to there.
async fn open(
    core: &Core,
    door: &Door,
    known: Introduced,
    mut deadline: Deadline,
    record: &mut Record,
) -> Result<Opened, Outcome> {
    let Introduced { io: mut client, mut read, peer, local } = known;
    let named = door.listener().relay.as_ref().is_some_and(is_named);
    if named {
        let seen = deadline.within(hello(&mut client, &mut read)).await;
        record.name = seen.map_err(|_| Outcome::HelloTimeout)??;
    }
    drop(deadline);
    // Both are of the same document, whatever was swapped since the connection came.
    let (running, listener) = (core.running(), door.listener());
    let relay = listener.relay.as_ref().ok_or(Outcome::Cut)?;
    let Some(split) = split(&relay.to, named, record.name.as_deref()) else {
        // Whether the client can still hear it is its own affair.
        let _ = client.write_all(UNRECOGNIZED_NAME).await;
        return Err(Outcome::NameUnknown);
    };
    let ip = peer.map(|peer| peer.ip().to_canonical());
    let dialed = tokio::select! {
        dialed = forward::dial(core, &running, split, ip, &mut record.way) => dialed,
        () = client.broken() => return Err(Outcome::ClientLeft),
    };
    let upstream = dialed.map_err(|refusal| {
        record.note = refusal.note;
        Outcome::of(refusal.code)
    })?;
    if relay.send_proxy_protocol {
        let mut early = BytesMut::from(&*proxy_protocol::header(peer, local));
        early.extend_from_slice(&read);
        read = early;
    }
    Ok(Opened { client, upstream, early: read.freeze(), idle: relay.idle_timeout })
}

fn is_named(relay: &snapshot::Relay) -> bool {
    matches!(relay.to, RelayTo::Named(_))
}

/// Where a connection goes. One whose name was not read, because names counted for nothing when it
/// came, goes nowhere by names.
fn split<'p>(to: &'p RelayTo, named: bool, name: Option<&str>) -> Option<&'p Split> {
    match to {
        RelayTo::One(split) => Some(split),
        RelayTo::Named(names) if named => names.find(name),
        RelayTo::Named(_) => None,
    }
}

/// Reads the ClientHello into `read`, where it stays, and gives the name it asks for.
async fn hello(io: &mut Io, read: &mut BytesMut) -> Result<Option<Arc<str>>, Outcome> {
    let mut reader = Reader::default();
    loop {
        match reader.read(read) {
            Seen::Hello(name) => return Ok(name),
            Seen::Wrong(what) => {
                tracing::debug!(what, "a connection is no TLS that can be passed on");
                return Err(Outcome::HelloMalformed);
            }
            Seen::Partial => {}
        }
        match poll_fn(|cx| h1::read_some(cx, io, read, SMALL)).await {
            Ok(0) | Err(_) => return Err(Outcome::ClientLeft),
            Ok(_) => {}
        }
    }
}

/// Carries bytes both ways until the end.
async fn carry(opened: Opened, record: &mut Record) {
    let Opened { mut client, mut upstream, early, idle } = opened;
    let early = Early { up: early, down: Bytes::new() };
    let moved = |up, down| record.moved(up, down);
    let end = tunnel::between(&mut client, &mut upstream.io, early, idle, moved).await;
    record.outcome = match end {
        End::Done => Outcome::Done,
        End::Idle => Outcome::Idle,
        End::Broken => {
            // What broke at one end breaks at the other: an end in order would say that all came.
            client.reset_on_drop();
            upstream.io.reset_on_drop();
            Outcome::Reset
        }
    };
}
