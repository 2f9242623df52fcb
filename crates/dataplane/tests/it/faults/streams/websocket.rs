//! WebSocket: the gateway answers for the handshake and passes on what follows, untouched.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};

use super::websocket_bytes::{improper, proper};
use super::{arrival, patient};
use crate::memory::Bench;
use crate::support::Gateway;

const OPENING: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What follows `field` in a head.
fn field(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
    Some(line.split_once(": ")?.1.to_owned())
}

/// Reads a head.
async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(patient(stream.read_u8()).await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

/// Accepts a handshake over HTTP/1.1.
async fn accept(stream: &mut TcpStream) -> String {
    let asked = head(stream).await;
    let key = field(&asked, "sec-websocket-key").expect("a key");
    let hash = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes(),
    );
    let accept = base64::engine::general_purpose::STANDARD.encode(hash);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.expect("it is taken");
    asked
}

/// Sends back every byte of a tunnel over HTTP/1.1 until its end.
async fn echo_http1(listener: TcpListener) {
    loop {
        let mut stream = arrival(&listener).await;
        tokio::spawn(async move {
            accept(&mut stream).await;
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = write.shutdown().await;
        });
    }
}

/// The same over HTTP/2, with extended CONNECT.
async fn echo_http2(listener: TcpListener) {
    loop {
        let stream = arrival(&listener).await;
        tokio::spawn(async move {
            let mut builder = h2::server::Builder::new();
            builder.enable_connect_protocol();
            let mut connection = builder.handshake(stream).await.expect("HTTP/2");
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                tokio::spawn(async move {
                    let mut send = respond.send_response(Response::new(()), false).expect("sent");
                    let mut body = request.into_body();
                    while let Some(Ok(piece)) = body.data().await {
                        let _ = body.flow_control().release_capacity(piece.len());
                        send.send_data(piece, false).expect("sent");
                    }
                    send.send_data(Bytes::new(), true).expect("sent");
                });
            }
        });
    }
}

/// A gateway before an upstream that sends back every byte of a tunnel.
async fn echoing(http2: bool) -> Gateway {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let protocol = if http2 { "http2" } else { "http1" };
    match http2 {
        true => tokio::spawn(echo_http2(listener)),
        false => tokio::spawn(echo_http1(listener)),
    };
    Gateway::real(&format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams: [ {{ name: u, endpoints: [ '{url}' ], protocol: {protocol} }} ]
apis: [ {{ name: all, upstream: u }} ]
"
    ))
}

/// Says all this through a tunnel over HTTP/1.1, and gives what comes back.
async fn over_http1(gateway: &Gateway, said: &[u8]) -> Vec<u8> {
    let mut client: DuplexStream = gateway.connect(64 << 10);
    client.write_all(OPENING.as_bytes()).await.expect("it is taken");
    let answer = head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let (mut read, mut write) = tokio::io::split(client);
    let sends = async {
        for piece in said.chunks(7_001) {
            write.write_all(piece).await.expect("it is taken");
        }
        write.shutdown().await.expect("it is taken");
    };
    let mut back = Vec::new();
    let (_, read) = patient(async { tokio::join!(sends, read.read_to_end(&mut back)) }).await;
    read.expect("an end in order");
    back
}

/// The same over HTTP/2.
async fn over_http2(gateway: &Gateway, said: &[u8]) -> Vec<u8> {
    let (client, connection) =
        h2::client::handshake(gateway.connect(64 << 10)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("HTTP/2");
    let mut request = Request::connect("http://a.test/chat").body(()).expect("a request");
    request.headers_mut().insert("sec-websocket-version", "13".parse().expect("a value"));
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let (response, mut send) = client.send_request(request, false).expect("sent");
    for piece in said.chunks(7_001) {
        send.send_data(Bytes::copy_from_slice(piece), false).expect("taken");
    }
    send.send_data(Bytes::new(), true).expect("taken");
    let response = patient(response).await.expect("an answer");
    assert_eq!(response.status(), 200);
    patient(all(response.into_body())).await
}

async fn all(mut body: RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("no reset");
        body.flow_control().release_capacity(piece.len()).expect("capacity");
        bytes.extend_from_slice(&piece);
    }
    bytes
}

/// Holds that both ways, and over both versions on both sides, exactly these bytes pass.
async fn passes(conversations: &[(String, Vec<u8>)]) {
    for http2 in [false, true] {
        let gateway = echoing(http2).await;
        for (what, said) in conversations {
            let one = over_http1(&gateway, said).await;
            assert!(one == *said, "{what}, HTTP/1.1, upstream HTTP/2: {http2}");
            let two = over_http2(&gateway, said).await;
            assert!(two == *said, "{what}, HTTP/2, upstream HTTP/2: {http2}");
        }
    }
}

