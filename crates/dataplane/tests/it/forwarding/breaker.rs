//! How much runs at once: what is too much is refused at once, and the rest is untouched.

use std::sync::Arc;

use tokio::sync::Notify;

use super::upstream::{Act, Upstream};
use super::{gateway, get};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate";

/// An upstream that holds its first request until told.
async fn holding() -> (Upstream, Arc<Notify>) {
    let until = Arc::new(Notify::new());
    let held = until.clone();
    let upstream = Upstream::start(move |number, _| match number {
        0 => Act::Hold(held.clone(), OK.into()),
        _ => Act::Say(OK.into()),
    })
    .await;
    (upstream, until)
}

#[tokio::test]
async fn requests_above_the_bound_are_refused_at_once() {
    let (upstream, until) = holding().await;
    let gateway = gateway(&[upstream.url()], "breaker: { running: 1 }");
    let first = async { get(&gateway).await.is("late") };
    let second = async {
        upstream.read(1).await;
        get(&gateway).await.refuses(503, "upstream_overloaded");
        until.notify_one();
    };
    tokio::join!(first, second);
    get(&gateway).await.is("late");
    assert_eq!(upstream.requests().len(), 2, "nothing of the refused one was sent");
}

#[tokio::test]
async fn a_request_waits_for_a_connection_and_gets_the_one_that_comes_free() {
    let (upstream, until) = holding().await;
    let gateway = gateway(&[upstream.url()], "breaker: { connections: 1 }");
    let first = async { get(&gateway).await.is("late") };
    let second = async {
        upstream.read(1).await;
        let waiting = async { get(&gateway).await.is("late") };
        let freed = async { until.notify_one() };
        tokio::join!(waiting, freed);
    };
    tokio::join!(first, second);
    assert_eq!((upstream.requests().len(), upstream.connections()), (2, 1));
}

#[tokio::test]
async fn those_who_wait_are_bounded() {
    let (upstream, until) = holding().await;
    let settings = "breaker: { connections: 1, pending: 1 }
        timeouts: { connect: 10s }";
    let gateway = gateway(&[upstream.url()], settings);
    let first = async { get(&gateway).await.is("late") };
    let others = async {
        upstream.read(1).await;
        let (mut one, mut other) = (Box::pin(get(&gateway)), Box::pin(get(&gateway)));
        // One may wait and gets its turn, the other is refused before that.
        let (refused, waits) = tokio::select! {
            answer = &mut one => (answer, other),
            answer = &mut other => (answer, one),
        };
        refused.refuses(503, "upstream_overloaded");
        until.notify_one();
        waits.await.is("late");
    };
    tokio::join!(first, others);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn who_waits_does_not_wait_for_ever() {
    let (upstream, until) = holding().await;
    let settings = "breaker: { connections: 1 }
        timeouts: { connect: 50ms }";
    let gateway = gateway(&[upstream.url()], settings);
    let first = async { get(&gateway).await.is("late") };
    let second = async {
        upstream.read(1).await;
        get(&gateway).await.refuses(503, "upstream_overloaded");
        until.notify_one();
    };
    tokio::join!(first, second);
    assert_eq!(upstream.requests().len(), 1);
}
