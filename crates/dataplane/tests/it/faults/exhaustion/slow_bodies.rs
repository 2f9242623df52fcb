//! Clients that are slow with bodies, the ones they send and the ones they read.

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::slow::{seconds, told};
use crate::memory::{Bench, Client, DOCUMENT, Upstream};

/// The document with more at its API.
fn with(more: &str) -> String {
    DOCUMENT.replace("upstream: up }", &format!("upstream: up, {more} }}"))
}

/// Sends `piece` every second for so long.
async fn trickle(bench: &Bench, client: &mut Client, piece: &str, time: u64) {
    for _ in 0..time {
        let _ = client.stream.write_all(piece.as_bytes()).await;
        bench.pass(seconds(1)).await;
    }
}

/// A client whose request with a body of 10 MiB has begun, and the upstream's end.
async fn begun(bench: &mut Bench, fields: &str) -> (Client, Upstream) {
    let mut client = bench.client();
    let head = format!("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10000000\r\n{fields}");
    client.send(&format!("{head}\r\n")).await;
    client.send("first").await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    (client, upstream)
}

/// A body that comes at 100 bytes a second is cut, and the upstream is let go.
///
/// Seen to fail: with `Patience::moved` giving all of it back for every piece.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G02_a_body_that_trickles_is_cut() {
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    let (mut client, mut upstream) = begun(&mut bench, "").await;
    trickle(&bench, &mut client, &"a".repeat(100), 70).await;
    assert_eq!(told(&mut client).await.told(), "< 408 request_timeout close\n");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(seconds(1000), upstream.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the upstream is held");
}

/// The same over HTTP/2, where the stream alone ends.
///
/// Seen to fail: with `Patience::moved` giving all of it back for every piece.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G02_b_a_body_that_trickles_over_http2_is_cut() {
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    let (mut http2, connection) = h2::client::handshake(bench.client().stream).await.unwrap();
    tokio::task::spawn_local(connection);
    let request = Request::post("http://a.test/x").body(()).unwrap();
    let (response, mut body) = http2.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"first"), false).unwrap();
    let _upstream = bench.arrival().await;
    for _ in 0..70 {
        let _ = body.send_data(Bytes::from_static(&[b'a'; 100]), false);
        bench.pass(seconds(1)).await;
    }
    let response = tokio::time::timeout(seconds(1000), response).await.expect("by now").unwrap();
    assert_eq!(response.status(), 408);
    let request = Request::get("http://b.test/fixed").body(()).unwrap();
    let (response, _) = http2.send_request(request, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200, "the connection goes on");
}

/// A body at the least rate takes as long as it needs, and a pause is no fault of one that came
/// fast before.
///
/// Seen to fail: with the rate that is asked for doubled.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G02_c_a_body_at_the_least_rate_is_waited_for() {
    let mut bench = Bench::new(DOCUMENT, 1 << 20);
    let (mut client, mut upstream) = begun(&mut bench, "").await;
    trickle(&bench, &mut client, &"a".repeat(1024), 300).await;
    trickle(&bench, &mut client, &"a".repeat(60 << 10), 1).await;
    bench.pass(seconds(58)).await;
    let sent = 5 + 300 * 1024 + (60 << 10);
    client.send(&"a".repeat(10)).await;
    assert_eq!(upstream.bytes(sent + 10).await.len(), sent + 10);
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(told(&mut client).await.status, 200);
}

/// A route that says so takes bodies as slow as they like.
///
/// Seen to fail: with `serve::pace` giving the listener's rate in every case.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G02_d_a_route_for_streams_is_free() {
    let mut bench = Bench::new(&with("body_rate: 0"), 64 << 10);
    let (mut client, mut upstream) = begun(&mut bench, "").await;
    for _ in 0..10 {
        bench.pass(seconds(59)).await;
        client.send("a").await;
    }
    assert_eq!(upstream.bytes(15).await, "firstaaaaaaaaaa");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(told(&mut client).await.status, 200);
}

/// So do gRPC calls, whose streams live as long as they like.
///
/// Seen to fail: with `serve::pace` giving the listener's rate in every case.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G02_e_a_grpc_call_is_free() {
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    let (mut http2, connection) = h2::client::handshake(bench.client().stream).await.unwrap();
    tokio::task::spawn_local(connection);
    let request = Request::post("http://a.test/x").header("content-type", "application/grpc");
    let (response, mut body) =
        http2.send_request(request.header("te", "trailers").body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(b"first"), false).unwrap();
    let upstream = bench.arrival().await.stream;
    tokio::task::spawn_local(async move {
        let mut upstream = h2::server::handshake(upstream).await.unwrap();
        let (request, mut respond) = upstream.accept().await.unwrap().unwrap();
        tokio::task::spawn_local(async move {
            let (mut body, mut length) = (request.into_body(), 0);
            while let Some(Ok(piece)) = body.data().await {
                length += piece.len();
            }
            let answer = http::Response::builder().header("seen", length).body(()).unwrap();
            respond.send_response(answer, true).unwrap();
        });
        while upstream.accept().await.is_some() {}
    });
    for n in 0..10 {
        bench.pass(seconds(59)).await;
        body.send_data(Bytes::from_static(b"a"), n == 9).unwrap();
    }
    let response = tokio::time::timeout(seconds(1000), response).await.expect("by now").unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["seen"], "15");
}

