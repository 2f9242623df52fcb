//! The life of a request.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use config::v1::Priority;
use policy::{Exchange, Refusal, codes};
use snapshot::{Action, Route};

use crate::accept::client_address;
use crate::codec::{Client, Interim, Upgraded};
use crate::core::{Core, Running};
use crate::dispatch;
use crate::enforce::{self, Passage, identity, names};
use crate::forward::{self, Passed};
use crate::observe;

/// Serves one request, from its head, which the codec has read and made canonical, to the end of
/// its answer.
///
/// 1. What it runs by is loaded once: one snapshot, from here to the end.
/// 2. [`admit`]: who the client is, what it may not say, whether it came by the right connection.
/// 3. [`route`]: the route. Requests that have none go through the policies of the
///    document.
/// 4. [`crowded`]: where there is too much to do, it ends here.
/// 5. [`Passage::request`]: the route's policies, in order.
/// 6. [`act`]: the answer, from an endpoint of an upstream or from here.
/// 7. [`Passage::response`]: the policies that ran, in reverse.
/// 8. [`Client::answer`], then [`observe::finish`].
///
/// Whatever says no on the way gives a refusal, which takes the answer's place and goes the same
/// way back. If the client leaves before its answer is there, the work on it is dropped where it
/// stands.
pub(crate) async fn serve<C: Client>(core: &Rc<Core>, x: &mut Exchange, client: &mut C) {
    let running = core.running();
    let snapshot = &running.snapshot;
    let interim = Interim::default();
    let routed = admit(&running, x);
    let routed = routed.and_then(|listener| route(&running, listener, x));
    let chain = routed.as_ref().map_or(&snapshot.fallback, |route| &route.chain);
    let mut passage = Passage::new(chain, &core.timers);
    let route = routed.as_ref().ok().map(|route| &***route);
    let crowded = crowded(core, &running, route, x, client);
    client.keep_pace(pace(&running, route, x));
    let outcome = {
        let work = pin!(async {
            crowded?;
            if let Some(reply) = passage.request(x).await? {
                x.response = *reply;
                return Ok(None);
            }
            enforce::body_limit(x)?;
            act(core, &running, &routed?.action, x, &interim).await
        });
        let left = pin!(client.accompany(&interim));
        unless(left, work, &interim).await
    };
    let gone = outcome.is_none();
    let (mut close, tunnel) = match outcome {
        Some(Ok(tunnel)) => (core.is_draining(), tunnel),
        Some(Err(refusal)) => (enforce::refuse(x, refusal), None),
        None if core.is_cut() => (enforce::refuse(x, Refusal::new(&codes::DRAINING)), None),
        None => (enforce::refuse(x, Refusal::new(&codes::CALLER_GONE)), None),
    };
    close |= core.overload.saves();
    close |= passage.response(x).await;
    observe::mark(x);
    match tunnel {
        Some(upstream) => Box::pin(tunnel_while_published(core, x, client, upstream)).await,
        None if gone => client.abandon(),
        None => client.answer(x, close).await,
    }
    observe::finish(core, &running, x, passage.ran());
}

/// What is settled before routing: the client's address, what the client may not say, whether it
/// came by the right connection, and that it authenticates itself and no connection. Gives the
/// number of the listener.
fn admit(running: &Running, x: &mut Exchange) -> Result<usize, Refusal> {
    let listener = running.listener(&x.connection.listener);
    let peer = x.connection.peer_ip();
    let rule = listener.and_then(|listener| listener.client_address.as_ref());
    let rule = rule.filter(|rule| client_address::is_trusted(&rule.trusted, peer));
    if let Some(rule) = rule {
        x.client = client_address::find(rule, peer, &x.request.headers);
    }
    observe::start(running, x, rule.is_some());
    let odd = running.fields(rule.is_some(), listener).admit(&mut x.request.headers);
    identity::certificate(x, rule.is_some(), listener.is_some_and(|one| one.forward_certificate));
    running.observed.names_dropped(odd?);
    if x.connection.tls.as_ref().is_some_and(|tls| tls.client.is_some()) && is_elsewhere(x) {
        return Err(Refusal::new(&codes::MISDIRECTED));
    }
    if names::is_connection_bound(&x.request.headers) {
        return Err(Refusal::new(&codes::CONNECTION_AUTHENTICATION));
    }
    listener.map(|listener| listener.number).ok_or_else(|| {
        // The document that had it was replaced while the connection stayed open.
        Refusal::new(&codes::ROUTE_NOT_FOUND).note("the listener is gone").close()
    })
}