/// Frames of every kind, length and fragmentation, pings between fragments and closes of all
/// statuses pass both ways byte for byte, over HTTP/1.1 and over HTTP/2 on either side.
///
/// Seen to fail: with `Half` dropping the last byte of a piece that was not taken whole, all
/// conversations come back shorter.
#[tokio::test]
async fn fa_H01_a_every_frame_passes_byte_for_byte() {
    let statuses = [1000, 1001, 1003, 1009, 1011, 1012, 3000, 4999];
    let said = statuses.map(|status| (format!("close {status}"), proper(status)));
    passes(&said[..2]).await;
    let short = said[2..].iter().map(|(what, bytes)| {
        let close = bytes[bytes.len() - 14..].to_vec();
        (what.clone(), close)
    });
    passes(&short.collect::<Vec<_>>()).await;
}

/// A tunnel does not look into frames: those that break the rules reach the upstream untouched, to
/// be judged there.
///
/// Seen to fail: as `fa_H01_a`; there is no frame codec whose judgement could be taken out.
#[tokio::test]
async fn fa_H03_frames_that_break_the_rules_pass_untouched() {
    let said: Vec<_> =
        improper().into_iter().map(|(what, bytes)| (what.to_owned(), bytes)).collect();
    passes(&said).await;
}

/// The document of the cases in memory, with this in the API.
fn document(api: &str) -> String {
    format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:80' }} ]
upstreams: [ {{ name: up, endpoints: [ 'http://10.0.0.1:80' ], timeouts: {{ total: 0s }} }} ]
apis: [ {{ name: up, upstream: up, {api} }} ]
"
    )
}

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A handshake that no server may accept is refused here, and the upstream hears nothing of it.
///
/// Seen to fail: without `websocket::check` in `codec/h1/head.rs` the upstream sees the handshakes
/// without a good key.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H02_a_handshakes_that_no_server_may_accept_are_refused() {
    let bench = Bench::new(&document(""), 64 << 10);
    let long = format!("{KEY}X-Long: {}\r\n", "x".repeat(1 << 20));
    for (what, opening, status) in [
        ("no key", OPENING.replace(KEY, ""), 400),
        ("a short key", OPENING.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
        ("a key that is no base64", OPENING.replace("dGhl", "####"), 400),
        ("two keys", OPENING.replace(KEY, &KEY.repeat(2)), 400),
        ("POST", OPENING.replace("GET", "POST"), 400),
        ("a field of 1 MiB", OPENING.replace(KEY, &long), 431),
    ] {
        let mut client = bench.client_of(4 << 20);
        client.send(&opening).await;
        assert_eq!(patient(client.answer()).await.status, status, "{what}");
    }
    bench.settle().await;
    assert!(bench.nobody_arrived(), "the upstream heard of it");
}

/// What is no handshake is a request like any other: no upgrade goes upstream, and the bytes behind
/// it are not the upstream's.
///
/// Seen to fail: with `upgrade_to` in `codec/h1/fields.rs` asking for no `Connection: Upgrade`, the
/// upstream is asked to switch.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H02_b_an_upgrade_that_connection_does_not_name_is_none() {
    let mut bench = Bench::new(&document(""), 64 << 10);
    let mut client = bench.client();
    client.send(&OPENING.replace("Connection: Upgrade", "Connection: keep-alive")).await;
    let mut upstream = bench.arrival().await;
    let asked = upstream.request().await.to_ascii_lowercase();
    assert!(!asked.contains("upgrade"), "{asked}");
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").await;
    assert_eq!(patient(client.answer()).await.status, 502, "a switch nobody asked for");
}