/// While it is the upstream that does not take the body, the client's patience is not asked for.
///
/// Seen to fail: with the client's patience running while its body is not asked for (in
/// `Wire::poll_gone`).
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G02_f_an_upstream_that_takes_nothing_is_not_the_clients_fault() {
    let document = DOCUMENT.replace("total: 0s,", "total: 0s, idle: 3600s,");
    let mut bench = Bench::new(&document, 1024);
    let (mut client, mut upstream) = begun(&mut bench, "").await;
    // More than the gateway takes ahead.
    let most = tokio::time::timeout(seconds(1), client.stream.write_all(&[b'a'; 1 << 20])).await;
    assert!(most.is_err(), "it takes no more than it can hand on");
    bench.pass(seconds(300)).await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(told(&mut client).await.status, 200);
}

/// An answer under way to a client, the upstream's end of it kept full.
async fn answered(bench: &mut Bench) -> (Client, Upstream) {
    let mut client = bench.client_of(1024);
    client.send("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n").await;
    fill(&mut upstream).await;
    (client, upstream)
}

/// Sends until nothing is taken any more; how much was.
async fn fill(upstream: &mut Upstream) -> usize {
    let (block, mut sent) = ([b'x'; 1024], 0);
    let patience = std::time::Duration::from_millis(1);
    while let Ok(Ok(taken)) = tokio::time::timeout(patience, upstream.stream.write(&block)).await {
        sent += taken;
        assert!(sent < 1 << 20, "the gateway takes what nobody reads");
    }
    sent
}

/// A client that reads a byte now and then is given up after a minute, and holds little meanwhile.
///
/// Seen to fail: with `Patience::moved` giving all of it back for every piece.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G03_an_answer_read_in_drops_is_given_up() {
    let mut bench = Bench::new(DOCUMENT, 1024);
    let (mut client, mut upstream) = answered(&mut bench).await;
    for _ in 0..75 {
        let mut drop = [0; 50];
        let _ = tokio::time::timeout(seconds(1), client.stream.read(&mut drop)).await;
        fill(&mut upstream).await;
        bench.pass(seconds(1)).await;
    }
    let write = upstream.stream.write_all(&[b'x'; 1 << 20]);
    let done = tokio::time::timeout(seconds(1000), write).await.expect("it is let go");
    assert!(done.is_err());
}

/// One that reads at the least rate is served to the end.
///
/// Seen to fail: with the rate that is asked for doubled.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G03_b_an_answer_read_at_the_least_rate_goes_on() {
    let mut bench = Bench::new(DOCUMENT, 1024);
    let (mut client, mut upstream) = answered(&mut bench).await;
    for _ in 0..200 {
        let mut piece = [0; 1024];
        client.stream.read_exact(&mut piece).await.expect("it goes on");
        fill(&mut upstream).await;
        bench.pass(seconds(1)).await;
    }
}

/// Over HTTP/2 the window is what a client takes by; one opened in drops is no better.
///
/// Seen to fail: with `Patience::moved` giving all of it back for every piece.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G03_c_a_window_opened_in_drops_is_given_up() {
    let mut bench = Bench::new(DOCUMENT, 1024);
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1024);
    let (mut http2, connection) =
        builder.handshake::<_, Bytes>(bench.client().stream).await.unwrap();
    tokio::task::spawn_local(connection);
    let request = Request::get("http://a.test/x").body(()).unwrap();
    let (response, _) = http2.send_request(request, true).unwrap();
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n").await;
    let mut body = response.await.unwrap().into_body();
    fill(&mut upstream).await;
    let mut held = 0;
    for _ in 0..75 {
        if let Ok(Some(Ok(piece))) = tokio::time::timeout(seconds(1), body.data()).await {
            held += piece.len();
        }
        let _ = body.flow_control().release_capacity(50.min(held));
        held -= 50.min(held);
        fill(&mut upstream).await;
        bench.pass(seconds(1)).await;
    }
    let write = upstream.stream.write_all(&[b'x'; 1 << 20]);
    let done = tokio::time::timeout(seconds(1000), write).await.expect("it is let go");
    assert!(done.is_err());
}
