//! More connections than there are places for.

use http::Request;

use super::clients::{Beside, Client, document, until};
use super::slow::told;
use crate::memory::{Bench, DOCUMENT};
use crate::support::Gateway;

/// Of more connections than the instance or the listener may have, those that are too many are
/// closed at once, counted by why, and the admin listener answers; a place that comes free is taken
/// by the next.
///
/// Seen to fail: with `Places::take` giving a place to everyone, and with `Door::seat` doing so.
#[tokio::test]
async fn fa_G06_too_many_connections_are_closed_at_accept() {
    for (instance, listener, reason) in
        [("connections: 20", "", "instance"), ("", "connections: 20", "listener")]
    {
        let gateway = Gateway::real(&document(instance, listener));
        let beside = Beside::new(&gateway);
        let mut inside = Vec::new();
        for _ in 0..20 {
            let mut client = Client::new(&gateway).await;
            assert!(client.is_served().await);
            inside.push(client);
        }
        for _ in 0..40 {
            assert!(Client::is_turned_away(&gateway, "127.0.0.1").await);
        }
        let refused = |reason: &str| {
            format!("gateward_connections_refused_total{{listener=\"web\",reason=\"{reason}\"}}")
        };
        assert!(beside.metric(&refused(reason)).await >= 40.0);
        assert_eq!(beside.metric(&refused("address")).await, 0.0);
        assert_eq!(beside.metric("gateward_connections_open{listener=\"web\"}").await, 20.0);
        for mut client in inside.drain(..) {
            assert!(client.is_served().await, "who is inside stays");
        }
        until("its place is free", || gateway.handle.overload().connections == 0).await;
        assert!(Client::new(&gateway).await.is_served().await);
    }
}

/// What holds where nothing is written: as many connections as there are files and memory for, a
/// thousand of one address; the bounds of listeners are those of the manual.
///
/// Seen to fail: with another value in `defaults.rs`.
#[tokio::test]
async fn fa_G06_b_bounds_hold_without_a_line_of_configuration() {
    let gateway = Gateway::new(&document("", ""));
    let snapshot = gateway.handle.snapshot();
    assert_eq!(snapshot.limits.connections, None);
    assert_eq!(snapshot.limits.memory, None);
    assert_eq!(snapshot.limits.connections_per_address, 1000);
    assert_eq!(snapshot.limits.tls_handshakes, 2);
    assert_eq!(snapshot.limits.queue_time.as_millis(), 100);
    let limits = snapshot.listeners[0].limits;
    assert_eq!((limits.header_bytes, limits.header_count), (32 << 10, 100));
    assert_eq!((limits.header_timeout.as_secs(), limits.header_rate), (10, 500));
    assert_eq!((limits.body_idle_timeout.as_secs(), limits.body_rate), (60, 1024));
    assert_eq!((limits.connections, limits.requests_per_connection), (50_000, 10_000));
    assert_eq!((limits.http2_streams, limits.body_bytes), (100, 10 << 20));
    assert_eq!((limits.keep_alive.as_secs(), limits.tls_handshake_timeout.as_secs()), (75, 5));
    let overload = gateway.handle.overload();
    assert!((1..=50_000).contains(&overload.connections_max), "{overload:?}");
    assert!(overload.memory_budget > 0 && overload.memory_budget < 1 << 50, "{overload:?}");
    assert!(overload.connections_max as u64 <= overload.memory_budget >> 16, "{overload:?}");
}

/// One address that takes all it can get leaves the others their places; it gets its own back as
/// soon as it lets go.
///
/// Seen to fail: with `Places::take` not looking at the peer.
#[tokio::test]
async fn fa_G07_one_address_can_not_take_the_places_of_others() {
    let gateway = Gateway::real(&document("connections_per_address: 5", ""));
    let beside = Beside::new(&gateway);
    let mut greedy = Vec::new();
    for _ in 0..5 {
        let mut client = Client::from(&gateway, "127.0.0.2").await;
        assert!(client.is_served().await);
        greedy.push(client);
    }
    for _ in 0..50 {
        assert!(Client::is_turned_away(&gateway, "127.0.0.2").await);
    }
    for other in ["127.0.0.3", "127.0.0.4"] {
        assert!(Client::from(&gateway, other).await.is_served().await, "{other}");
    }
    let refused = "gateward_connections_refused_total{listener=\"web\",reason=\"address\"}";
    assert!(beside.metric(refused).await >= 50.0);
    drop(greedy);
    until("they are gone", || gateway.handle.overload().connections == 0).await;
    assert!(Client::from(&gateway, "127.0.0.2").await.is_served().await);
}

/// A proxy in front that the listener trusts speaks for many, and is not held to what one may have.
///
/// Seen to fail: with `speaks_for_others` always false.
#[tokio::test]
async fn fa_G07_b_a_trusted_proxy_is_not_one_address() {
    let trusting = "client_address: { trusted: [127.0.0.2/32] }, bind:";
    let document = document("connections_per_address: 2", "").replace("bind:", trusting);
    let gateway = Gateway::real(&document);
    let mut held = Vec::new();
    for address in ["127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"] {
        let mut client = Client::from(&gateway, address).await;
        assert!(client.is_served().await, "{address}");
        held.push(client);
    }
    assert!(Client::is_turned_away(&gateway, "127.0.0.3").await);
}

/// A connection ends in order after so many requests: its last answer says so.
#[tokio::test(flavor = "local", start_paused = true)]
async fn a_connection_serves_so_many_requests() {
    let bench =
        Bench::new(&DOCUMENT.replace("bind:", "limits: { requests_per_connection: 3 }, bind:"), 64);
    let mut client = bench.client();
    for closes in [false, false, true] {
        client.send("GET /fixed HTTP/1.1\r\nHost: b.test\r\n\r\n").await;
        let answer = told(&mut client).await;
        assert_eq!((answer.status, answer.closes()), (200, closes));
    }
    assert_eq!(client.rest().await, "");
}

/// Over HTTP/2 it is told by GOAWAY, and what was begun is answered.
#[tokio::test(flavor = "local", start_paused = true)]
async fn an_http2_connection_serves_so_many_requests() {
    let bench =
        Bench::new(&DOCUMENT.replace("bind:", "limits: { requests_per_connection: 3 }, bind:"), 64);
    let (mut http2, connection) = h2::client::handshake(bench.client().stream).await.unwrap();
    let connection = tokio::task::spawn_local(connection);
    for _ in 0..3 {
        let request = Request::get("http://b.test/fixed").body(()).unwrap();
        let (response, _) = http2.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
    }
    connection.await.unwrap().expect("it ends in order");
}
