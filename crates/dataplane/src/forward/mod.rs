//! To an upstream: which endpoint, by which connection, how often, and for how long.
//!
//! | the request as the upstream sees it | `compose.rs` |
//! |---|---|
//! | the tries of one exchange, and what may be tried again | `retry.rs`, `rules.rs`, `budget.rs` |
//! | one try, its timers, and how it can fail | `attempt.rs`, `timing.rs`, `failure.rs` |
//! | the request's body for several tries | `replay.rs` |
//! | the response's body under watch; tunnels | `body.rs`, `tunnel.rs` |
//! | what a gRPC caller is told where the upstream does not say it | `grpc_answer.rs` |
//! | a copy for another upstream | `mirror.rs` |
//! | connections: idle, new, how many | `acquire.rs`, `pool.rs`, `connect.rs`, `bulkhead.rs` |
//! | an upstream that fails is left alone | `breaker.rs`, `window.rs` |
//! | one core's view of an upstream | `upstream.rs` |
//! | a connection for bytes alone | `dial.rs` |
//! | who is picked | `choose.rs`, `balance/`, `hashed.rs`, `ewma.rs` |
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
mod bulkhead;
mod choose;
mod compose;
mod connect;
mod dial;
mod dns;
pub(crate) mod endpoint;
mod ewma;
mod failure;
mod fleet;
mod grpc_answer;
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
mod window;

use std::rc::Rc;

use policy::{Exchange, Refusal, codes};
use snapshot::Forward;

use attempt::{Call, Ends};
pub(crate) use background::Background;
use bulkhead::{Count, Place};
pub(crate) use dial::{Dialed, Way, dial};
pub(crate) use fleet::{Fleet, SharedUpstream};
use replay::Replay;
pub(crate) use upstream::{Upstream, upstreams};

use crate::codec::{Interim, Upgraded};
use crate::core::{Core, Running};
use crate::enforce::names;

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
    if let Some(refusal) = grpc_answer::refuse_timeout(&x.request) {
        return Err(refusal);
    }
    let now = core.timers.now();
    let pass = upstream.admit(now)?;
    upstream.shared().state.budget.request(now);
    let timeouts = part.timeouts;
    let ends = Ends::new(&timeouts, x, now);
    let mut composed = upstream.spare();
    if composed.compose(&running.snapshot, forward, x).is_err() {
        let refusal = Refusal::new(&codes::PATH_AMBIGUOUS);
        return Err(refusal.detail("A parameter would make another path of it than was meant."));
    }
    let body = Replay::new(x.request.body.take(), retry.body, &core.timers);
    let body = body.guarded(core, x.request.is_grpc());
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
        ends,
        pass,
        interim,
    };
    let passed = call.run(x, place, now).await;
    drop(call);
    if matches!(passed, Ok(Passed::Response)) && x.request.is_grpc() {
        grpc_answer::complete(&mut x.response);
    }
    upstream.give(composed);
    names::strip_response(&mut x.response.headers);
    passed
}
