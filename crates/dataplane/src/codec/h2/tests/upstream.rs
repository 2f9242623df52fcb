//! The upstream's side against the h2 crate as endpoint.

use std::future::poll_fn;
use std::time::Duration;

use base::Clock;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response as Head};
use policy::message::{Known, Method, Response, Scheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_local;

use super::*;
use crate::accept::io::Io;
use crate::codec::h2::client::{Connection, Settings};
use crate::codec::{Interim, Outgoing, Permit, SendError, Sent};
use crate::deadline::Timers;

pub(super) type Call = (Request<RecvStream>, SendResponse<Bytes>);

/// A connection to an endpoint that hands each request to `answer`.
pub(super) async fn endpoint<F: Future<Output = ()> + 'static>(
    settings: impl FnOnce(&mut h2::server::Builder),
    answer: impl Fn(Call) -> F + 'static,
) -> Connection {
    endpoint_at(Clock::system(), settings, answer).await
}

pub(super) async fn endpoint_at<F: Future<Output = ()> + 'static>(
    clock: Clock,
    settings: impl FnOnce(&mut h2::server::Builder),
    answer: impl Fn(Call) -> F + 'static,
) -> Connection {
    let (near, far) = tokio::io::duplex(1 << 20);
    let mut builder = h2::server::Builder::new();
    settings(&mut builder);
    spawn_local(async move {
        let mut connection = builder.handshake::<_, Bytes>(far).await.unwrap();
        while let Some(Ok(call)) = connection.accept().await {
            spawn_local(answer(call));
        }
    });
    connect(near, clock).await
}

pub(super) async fn connect(near: tokio::io::DuplexStream, clock: Clock) -> Connection {
    let settings =
        Settings { streams: 10, idle: Duration::from_secs(60), timers: Timers::new(clock) };
    Connection::handshake(Io::Memory(near), Permit::free(), settings).await.unwrap()
}

fn out(headers: &Headers, method: Method) -> Outgoing<'_> {
    Outgoing {
        method,
        scheme: Scheme::Http,
        authority: "orders.internal:9001",
        target: "/a%20b?q=1",
        headers,
        upgrade: None,
    }
}

pub(super) async fn get(connection: &Connection) -> Result<Response, SendError> {
    let headers = Headers::new();
    let mut response = Response::default();
    connection
        .send(&out(&headers, Method::Get), Body::Empty, &Interim::default(), &mut response)
        .await
        .map(|_| response)
}

pub(super) async fn post(connection: &Connection, body: Body) -> Result<Response, SendError> {
    let headers = Headers::new();
    let mut response = Response::default();
    connection
        .send(&out(&headers, Method::Post), body, &Interim::default(), &mut response)
        .await
        .map(|_| response)
}

