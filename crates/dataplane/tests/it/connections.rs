//! The life of a client's HTTP/1.1 connection.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::memory::{Bench, DOCUMENT};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
const FIXED: &str = "GET /fixed HTTP/1.1\r\nHost: b.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_head_that_does_not_come_in_time_is_refused() {
    let bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send("GET /x HTTP/1.1\r\n").await;
    bench.pass(seconds(9)).await;
    client.send("Host: a.test\r\n").await;
    bench.pass(seconds(1)).await;
    let answer = client.answer().await;
    assert_eq!(answer.told(), "< 408 request_timeout close\n", "counted from the first byte");
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_silent_connection_is_closed_without_a_word() {
    let bench = Bench::new(DOCUMENT, 4096);
    let client = bench.client();
    bench.pass(seconds(10)).await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_kept_connection_is_closed_when_it_was_idle_for_long() {
    let bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send(FIXED).await;
    client.answer().await;
    bench.pass(seconds(74)).await;
    client.send(FIXED).await;
    assert_eq!(client.answer().await.status, 200, "in time");
    bench.pass(seconds(75)).await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_body_that_stops_is_refused() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf").await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    bench.pass(seconds(59)).await;
    client.send("!").await;
    assert_eq!(upstream.bytes(5).await, "half!");
    bench.pass(seconds(60)).await;
    let answer = client.answer().await;
    assert_eq!(answer.told(), "< 408 request_timeout close\n", "each piece has its time");
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_upstream_is_let_go_when_the_client_leaves() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send(GET).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    drop(client);
    assert_eq!(tokio::io::AsyncReadExt::read(&mut upstream.stream, &mut [0]).await.unwrap(), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn bytes_sent_ahead_of_an_upgrade_are_never_a_request() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    let upgrade = "Connection: Upgrade\r\nUpgrade: other/1\r\n\r\n";
    client.send(&format!("GET /x HTTP/1.1\r\nHost: a.test\r\n{upgrade}{FIXED}{GET}")).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send(OK).await;
    let answer = client.answer().await;
    assert!(answer.closes() && answer.status == 200, "{answer:?}");
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_body_is_asked_for_only_when_somebody_wants_it() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let head = "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    let mut refused = bench.client();
    refused.send(&format!("POST /x HTTP/1.1\r\nHost: nowhere.test\r\n{head}")).await;
    let answer = refused.answer().await;
    assert_eq!(answer.told(), "< 404 route_not_found close\n", "the body may come or not");
    let mut client = bench.client();
    client.send(&format!("POST /x HTTP/1.1\r\nHost: a.test\r\n{head}")).await;
    assert_eq!(client.answer().await.status, 100);
    client.send("body").await;
    let mut upstream = bench.arrival().await;
    let request = upstream.request().await.to_ascii_lowercase();
    assert!(!request.contains("expect"), "{request}");
    assert_eq!(upstream.bytes(4).await, "body");
    upstream.send(OK).await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_answer_to_head_says_how_long_the_body_would_be() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send(&FIXED.replace("GET", "HEAD")).await;
    client.send(&GET.replace("GET", "HEAD")).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n").await;
    client.send(&GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send(OK).await;
    let all = client.rest().await;
    let all = all.to_ascii_lowercase();
    let lengths: Vec<_> = all.lines().filter(|line| line.starts_with("content-length")).collect();
    assert_eq!(
        lengths,
        ["content-length: 5", "content-length: 5000", "content-length: 2"],
        "{all}"
    );
    assert!(!all.contains("hello"), "{all}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn pieces_pass_as_they_come() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send(GET).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        upstream.send(&format!("{:x}\r\n{event}\r\n", event.len())).await;
        assert_eq!(client.until("\n\n\r\n").await, format!("9\r\n{event}\r\n"));
    }
    upstream.send("0\r\nX-Sum: 1\r\n\r\n").await;
    assert_eq!(client.until("\r\n\r\n").await, "0\r\n\r\n", "it takes no trailers");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn trailers_go_to_clients_that_take_them() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send("GET /x HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\n\r\n").await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    upstream.send("0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\nContent-Length: 7\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    assert_eq!(client.until("\r\n\r\n").await, "0\r\nX-Sum: 1\r\n\r\n");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_answer_may_begin_while_the_request_still_comes() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send("POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.until("\r\n\r\n").await;
    for word in ["one", "two"] {
        client.send(&format!("3\r\n{word}\r\n")).await;
        assert_eq!(upstream.bytes(8).await, format!("3\r\n{word}\r\n"));
        upstream.send(&format!("3\r\n{word}\r\n")).await;
        assert_eq!(
            client.until("\n").await + &client.until("\n").await,
            format!("3\r\n{word}\r\n")
        );
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(upstream.bytes(5).await, "0\r\n\r\n");
    upstream.send("0\r\n\r\n").await;
    assert_eq!(client.until("\r\n\r\n").await, "0\r\n\r\n");
    client.send(FIXED).await;
    assert_eq!(client.answer().await.status, 200, "the connection goes on");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_slow_reader_is_waited_for_and_the_upstream_with_it() {
    let mut bench = Bench::new(DOCUMENT, 1024);
    let mut client = bench.client_of(1024);
    client.send(GET).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    let size = 10 << 20;
    upstream.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")).await;
    let mut sent = 0;
    let block = [b'x'; 1024];
    while let Ok(taken) =
        tokio::time::timeout(Duration::from_millis(1), upstream.stream.write(&block)).await
    {
        sent += taken.unwrap();
        assert!(sent < 256 << 10, "the gateway reads what nobody takes");
    }
    let send = async {
        while sent < size {
            let next = block.len().min(size - sent);
            sent += upstream.stream.write(&block[..next]).await.unwrap();
        }
    };
    let receive = async {
        let head = client.until("\r\n\r\n").await.len();
        assert!(head > 0);
        client.count(size).await
    };
    let ((), received) = tokio::join!(send, receive);
    assert_eq!(received, size);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_client_that_reads_nothing_is_given_up() {
    let mut bench = Bench::new(DOCUMENT, 1024);
    let mut client = bench.client_of(1024);
    client.send(GET).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
    let block = [b'x'; 1024];
    let mut sent = 0;
    // The upstream's own timeout is as long: keep it busy until nothing is taken any more.
    while let Ok(taken) =
        tokio::time::timeout(Duration::from_millis(1), upstream.stream.write(&block)).await
    {
        sent += taken.unwrap();
    }
    assert!(sent > 0);
    bench.pass(seconds(60)).await;
    assert!(upstream.stream.write_all(&[b'x'; 100_000]).await.is_err(), "it was let go");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn many_requests_at_once_are_answered_in_order() {
    let bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client_of(2048);
    let (mut read, mut write) = tokio::io::split(&mut client.stream);
    let send = async {
        for _ in 0..1000 {
            write.write_all(FIXED.as_bytes()).await.unwrap();
            write.write_all(b"GET /none HTTP/1.1\r\nHost: b.test\r\n\r\n").await.unwrap();
        }
        let last = b"GET /fixed HTTP/1.1\r\nHost: b.test\r\nConnection: close\r\n\r\n";
        write.write_all(last).await.unwrap();
        std::future::pending::<()>().await;
    };
    let mut all = Vec::new();
    tokio::select! {
        () = send => {}
        read = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut all) => drop(read.unwrap()),
    }
    let all = String::from_utf8(all).unwrap();
    let statuses: Vec<_> = all.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses.len(), 2001);
    let expected: Vec<_> = ["200", "404"].into_iter().cycle().take(2001).collect();
    assert_eq!(statuses, expected);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_instance_that_goes_down_answers_what_it_has() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut idle = bench.client();
    idle.send(FIXED).await;
    idle.answer().await;
    let mut busy = bench.client();
    busy.send(GET).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    let work = async {
        bench.pass(seconds(10)).await;
        assert_eq!(idle.rest().await, "", "idle connections leave in the first quarter");
        upstream.send(OK).await;
        let answer = busy.answer().await;
        assert!(answer.closes() && answer.status == 200, "{answer:?}");
        assert_eq!(busy.rest().await, "");
    };
    tokio::join!(bench.drain(seconds(40)), work);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_outlasts_the_grace_is_cut_off() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut busy = bench.client();
    busy.send(GET).await;
    bench.arrival().await.request().await;
    let drain = bench.drain(seconds(5));
    let pass = bench.pass(seconds(5));
    tokio::join!(drain, pass);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn connections_outlive_a_swap_and_requests_go_by_the_new_document() {
    let bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send(FIXED).await;
    assert_eq!(client.answer().await.body, "hello");
    bench.run_by(&DOCUMENT.replace("'hello'", "'other'"));
    client.send(FIXED).await;
    assert_eq!(client.answer().await.body, "other");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_listener_that_is_gone_lets_its_connections_finish() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut idle = bench.client();
    idle.send(FIXED).await;
    idle.answer().await;
    let mut busy = bench.client();
    busy.send(GET).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    bench.run_by(&DOCUMENT.replace("'127.0.0.1:80'", "'127.0.0.1:81'"));
    bench.pass(seconds(5)).await;
    assert_eq!(idle.rest().await, "");
    upstream.send(OK).await;
    let answer = busy.answer().await;
    assert!(answer.closes() && answer.status == 200, "{answer:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn connections_beyond_the_bound_are_closed() {
    let one = DOCUMENT.replace("bind:", "limits: { connections: 1 }, bind:");
    let bench = Bench::new(&one, 4096);
    let mut first = bench.client();
    first.send(FIXED).await;
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(bench.client().rest().await, "", "one too many");
    drop(first);
    bench.pass(seconds(0)).await;
    let mut next = bench.client();
    next.send(FIXED).await;
    assert_eq!(next.answer().await.status, 200, "the place is free again");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn heads_are_bounded_exactly() {
    let bench = Bench::new(DOCUMENT, 64 << 10);
    let head = |value: usize, fields: usize| {
        let value = "a".repeat(value);
        let fields = "B: c\r\n".repeat(fields);
        format!("GET /fixed HTTP/1.1\r\nHost: b.test\r\nA: {value}\r\n{fields}\r\n")
    };
    let room = (32 << 10) - head(0, 0).len();
    let table = [
        (head(room, 0), "< 200\n"),
        (head(room + 1, 0), "< 431 headers_too_large close\n"),
        (head(1, 98), "< 200\n"),
        (head(1, 99), "< 431 headers_too_large close\n"),
        (format!("GET /{}", "a".repeat(9000)), "< 414 uri_too_long close\n"),
        (head(1, 0).replace("/fixed", &"/a".repeat(4096)), "< 404 route_not_found\n"),
        (head(1, 0).replace("/fixed", &"/a".repeat(4097)), "< 414 uri_too_long close\n"),
    ];
    for (request, expected) in table {
        let mut client = bench.client();
        client.send(&request).await;
        assert_eq!(client.answer().await.told(), expected, "{} bytes", request.len());
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_says_who_a_caller_is_never_comes_from_callers() {
    let mut bench = Bench::new(DOCUMENT, 4096);
    let mut client = bench.client();
    client.send("GET /x HTTP/1.1\r\nHost: a.test\r\nX-Gateward-App: forged\r\n\r\n").await;
    let request = bench.arrival().await.request().await;
    assert!(!request.contains("forged"), "{request}");
    let mut client = bench.client();
    client.send("GET /x HTTP/1.1\r\nHost: a.test\r\nX_Gateward.App: forged\r\n\r\n").await;
    assert_eq!(client.answer().await.told(), "< 400 field_ambiguous\n");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_proxy_protocol_says_where_a_connection_came_from() {
    let document = DOCUMENT.replace("bind:", "proxy_protocol: { trusted: [10.0.0.0/8] }, bind:");
    let mut bench = Bench::new(&document, 4096);
    let mut client = bench.client_of(7);
    let send = async {
        client.send(&format!("PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n{GET}")).await;
        client
    };
    let (_client, request) = tokio::join!(send, async { bench.arrival().await.request().await });
    assert!(request.to_ascii_lowercase().contains("x-forwarded-for: 192.0.2.7\r\n"), "{request}");
    let mut other = bench.client();
    other.send(GET).await;
    assert_eq!(other.rest().await, "", "a connection without the header is closed");
}
