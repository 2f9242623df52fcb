//! HTTP/2 on either side, or on both: WebSockets across versions, calls that stream both ways,
//! cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::upstream::{Upstream, answer};
use super::{connect, gateway};
use crate::support::Gateway;

type Call = (Request<RecvStream>, SendResponse<Bytes>);

/// A client that speaks HTTP/2 to the gateway.
async fn client(gateway: &Gateway) -> SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(connect(gateway)).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

/// An endpoint that speaks HTTP/2 and serves calls by `serve`; counts its connections.
async fn endpoint<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(Call) -> F + Clone + Send + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let serve = serve.clone();
            tokio::spawn(async move {
                let mut builder = h2::server::Builder::new();
                builder.enable_connect_protocol();
                let mut connection = builder.handshake(stream).await.unwrap();
                while let Some(Ok(call)) = connection.accept().await {
                    tokio::spawn(serve(call));
                }
            });
        }
    });
    (url, connections)
}

/// Sends everything back, with a trailer after it.
async fn echo((request, mut respond): Call) {
    let mut send = respond.send_response(Response::new(()), false).unwrap();
    let mut body = request.into_body();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        send.send_data(piece, false).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    send.send_trailers(trailers).unwrap();
}

fn post(path: &str) -> Request<()> {
    Request::post(format!("http://a{path}")).body(()).unwrap()
}

fn opening() -> Request<()> {
    let mut request = Request::connect("http://a/chat").body(()).unwrap();
    request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    request
}

fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hash)
}

async fn all(mut body: RecvStream) -> String {
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).unwrap()
}

/// Takes a WebSocket over HTTP/1.1, answers the key it got in `answer_key`'s way, and sends back
/// what it hears.
async fn websocket_over_http1(listener: TcpListener, answer_key: fn(&str) -> String) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let key = head_value(&head, "sec-websocket-key");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        answer_key(&key)
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
    head
}

fn head_value(head: &str, name: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
    line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value).to_owned()
}

#[tokio::test]
async fn a_websocket_over_http2_reaches_an_upstream_over_http1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = gateway(&[url], "");
    let server = tokio::spawn(websocket_over_http1(listener, accept));
    let mut client = client(&gateway).await;
    let (response, mut send) = client.send_request(opening(), false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    assert!(!response.headers().contains_key("upgrade"));
    send.send_data("frames".into(), true).unwrap();
    assert_eq!(all(response.into_body()).await, "frames");
    let head = server.await.unwrap();
    assert!(head.starts_with("GET /chat HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert_eq!(head_value(&head, "sec-websocket-version"), "13");
}

#[tokio::test]
async fn an_upstream_that_answers_another_handshake_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = gateway(&[url], "retry: { attempts: 0 }");
    tokio::spawn(websocket_over_http1(listener, |_| accept("another key")));
    let mut client = client(&gateway).await;
    let (response, _send) = client.send_request(opening(), false).unwrap();
    assert_eq!(response.await.unwrap().status(), 502);
}

#[tokio::test]
async fn a_websocket_over_http1_reaches_an_upstream_over_http2() {
    let (url, _) = endpoint(|call: Call| async move {
        assert_eq!(call.0.method(), "CONNECT");
        let protocol = call.0.extensions().get::<Protocol>();
        assert_eq!(protocol.map(Protocol::as_str), Some("websocket"));
        assert!(!call.0.headers().contains_key("sec-websocket-key"));
        echo(call).await;
    })
    .await;
    let gateway = gateway(&[url], "protocol: http2");
    let mut client = connect(&gateway);
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let opening = format!(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    client.write_all(opening.as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(client.read_u8().await.unwrap()));
    }
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(head_value(&head, "sec-websocket-accept"), accept(key));
    assert_eq!(head_value(&head, "upgrade"), "websocket");
    client.write_all(b"frames").await.unwrap();
    let mut back = [0; 6];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"frames");
}

#[tokio::test]
async fn a_websocket_goes_over_http2_all_the_way() {
    let (url, _) = endpoint(echo).await;
    let gateway = gateway(&[url], "protocol: http2");
    let mut client = client(&gateway).await;
    let (response, mut send) = client.send_request(opening(), false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    send.send_data("frames".into(), true).unwrap();
    assert_eq!(all(response.into_body()).await, "frames");
}

#[tokio::test]
async fn an_opening_that_no_server_may_accept_is_refused_here() {
    let one = Upstream::start(|_, _| answer(200, "never")).await;
    let gateway = gateway(&[one.url()], "");
    let opening = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let mut client = connect(&gateway);
    client.write_all(opening.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Key"), "{answer}");
    assert!(one.requests().is_empty());
}

#[tokio::test]
async fn a_call_streams_both_ways_and_ends_with_its_trailers() {
    let (url, connections) = endpoint(echo).await;
    let gateway = gateway(&[url], "protocol: http2");
    let mut client = client(&gateway).await;
    let mut calls = Vec::new();
    for _ in 0..20 {
        let (response, send) = client.send_request(post("/a"), false).unwrap();
        calls.push((response.await.unwrap().into_body(), send));
    }
    for word in ["one", "two"] {
        for (body, send) in &mut calls {
            send.send_data(word.into(), false).unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), word);
        }
    }
    for (body, send) in &mut calls {
        send.send_data(Bytes::new(), true).unwrap();
        assert!(body.data().await.is_none());
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1, "calls share a connection");
}

#[tokio::test]
async fn a_call_the_client_takes_back_is_cancelled_at_the_endpoint() {
    let (told, mut news) = mpsc::unbounded_channel();
    let (url, _) = endpoint(move |(_request, mut respond): Call| {
        let told = told.clone();
        async move {
            told.send(None).unwrap();
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            told.send(reason.ok()).unwrap();
        }
    })
    .await;
    let gateway = gateway(&[url], "protocol: http2");
    let mut client = client(&gateway).await;
    let (response, mut send) = client.send_request(post("/a"), false).unwrap();
    send.send_data("half".into(), false).unwrap();
    assert_eq!(news.recv().await, Some(None), "the call has reached the endpoint");
    drop((response, send));
    assert_eq!(news.recv().await, Some(Some(Reason::CANCEL)));
}

#[tokio::test]
async fn what_an_endpoint_refused_to_process_is_sent_again_whatever_it_is() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    let (url, _) = endpoint(move |(request, mut respond): Call| {
        let before = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if before == 0 {
                respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                echo((request, respond)).await;
            }
        }
    })
    .await;
    let gateway = gateway(&[url], "protocol: http2");
    let mut client = client(&gateway).await;
    let (response, mut send) = client.send_request(post("/a"), false).unwrap();
    send.send_data("once".into(), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(all(response.into_body()).await, "once");
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn large_bodies_go_from_one_version_to_the_other() {
    let body = "0123456789".repeat(200_000);
    let copy = body.clone();
    let one = Upstream::start(move |_, request| {
        let (_, came) = request.split_once("\r\n\r\n").unwrap();
        answer(200, if came == copy { &copy } else { "it changed" })
    })
    .await;
    let gateway = gateway(&[one.url()], "");
    let mut client = client(&gateway).await;
    let mut request = post("/a");
    request.headers_mut().insert("content-length", body.len().into());
    let (response, mut send) = client.send_request(request, false).unwrap();
    send.send_data(Bytes::from(body.clone()), true).unwrap();
    let back = all(response.await.unwrap().into_body()).await;
    assert!(back == body, "{} bytes came back", back.len());
}