pub(super) async fn received(stream: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        let _ = stream.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

pub(super) fn ok() -> Head<()> {
    Head::new(())
}

#[test]
fn a_request_arrives_as_written_and_a_short_answer_comes_whole() {
    on_a_core(async {
        let connection = endpoint(
            |_| {},
            |(request, mut respond)| async move {
                assert_eq!(request.method(), "POST");
                assert_eq!(request.uri(), "http://orders.internal:9001/a%20b?q=1");
                let fields = request.headers();
                assert_eq!(fields["x-one"], "1");
                assert_eq!(fields["te"], "trailers", "gRPC servers want it");
                assert_eq!(fields["content-length"], "5");
                assert!(!fields.contains_key("connection"));
                let body = received(&mut request.into_body()).await.unwrap();
                assert_eq!(body, b"hello");
                let head = Head::builder().status(201).header("x-two", "2").body(()).unwrap();
                let mut send = respond.send_response(head, false).unwrap();
                send.send_data("there".into(), true).unwrap();
            },
        )
        .await;
        let fields = headers(&[
            ("X-One", "1"),
            ("Connection", "close"),
            ("Content-Type", "application/grpc"),
        ]);
        let mut response = Response::default();
        let sent = connection
            .send(
                &out(&fields, Method::Post),
                Body::from("hello"),
                &Interim::default(),
                &mut response,
            )
            .await;
        assert!(matches!(sent, Ok(Sent::Response)));
        assert_eq!(response.status.code(), 201);
        assert_eq!(response.headers.iter().count(), 1);
        assert!(matches!(&response.body, Body::Full(bytes) if bytes == "there"));
        assert_eq!(connection.requests(), 1);
        assert!(connection.idle_since().is_some() && connection.is_open());
    });
}

#[test]
fn bodies_and_trailers_go_both_ways_through_tiny_windows() {
    on_a_core(async {
        let connection = endpoint(
            |builder| {
                builder.initial_window_size(7).initial_connection_window_size(70_000);
            },
            |(request, mut respond)| async move {
                let mut body = request.into_body();
                let bytes = received(&mut body).await.unwrap();
                let trailers = body.trailers().await.unwrap().unwrap();
                assert_eq!(trailers["x-sum"], "7");
                assert!(!trailers.contains_key("content-length"));
                let mut send = respond.send_response(ok(), false).unwrap();
                send.send_data(bytes.into(), false).unwrap();
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                trailers.insert("content-length", "3".parse().unwrap());
                send.send_trailers(trailers).unwrap();
            },
        )
        .await;
        let sent = many(300_000);
        let script = Script::default();
        script.push(Some(Ok(Frame::Data(sent.clone().into()))));
        script.push(Some(Ok(Frame::Trailers(headers(&[("x-sum", "7"), ("content-length", "3")])))));
        let mut response = post(&connection, script.body()).await.unwrap();
        let (bytes, trailers, end) = read(&mut response.body).await;
        assert!(bytes == sent, "bytes changed on their way");
        assert_eq!(end, Ok(()));
        let trailers = trailers.unwrap();
        assert_eq!(trailers.get(Known::GrpcStatus), Some(&b"0"[..]));
        assert!(!trailers.has(Known::ContentLength));
    });
}

#[test]
fn a_request_goes_on_while_its_response_comes() {
    on_a_core(async {
        let connection = endpoint(
            |_| {},
            |(request, mut respond)| async move {
                let mut send = respond.send_response(ok(), false).unwrap();
                let mut body = request.into_body();
                while let Some(piece) = body.data().await {
                    send.send_data(piece.unwrap(), false).unwrap();
                }
                send.send_data(Bytes::new(), true).unwrap();
            },
        )
        .await;
        let script = Script::default();
        let mut response = post(&connection, script.body()).await.unwrap();
        for word in [&b"one"[..], b"two"] {
            script.data(word);
            match response.body.frame().await {
                Some(Ok(Frame::Data(bytes))) => assert_eq!(bytes, word),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(connection.free_streams(), 9);
        script.push(None);
        assert_eq!(read(&mut response.body).await.2, Ok(()));
        assert_eq!(connection.free_streams(), 10);
    });
}

#[test]
fn interim_responses_come_before_the_response() {
    on_a_core(async {
        let connection = endpoint(
            |_| {},
            |(_, mut respond)| async move {
                let hints = Head::builder().status(103).header("link", "</a>").body(()).unwrap();
                respond.send_informational(hints).unwrap();
                tokio::task::yield_now().await;
                respond.send_response(ok(), true).unwrap();
            },
        )
        .await;
        let interim = Interim::default();
        let fields = Headers::new();
        let mut response = Response::default();
        let outgoing = out(&fields, Method::Get);
        connection.send(&outgoing, Body::Empty, &interim, &mut response).await.unwrap();
        assert_eq!(response.status.code(), 200);
        let (status, fields) = poll_fn(|cx| interim.poll_next(cx)).await;
        assert_eq!((status.code(), fields.len()), (103, 1));
        let more = poll_fn(|cx| Poll::Ready(interim.poll_next(cx).is_ready())).await;
        assert!(!more, "it was all");
    });
}

#[test]
fn a_websocket_is_an_extended_connect() {
    on_a_core(async {
        let connection = endpoint(
            |builder| {
                builder.enable_connect_protocol();
            },
            |(request, mut respond)| async move {
                assert_eq!(request.method(), "CONNECT");
                let protocol = request.extensions().get::<h2::ext::Protocol>();
                assert_eq!(protocol.map(h2::ext::Protocol::as_str), Some("websocket"));
                assert!(!request.headers().contains_key("sec-websocket-key"));
                assert_eq!(request.headers()["sec-websocket-version"], "13");
                let mut send = respond.send_response(ok(), false).unwrap();
                let bytes = received(&mut request.into_body()).await.unwrap();
                send.send_data(bytes.into(), true).unwrap();
            },
        )
        .await;
        assert!(connection.takes_upgrades().await);
        let fields = headers(&[
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ]);
        let outgoing = Outgoing { upgrade: Some("websocket"), ..out(&fields, Method::Get) };
        let mut response = Response::default();
        let sent =
            connection.send(&outgoing, Body::Empty, &Interim::default(), &mut response).await;
        let Ok(Sent::Upgraded(mut upgraded)) = sent else { panic!("refused: {response:?}") };
        assert_eq!(response.status.code(), 101);
        upgraded.io.write_all(b"ping").await.unwrap();
        upgraded.io.shutdown().await.unwrap();
        let mut echo = String::new();
        upgraded.io.read_to_string(&mut echo).await.unwrap();
        assert_eq!(echo, "ping");
    });
}

#[test]
fn an_endpoint_that_takes_no_upgrades_says_so() {
    on_a_core(async {
        let connection = endpoint(|_| {}, |_| async {}).await;
        assert!(!connection.takes_upgrades().await);
        assert!(!connection.takes_upgrades().await);
    });
}

#[test]
fn it_takes_no_more_streams_than_the_endpoint_allows() {
    on_a_core(async {
        let connection = endpoint(
            |builder| {
                builder.max_concurrent_streams(3);
            },
            |(_, mut respond)| async move {
                respond.send_response(ok(), true).unwrap();
            },
        )
        .await;
        assert!(!connection.takes_upgrades().await, "now its settings are here");
        assert_eq!(connection.free_streams(), 3);
    });
}
