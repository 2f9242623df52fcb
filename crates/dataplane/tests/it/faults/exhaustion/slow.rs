//! Clients that are slow to say what they want, or say nothing.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::answers::Answer;
use crate::memory::{Bench, Client, DOCUMENT};

pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The answer, which must be there by now.
pub(super) async fn told(client: &mut Client) -> Answer {
    tokio::time::timeout(seconds(1000), client.answer()).await.expect("it is answered by now")
}

/// A head of which a byte comes now and then is cut before the time for heads is over: from half of
/// it on, 500 bytes a second must have come.
///
/// Seen to fail: with `Limits::head_time` giving `header_timeout` for every rate.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G01_a_head_that_trickles_is_cut() {
    let bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send("GET /x HTTP/1.1\r\nHost: a.test\r\n").await;
    for _ in 0..5 {
        bench.pass(seconds(1)).await;
        client.send("A").await;
    }
    bench.pass(seconds(1)).await;
    assert_eq!(told(&mut client).await.told(), "< 408 request_timeout close\n");
    assert_eq!(client.rest().await, "");
}

/// A head that comes at the least rate is served, however long it takes within its time.
///
/// Seen to fail: with the rate that is asked for doubled.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G01_b_a_head_at_the_least_rate_is_served() {
    let bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send("GET /fixed HTTP/1.1\r\nHost: b.test\r\nA: ").await;
    for _ in 0..9 {
        bench.pass(Duration::from_millis(999)).await;
        client.send(&"a".repeat(280)).await;
    }
    client.send("\r\n\r\n").await;
    assert_eq!(told(&mut client).await.status, 200);
}

/// A thousand of them end on their own and leave nothing behind, and others are served meanwhile.
///
/// Seen to fail: with no deadline for heads (`poll_head` never looking at it).
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G01_c_a_thousand_slow_heads_end_and_hold_nobody_up() {
    let bench = Bench::new(DOCUMENT, 4096);
    let mut slow: Vec<Client> = (0..1000).map(|_| bench.client_of(2048)).collect();
    for client in &mut slow {
        client.send("GET /x HTTP/1.1\r\nX").await;
    }
    let mut good = bench.client();
    for _ in 0..2 {
        bench.pass(seconds(5)).await;
        good.send("GET /fixed HTTP/1.1\r\nHost: b.test\r\n\r\n").await;
        assert_eq!(told(&mut good).await.status, 200);
        for client in &mut slow {
            let _ = client.stream.write_all(b"-").await;
        }
    }
    // What is closed lingers a second for the client to read why.
    bench.pass(seconds(2)).await;
    for client in slow {
        let said = tokio::time::timeout(seconds(1000), client.rest()).await.expect("it is closed");
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    }
}

/// A connection on which nothing is said is closed: after 10 s, after 5 s where a PROXY header must
/// come first.
///
/// Seen to fail: with no deadline in `Server::waited` and in `welcome::greet`.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G04_who_says_nothing_is_not_waited_for() {
    let proxied = DOCUMENT.replace("bind:", "proxy_protocol: { trusted: [10.0.0.0/8] }, bind:");
    let one_protocol = DOCUMENT.replace("bind:", "protocols: [http1], bind:");
    for (document, patience) in [(DOCUMENT, 10), (&one_protocol, 10), (&proxied, 5)] {
        let bench = Bench::new(document, 4096);
        let silent: Vec<Client> = (0..100).map(|_| bench.client()).collect();
        bench.pass(seconds(patience - 1)).await;
        let mut last = bench.client();
        last.stream.write_all(b"").await.expect("it is open");
        bench.pass(seconds(1)).await;
        for client in silent {
            let said = tokio::time::timeout(seconds(1000), client.rest()).await;
            assert_eq!(said.expect("it is closed"), "");
        }
    }
}

/// Ends that close one way or both at odd times keep no task spinning: time passes, which in memory
/// it does only when nobody has anything to do.
///
/// Seen to fail: with `Wire::poll_gone` waking itself at the end of the connection's input, which
/// hangs it.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G18_half_closed_connections_keep_nobody_busy() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let post = "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf";
    let mut ends = Vec::new();
    for request in ["", "GET /x HT", post, "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"] {
        let mut client = bench.client();
        client.send(request).await;
        bench.pass(Duration::from_millis(1)).await;
        client.stream.shutdown().await.expect("it shuts");
        ends.push(client);
    }
    let mut client = bench.client();
    client.send(post).await;
    let mut upstream = bench.arrival().await;
    upstream.stream.shutdown().await.expect("it shuts");
    // Somebody busy would hang this for ever; the runner ends it then.
    bench.pass(seconds(1)).await;
}