/// Whether there is too much to do for one more request. Told before any policy runs: what is
/// turned away costs as little as can be.
fn crowded<C: Client>(
    core: &Core,
    running: &Running,
    route: Option<&Route>,
    x: &Exchange,
    client: &mut C,
) -> Result<(), Refusal> {
    core.lag.touch();
    let priority = route.map_or(Priority::Low, |route| route.priority);
    let limits = &running.snapshot.limits;
    let Some(want) = core.overload.judge(&core.lag, priority, limits) else { return Ok(()) };
    // A connection that speaks for many is not made to wait for one of them.
    if x.client == x.connection.peer_ip() {
        client.pause(want.pause(limits));
    }
    Err(core.overload.refuse(core.number, want, priority))
}

/// Bytes a second the client must send or take of a body, while it is waited for; 0: any.
fn pace(running: &Running, route: Option<&Route>, x: &Exchange) -> u64 {
    // Whoever calls by gRPC may have nothing to say for as long as the call lives.
    if x.request.is_grpc() {
        return 0;
    }
    let listener = || running.listener(&x.connection.listener);
    let own = route.and_then(|route| route.body_rate);
    own.or_else(|| Some(listener()?.limits.body_rate)).unwrap_or(0)
}

/// Finds the route. A request for a host that nothing answers for, by a connection that was made to
/// another one, belongs to a connection of its own (RFC 9113 §9.1.2).
fn route<'s>(
    running: &'s Running,
    listener: usize,
    x: &mut Exchange,
) -> Result<&'s Arc<Route>, Refusal> {
    dispatch::find(&running.snapshot, listener, x).map_err(|refusal| {
        let nowhere = refusal.code.name == codes::ROUTE_NOT_FOUND.name;
        if nowhere && is_elsewhere(x) { Refusal::new(&codes::MISDIRECTED) } else { refusal }
    })
}

/// Whether the host asked for is another one than the TLS connection was made to. A caller that
/// showed a certificate showed it to that one, and was judged for it.
fn is_elsewhere(x: &Exchange) -> bool {
    let named = x.connection.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
    let host = x.request.target.authority.host();
    named.is_some_and(|name| !name.trim_end_matches('.').eq_ignore_ascii_case(host))
}

/// Does what the route says: asks an upstream, or answers here. Gives the upstream's end of a
/// tunnel, where it became one.
async fn act(
    core: &Rc<Core>,
    running: &Running,
    action: &Action,
    x: &mut Exchange,
    interim: &Interim,
) -> Result<Option<Upgraded>, Refusal> {
    match action {
        Action::Forward(forward) => {
            return match forward::send(core, running, forward, x, interim).await? {
                Passed::Response => Ok(None),
                Passed::Tunnel(upstream) => Ok(Some(upstream)),
            };
        }
        Action::Redirect(redirect) => dispatch::redirect(x, redirect)?,
        Action::Respond(answer) => dispatch::respond(x, answer),
    }
    Ok(None)
}

/// Answers a request that can't be served: its head could not be read.
pub(crate) async fn serve_refusal<C: Client>(
    core: &Rc<Core>,
    x: &mut Exchange,
    client: &mut C,
    refusal: Refusal,
) {
    let running = core.running();
    observe::start(&running, x, false);
    enforce::refuse(x, refusal);
    observe::mark(x);
    client.answer(x, true).await;
    observe::finish(core, &running, x, std::iter::empty());
}

/// Lives through a tunnel: to its end, or until its API is published no more. Requests end soon by
/// themselves; a tunnel could outlive its API for days.
async fn tunnel_while_published<C: Client>(
    core: &Core,
    x: &mut Exchange,
    client: &mut C,
    upstream: Upgraded,
) {
    let names = x.route.as_ref().map(|route| route.names.clone());
    tokio::select! {
        biased;
        () = client.tunnel(x, upstream) => {}
        () = core.unpublished(names) => {}
    }
}

/// What `work` gives, unless the client leaves before. Both come pinned: moved in here, they would
/// take their room twice. Interim responses that came with what it gives go before that.
fn unless<T>(
    mut left: Pin<&mut impl Future<Output = ()>>,
    mut work: Pin<&mut impl Future<Output = T>>,
    interim: &Interim,
) -> impl Future<Output = Option<T>> {
    poll_fn(move |cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => {
            if interim.is_waiting() {
                let _ = left.as_mut().poll(cx);
            }
            Poll::Ready(Some(done))
        }
        Poll::Pending => left.as_mut().poll(cx).map(|()| None),
    })
}
