//! Server-sent events: each is passed on as it comes, and a stream lasts until the hard stop.

use std::time::Duration;

use crate::memory::Bench;

const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:80' } ]
upstreams:
  - { name: up, endpoints: [ 'http://10.0.0.1:80' ], timeouts: { total: 0s, idle: 15m } }
apis: [ { name: up, upstream: up } ]
";

/// Each event is at the client before the next one is sent, over ten minutes with pauses, also
/// while the gateway drains; the stream ends at the hard stop.
///
/// Seen to fail: with the writer in `codec/h1/pump.rs` waiting for a fuller buffer, the first event
/// does not come; with a drain that closes connections at once, the events after it do not.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H13_events_pass_one_by_one_until_the_hard_stop() {
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    let mut client = bench.client();
    client.send("GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.until("\r\n\r\n").await;
    for number in 0..10 {
        event(&mut upstream, &mut client, number).await;
        bench.pass(Duration::from_secs(60)).await;
    }
    let mut told = 10;
    let talk = async {
        loop {
            event(&mut upstream, &mut client, told).await;
            told += 1;
            bench.pass(Duration::from_secs(6)).await;
        }
    };
    tokio::select! {
        () = bench.drain(Duration::from_secs(30)) => {}
        () = talk => {}
    }
    assert_eq!(told, 15, "events of 30 seconds, one every 6");
}

async fn event(
    upstream: &mut crate::memory::Upstream,
    client: &mut crate::memory::Client,
    number: usize,
) {
    let event = format!("data: {number}\n\n");
    upstream.send(&format!("{:x}\r\n{event}\r\n", event.len())).await;
    assert!(client.until("\n\n").await.ends_with(&event));
}