/// The version is the upstream's to judge; its answer passes as it is. What the client sent behind
/// its handshake is nobody's: the connection ends.
///
/// Seen to fail: without `upgrade` in `codec/h1/server.rs`'s word on keeping a connection, what
/// stands behind the handshake is served as a request.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H02_c_an_upstreams_no_is_an_answer_like_any_other() {
    let mut bench = Bench::new(&document(""), 64 << 10);
    let mut client = bench.client();
    let opening = OPENING.replace("Version: 13", "Version: 12");
    client.send(&format!("{opening}GET /behind HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
    let mut upstream = bench.arrival().await;
    assert!(upstream.request().await.contains("12\r\n"));
    let no =
        "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n";
    upstream.send(no).await;
    let answer = patient(client.answer()).await;
    assert_eq!((answer.status, answer.field("sec-websocket-version")), (426, Some("13")));
    assert!(answer.closes());
    assert_eq!(patient(client.rest()).await, "");
    bench.settle().await;
    assert!(upstream.read.is_empty() && bench.nobody_arrived(), "the upstream heard more");
}

/// A request with a body opens no socket: its body goes upstream as a body, never as the first
/// bytes of a tunnel.
///
/// Seen to fail: with `take_request` in `codec/h1/head.rs` taking an upgrade whatever the framing,
/// the upstream is asked to switch.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H02_d_a_request_with_a_body_opens_no_socket() {
    let mut bench = Bench::new(&document(""), 64 << 10);
    for (framing, body) in
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
    {
        let mut client = bench.client();
        let opening = OPENING.replace(KEY, &format!("{KEY}{framing}\r\n"));
        client.send(&format!("{opening}{body}")).await;
        let mut upstream = bench.arrival().await;
        let asked = upstream.request().await.to_ascii_lowercase();
        assert!(
            !asked.contains("upgrade") && asked.contains(&framing.to_ascii_lowercase()),
            "{asked}"
        );
        assert_eq!(upstream.bytes(body.len()).await, body);
        upstream.send("HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        assert_eq!(patient(client.answer()).await.status, 400);
    }
}

/// A route that wants a page's own `Origin` lets no other page open a socket; the upstream hears
/// nothing of those.
///
/// Seen to fail: without the match the foreign page's handshake reaches the upstream.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H07_a_foreign_page_opens_no_socket_where_the_route_names_the_origin() {
    let own = "routes: [ { match: { headers: { origin: 'https://app.test' } } } ]";
    let mut bench = Bench::new(&document(own), 64 << 10);
    let from = |origin: &str| OPENING.replace(KEY, &format!("{KEY}Origin: {origin}\r\n"));
    for origin in [
        "https://evil.test",
        "https://app.test.evil.test",
        "null",
        "http://app.test",
        "https://app.test\r\nOrigin: https://evil.test",
    ] {
        let mut client = bench.client();
        client.send(&from(origin)).await;
        assert_eq!(patient(client.answer()).await.status, 404, "{origin}");
    }
    assert!(bench.nobody_arrived(), "the upstream heard of it");
    let mut client = bench.client();
    client.send(&from("https://app.test")).await;
    assert!(bench.arrival().await.request().await.contains("https://app.test"));
}

/// Opens a socket in memory; both ends of its tunnel.
async fn open(bench: &mut Bench) -> (crate::memory::Client, crate::memory::Upstream) {
    let mut client = bench.client();
    client.send(OPENING).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    let yes = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    upstream.send(yes).await;
    client.until("\r\n\r\n").await;
    (client, upstream)
}

/// A socket whose API is published no more is closed at both ends, at once; others go on, also
/// where their document was replaced.
///
/// Seen to fail: without `Core::unpublished` beside the tunnel in `serve.rs` the socket lives on.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H08_a_socket_ends_when_its_api_is_published_no_more() {
    let mut bench = Bench::new(&document(""), 64 << 10);
    let (mut client, mut upstream) = open(&mut bench).await;
    bench.run_by(&document("policies: [ { body_size: { max: 1KiB } } ]"));
    bench.settle().await;
    client.send("still").await;
    assert_eq!(upstream.bytes(5).await, "still");
    let gone = document("").replace("name: up, upstream", "name: other, upstream");
    bench.run_by(&gone);
    assert_eq!(patient(client.rest()).await, "");
    let mut rest = Vec::new();
    patient(upstream.stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}

/// Bytes that one end of a socket does not take stay with the other: the gateway holds 16 KiB of
/// them at most.
///
/// Seen to fail: as `fa_H06_a`.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H06_b_a_slow_reader_of_a_socket_slows_the_sender() {
    const PIPE: usize = 1 << 10;
    let mut bench = Bench::new(&document(""), PIPE);
    let (client, mut upstream) = open(&mut bench).await;
    let mut sent = 0;
    while let Ok(written) =
        tokio::time::timeout(Duration::from_secs(1), upstream.stream.write(&[1; 512])).await
    {
        sent += written.unwrap();
        // The client's pipe holds 64 KiB.
        assert!(sent <= PIPE + (16 << 10) + (64 << 10), "{sent} bytes went where nobody reads");
    }
    drop(upstream);
    assert_eq!(patient(client.rest()).await.len(), sent);
}
