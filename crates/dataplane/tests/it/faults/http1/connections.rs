//! A27–A30: connections that are to become something else, and requests that do not wait.

use std::time::Duration;

use testkit::attack::oracle::{Oracle, answer_to};
use testkit::attack::raw::{self, Until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::super::contract::{Bench, DOCUMENT, closed, told};
use super::super::trust::wire::{self, Ask, By};
use super::{EVIL, request};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const ACCEPTED: &str = "HTTP/1.1 101 -\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An origin that reads one head, says so, waits to be told an answer, gives it, and then tells all
/// that came after the head.
async fn waiting() -> (
    std::net::SocketAddr,
    oneshot::Receiver<()>,
    oneshot::Sender<&'static str>,
    tokio::task::JoinHandle<(String, String)>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (arrived, arrival) = oneshot::channel();
    let (answer, answered) = oneshot::channel::<&str>();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut bytes = Vec::new();
        let end = loop {
            stream.read_buf(&mut bytes).await.expect("a head");
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        arrived.send(()).expect("the test waits");
        let answer = answered.await.expect("the test tells");
        // What came before the answer.
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = stream.try_read(&mut piece) {
            bytes.extend_from_slice(&piece[..length]);
        }
        let before = String::from_utf8_lossy(&bytes[end..]).into_owned();
        stream.write_all(answer.as_bytes()).await.expect("it is taken");
        let mut after = Vec::new();
        let _ = stream.read_to_end(&mut after).await;
        (before, String::from_utf8_lossy(&after).into_owned())
    });
    (address, arrival, answer, task)
}

/// What is sent behind an upgrade waits until the origin has agreed. If it does not, the connection
/// ends after its answer, and what was sent is never a request.
/// Seen to fail: with `Server::form` keeping the connection after an upgrade that was not granted.
#[tokio::test]
async fn fa_A27_a_bytes_ahead_of_an_upgrade_wait() {
    for (answer, status) in [
        (ACCEPTED, 101),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", 200),
        ("HTTP/1.1 400 -\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", 400),
    ] {
        let (address, arrival, tell, origin) = waiting().await;
        let bench = Bench::new(&DOCUMENT.replace("@UP@", &address.to_string())).await;
        let mut stream = raw::connect(bench.address).await;
        stream.write_all(&request("GET /chat", WEBSOCKET, EVIL)).await.expect("it is taken");
        arrival.await.expect("the origin has the head");
        // Whatever the gateway does with what it has, it does before it serves others.
        for _ in 0..10 {
            let other = request("GET /x", "", "").to_ascii_lowercase();
            let _ = raw::exchange(bench.address, &other, Until::End).await;
        }
        tell.send(answer).expect("it waits");
        let mut all = vec![0; 12];
        stream.read_exact(&mut all).await.expect("an answer");
        assert_eq!(all, *format!("HTTP/1.1 {status}").as_bytes());
        stream.shutdown().await.expect("it is open");
        let _ = stream.read_to_end(&mut all).await;
        let text = String::from_utf8_lossy(&all);
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
        assert!(status == 101 || text.contains("connection: close\r\n"), "{text}");
        let (before, after) = origin.await.expect("it is told");
        assert_eq!(before, "", "{status}: sent before the answer");
        assert_eq!(after, if status == 101 { EVIL } else { "" }, "{status}: sent after it");
    }
}

/// Of what is sent behind an upgrade, no more than 16 KiB and what one read takes is held.
/// Seen to fail: with `PIPELINE_MAX` at 1 MiB.
#[tokio::test]
async fn fa_A27_b_what_waits_has_a_bound() {
    const MOST: usize = 32 << 10;
    let (address, arrival, _tell, origin) = waiting().await;
    let bench = Bench::new(&DOCUMENT.replace("@UP@", &address.to_string())).await;
    let mut stream = bench.handle.connect(&bench.listener, 1024);
    stream.write_all(&request("GET /chat", WEBSOCKET, "")).await.expect("it is taken");
    arrival.await.expect("the origin has the head");
    let mut taken = 0;
    let mut quiet = 0;
    while quiet < 20 && taken <= MOST {
        let writing = stream.write(&[b'x'; 1024]);
        match tokio::time::timeout(Duration::from_millis(20), writing).await {
            Ok(written) => {
                taken += written.expect("it is open");
                quiet = 0;
            }
            // Not a measure of speed: a slow gateway takes less, and less is fine.
            Err(_) => quiet += 1,
        }
    }
    assert!(taken <= MOST, "{taken} bytes were taken");
    origin.abort();
}

