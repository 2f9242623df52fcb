//! To an upstream: which endpoint, by which connection, how often, and for how long.
//!
//! | the request as the upstream sees it | `compose.rs` |
//! |---|---|
//! | the tries of one exchange, and what may be tried again | `retry.rs`, `rules.rs`, `budget.rs` |
//! | one try, its timers, and how it can fail | `attempt.rs`, `timing.rs`, `failure.rs` |
//! | the request's body for several tries | `replay.rs` |
//! | the response's body under watch; tunnels | `body.rs`, `tunnel.rs` |
//! | a copy for another upstream | `mirror.rs` |
//! | connections: idle, new, how many | `acquire.rs`, `pool.rs`, `connect.rs`, `breaker.rs` |
//! | one core's view of an upstream | `upstream.rs` |
//! | who is picked | `balance/`, `hashed.rs`, `ewma.rs` |
//! | what all cores know, whatever the snapshot | `fleet.rs`, `members.rs`, `endpoint.rs` |
//! | ejections; all of it for operators | `outlier.rs`, `status.rs` |
//! | lookups and health checks, beside the requests | `background.rs`, `dns.rs`, `health.rs` |

mod acquire;
mod attempt;
mod background;
mod balance;
mod body;
mod breaker;
mod budget;
mod compose;
mod connect;
mod dns;
pub(crate) mod endpoint;
mod ewma;
mod failure;
mod fleet;
mod hashed;
mod health;
mod members;
mod mirror;
mod outlier;
mod pool;
mod replay;
mod retry;
mod rules;
mod status;
#[cfg(test)]
mod tests;
mod timing;
mod tunnel;
mod upstream;

use std::rc::Rc;

use policy::{Exchange, Refusal, codes};
use snapshot::Forward;

use attempt::Call;
pub(crate) use background::Background;
use breaker::{Count, Place};
pub(crate) use fleet::{Fleet, SharedUpstream};
use replay::Replay;
pub(crate) use upstream::{Upstream, upstreams};

use crate::codec::{Interim, Upgraded, grpc};
use crate::core::{Core, Running};

/// How a request that was passed on ended.
pub(crate) enum Passed {
    /// With a response, in the exchange.
    Response,
    /// With a switch of protocols; the 101 is in the exchange.
    Tunnel(Upgraded),
}

/// Sends the exchange's request to an upstream and fills its response, or says why there is none.
/// Takes the request's body. Dropped half-way, it cancels what it started.
pub(crate) async fn send(
    core: &Rc<Core>,
    running: &Running,
    forward: &Forward,
    x: &mut Exchange,
    interim: &Interim,
) -> Result<Passed, Refusal> {
    let part = forward.split.pick(fastrand::u64(..));
    let Some(upstream) = running.upstreams.get(part.upstream) else {
        return Err(Refusal::new(&codes::INTERNAL_ERROR).note("the route's upstream is unknown"));
    };
    let config = upstream.config();
    x.upstream.name = Some(config.name.clone());
    let most = config.breaker.running;
    let Some(place) = Place::take(upstream, Count::Running, most) else {
        let note = format!("{}: {most} requests run (breaker.running)", config.name);
        return Err(Refusal::new(&codes::UPSTREAM_OVERLOADED).note(note));
    };
    let retry = forward.retry.as_ref().unwrap_or(&config.retry);
    let now = core.timers.now();
    upstream.shared().state.budget.request(now);
    let timeouts = part.timeouts;
    let total = timeouts.total.map(|total| x.started.after(total));
    let asked = grpc::time_left(&x.request.headers, now.since(x.started));
    let asked = asked.map(|left| now.after(left));
    let mut composed = upstream.spare();
    if composed.compose(&running.snapshot, forward, x).is_err() {
        let refusal = Refusal::new(&codes::PATH_AMBIGUOUS);
        return Err(refusal.detail("A parameter would make another path of it than was meant."));
    }
    let body = Replay::new(x.request.body.take(), retry.body, &core.timers);
    if let Some(copy) = &forward.mirror {
        mirror::mirror(core, running, copy, x, &composed, &body);
    }
    let mut call = Call {
        core,
        running,
        upstream,
        timeouts,
        retry,
        composed: &mut composed,
        body,
        total_by: [total, asked].into_iter().flatten().min(),
        interim,
    };
    let passed = call.run(x, place, now).await;
    drop(call);
    upstream.give(composed);
    passed
}
