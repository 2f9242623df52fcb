//! A copy of a request for another upstream. Nobody waits for it and nobody sees its answer:
//! whatever becomes of it, the exchange goes on as if it were not there. It has bounds of its own,
//! so that it takes nothing from real requests either.

use std::rc::Rc;

use bytes::Bytes;
use policy::Exchange;
use policy::message::{Body, Response};
use snapshot::Mirror;
use tokio::task::spawn_local;

use super::acquire::{Acquired, Need, Speech, acquire};
use super::attempt::Busy;
use super::bulkhead::{Count, Place};
use super::compose::Composed;
use super::hashed;
use super::outlier::Verdict;
use super::replay::{Replay, Watcher};
use super::upstream::Upstream;
use crate::codec::Interim;
use crate::core::{Core, Running};
use crate::deadline::Deadline;

/// Copies are at most this part of what may run towards their upstream.
const SHARE: usize = 4;

/// Millionths.
const WHOLE: u32 = 1_000_000;

/// Sends a copy of the exchange's request to the mirror, if it is one that is copied. The copy of a
/// body that is still coming goes out once all of it has passed; one that is longer than what is
/// kept for another try is not copied.
pub(super) fn mirror(
    core: &Rc<Core>,
    running: &Running,
    mirror: &Mirror,
    x: &Exchange,
    composed: &Composed,
    body: &Replay,
) {
    if x.request.upgrade.is_some() || fastrand::u32(..WHOLE) >= mirror.share {
        return;
    }
    let Some(upstream) = running.upstreams.get(mirror.upstream) else { return };
    let most = (upstream.config().breaker.running / SHARE).max(1);
    let Some(place) = Place::take(upstream, Count::Copies, most) else { return };
    let copy = Copy {
        core: core.clone(),
        upstream: upstream.clone(),
        composed: composed.clone(),
        grpc: x.request.is_grpc(),
        hash: hashed::hash_of(&upstream.config().balance, x),
        _place: place,
    };
    match body {
        Replay::Empty => copy.start(Body::Empty),
        Replay::Full(bytes) => copy.start(Body::Full(bytes.clone())),
        Replay::Stream(source) => source.borrow_mut().watch(Box::new(copy)),
    }
}

/// A copy of a request, ready to go.
struct Copy {
    core: Rc<Core>,
    upstream: Rc<Upstream>,
    composed: Composed,
    grpc: bool,
    hash: Option<u64>,
    _place: Place<Upstream>,
}

impl Watcher for Copy {
    fn whole(self: Box<Self>, pieces: &[Bytes]) {
        self.start(match pieces {
            [] => Body::Empty,
            [one] => Body::Full(one.clone()),
            many => Body::from(many.concat()),
        });
    }
}

impl Copy {
    fn start(self, body: Body) {
        spawn_local(async move {
            let timeouts = self.upstream.config().timeouts;
            let most = timeouts.total.unwrap_or(timeouts.connect + timeouts.first_byte);
            let mut deadline = Deadline::after(&self.core.timers, most);
            // Whatever it comes to, there is nobody to tell but the endpoint's record.
            let _ = deadline.within(self.send(body)).await;
        });
    }

    async fn send(&self, body: Body) {
        let now = self.core.timers.now();
        let Some(lane) = self.upstream.pick(self.hash, &[], now) else { return };
        let config = self.upstream.config();
        let need = Need {
            speech: Speech::of(
                self.grpc,
                false,
                config.protocol,
                lane.endpoint.key.scheme.of_requests(),
            ),
            fresh: false,
            connect: config.timeouts.connect,
            total_by: None,
        };
        let _busy = Busy::new(lane.clone());
        let acquired = acquire(&self.core, &self.upstream, &lane, need, now).await;
        let Ok(Acquired { connection, .. }) = acquired else { return };
        let out = self.composed.outgoing(&lane.endpoint);
        // The answer's body, if there is more of it than came with its head, is dropped unread with
        // this.
        let mut response = Response::default();
        let sent = connection.send(&out, body, &Interim::default(), &mut response).await;
        let verdict = if sent.is_ok() { Verdict::Answered } else { Verdict::NoAnswer };
        self.upstream.judge(&lane.endpoint, verdict, self.core.timers.now());
    }
}
