//! The life of a request.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use policy::{Exchange, Refusal, codes};
use snapshot::Action;

use crate::accept::client_address;
use crate::codec::{Client, Interim, Upgraded};
use crate::core::{Core, Running};
use crate::dispatch;
use crate::enforce::{self, Passage, identity};
use crate::forward::{self, Passed};
use crate::observe;

/// Serves one request, from its head, which the codec has read and made canonical, to the end of
/// its answer.
///
/// 1. What it runs by is loaded once: one snapshot, from here to the end.
/// 2. [`admit`]: who the client is, what it may not say, whether it came by the right connection.
/// 3. [`dispatch::find`]: the route. Requests that have none go through the policies of the
///    document.
/// 4. [`Passage::request`]: the route's policies, in order.
/// 5. [`act`]: the answer, from an endpoint of an upstream or from here.
/// 6. [`Passage::response`]: the policies that ran, in reverse.
/// 7. [`Client::answer`], then [`observe::finish`].
///
/// Whatever says no on the way gives a refusal, which takes the answer's place and goes the same
/// way back. If the client leaves before its answer is there, the work on it is dropped where it
/// stands.
pub(crate) async fn serve<C: Client>(core: &Rc<Core>, x: &mut Exchange, client: &mut C) {
    let running = core.running();
    let snapshot = &running.snapshot;
    let interim = Interim::default();
    let routed = admit(&running, x);
    let routed = routed.and_then(|listener| dispatch::find(snapshot, listener, x));
    let mut passage =
        Passage::new(routed.as_ref().map_or(&snapshot.fallback, |route| &route.chain));
    let outcome = {
        let work = pin!(async {
            if let Some(reply) = passage.request(x).await? {
                x.response = *reply;
                return Ok(None);
            }
            enforce::body_limit(x)?;
            act(core, &running, &routed?.action, x, &interim).await
        });
        let left = pin!(client.accompany(&interim));
        unless(left, work).await
    };
    let gone = outcome.is_none();
    let (mut close, tunnel) = match outcome {
        Some(Ok(tunnel)) => (core.is_draining(), tunnel),
        Some(Err(refusal)) => (enforce::refuse(x, refusal), None),
        None if core.is_cut() => (enforce::refuse(x, Refusal::new(&codes::DRAINING)), None),
        None => (enforce::refuse(x, Refusal::new(&codes::CALLER_GONE)), None),
    };
    close |= passage.response(x).await;
    observe::mark(x);
    match tunnel {
        Some(upstream) => Box::pin(client.tunnel(x, upstream)).await,
        None if gone => client.abandon(),
        None => client.answer(x, close).await,
    }
    observe::finish(core, &running, x, passage.ran());
}

/// What is settled before routing: the client's address, what the client may not say, and whether
/// it came by the right connection. Gives the number of the listener.
fn admit(running: &Running, x: &mut Exchange) -> Result<usize, Refusal> {
    let listener = running.listener(&x.connection.listener);
    let peer = x.connection.peer_ip();
    let rule = listener.and_then(|listener| listener.client_address.as_ref());
    let rule = rule.filter(|rule| client_address::is_trusted(&rule.trusted, peer));
    if let Some(rule) = rule {
        x.client = client_address::find(rule, peer, &x.request.headers);
    }
    observe::start(running, x, rule.is_some());
    identity::strip(&mut x.request.headers, &running.snapshot.identity_headers);
    identity::certificate(x, rule.is_some(), listener.is_some_and(|one| one.forward_certificate));
    if is_misdirected(x) {
        return Err(Refusal::new(&codes::MISDIRECTED));
    }
    listener.map(|listener| listener.number).ok_or_else(|| {
        // The document that had it was replaced while the connection stayed open.
        Refusal::new(&codes::ROUTE_NOT_FOUND).note("the listener is gone").close()
    })
}

/// Whether a caller that showed a certificate to one host asks for another: the certificate was
/// asked for, and judged, for the first.
fn is_misdirected(x: &Exchange) -> bool {
    let Some(tls) = &x.connection.tls else { return false };
    let host = x.request.target.authority.host();
    let named = tls.server_name.as_deref();
    tls.client.is_some() && named.is_some_and(|name| !name.eq_ignore_ascii_case(host))
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

/// What `work` gives, unless the client leaves before. Both come pinned: moved in here, they would
/// take their room twice.
fn unless<T>(
    mut left: Pin<&mut impl Future<Output = ()>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = Option<T>> {
    poll_fn(move |cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => left.as_mut().poll(cx).map(|()| None),
    })
}