/// `Upgrade: h2c` is no upgrade: the request goes on as any other, without its fields.
/// Seen to fail: with `Fields::upgrade_to` giving any protocol.
#[tokio::test]
async fn fa_A28_h2c_is_no_upgrade() {
    let bench = Bench::new(DOCUMENT).await;
    for protocol in ["h2c", "H2C", "h2c, websocket", "HTTP/2.0"] {
        let lines = format!(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n\
             HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
        );
        let next = String::from_utf8_lossy(&request("GET /next", "", "")).into_owned();
        let bytes = request("GET /p", &lines, &next);
        bench.passes(protocol, &bytes, &["GET /p", "GET /next"]).await;
        bench.answers(&bytes, 2).await;
        for seen in bench.oracle.take() {
            for name in ["upgrade", "connection", "http2-settings"] {
                assert_eq!(seen.all(name), [""; 0], "{protocol}: {name}");
            }
        }
    }
}

/// CONNECT is not carried: 501 and the end, whatever follows.
/// Seen to fail: with `normalize::request` taking CONNECT (the target is malformed then, or it is
/// routed).
#[tokio::test]
async fn fa_A29_a_connect() {
    let bench = Bench::new(DOCUMENT).await;
    for target in ["a.test:443", "a.test", "/p", "http://a.test/p", "*", "[::1]:80"] {
        let bytes = request(&format!("CONNECT {target}"), "", EVIL);
        bench.refuses(target, &bytes, closed(501, "method_unsupported")).await;
    }
    let sent = bench.oracle.bytes();
    let bytes = request("CONNECT a.test:443", WEBSOCKET, EVIL);
    let all = raw::exchange(bench.address, &bytes, Until::End).await;
    assert_eq!(all.answers.len(), 1, "{all:?}");
    assert!(all.answers[0].status >= 400 && all.answers[0].closes(), "{all:?}");
    assert_eq!(bench.oracle.bytes(), sent);
}

/// The same over HTTP/2, with `:path` and without. Seen to fail: it can't be: the h2 crate resets
/// the stream of a CONNECT with `:scheme` and `:path` by itself. It fails when that changes and
/// `normalize::request` takes CONNECT.
#[tokio::test]
async fn fa_A29_b_connect_over_http2() {
    let bench = Bench::new(DOCUMENT).await;
    for target in ["/p", "", "a.test:443", "*"] {
        let ask = Ask { method: "CONNECT", host: "a.test", target, fields: &[] };
        let found = wire::told(&bench, By::Http2, ask).await;
        let refused = ["reset", "method_unsupported", "request_malformed"].contains(&&*found);
        assert!(refused, "{target}: {found}");
    }
    assert_eq!(bench.oracle.bytes(), 0);
}

/// 1,000 requests at once from a client that does not read: few of them are worked on, the rest
/// wait; once it reads, all are answered, in order.
/// Seen to fail: with answers without bodies, which nothing holds up. The defence is the order of
/// things, an answer is written before the next request is read, and can't be taken out.
#[tokio::test]
async fn fa_A30_pipelining() {
    const COUNT: usize = 1000;
    let body = "x".repeat(8 << 10);
    let oracle = Oracle::answering(move |seen| {
        let line = format!("X-Number: {}\r\n", &seen.target[1..]);
        answer_to(seen, "200 OK", &line, body.as_bytes()).into()
    });
    let bench = Bench::before(oracle.await, DOCUMENT, config::Memory::default()).await;
    let bytes: Vec<u8> =
        (0..COUNT).flat_map(|number| request(&format!("GET /{number}"), "", "")).collect();
    let stream = bench.handle.connect(&bench.listener, 4096);
    let (read, mut write) = tokio::io::split(stream);
    let writing = tokio::spawn(async move {
        write.write_all(&bytes).await.expect("it is taken");
        write
    });
    // Others are served meanwhile, many more than are waiting.
    for number in 0..100 {
        let bytes = request(&format!("GET /other{number}"), "", "");
        assert_eq!(bench.answers(&bytes, 1).await[0].status, 200);
    }
    let early = bench.oracle.take().iter().filter(|seen| !told(seen).contains("other")).count();
    assert!(early <= 32, "{early} were worked on for a client that does not read");
    let reading = tokio::io::join(read, tokio::io::sink());
    let all = raw::tell(reading, &[], &[], Until::Answers(COUNT)).await;
    let numbers = all.answers.iter().filter_map(|answer| answer.field("x-number")?.parse().ok());
    assert_eq!(numbers.collect::<Vec<usize>>(), (0..COUNT).collect::<Vec<_>>());
    writing.await.expect("all was taken");
}
