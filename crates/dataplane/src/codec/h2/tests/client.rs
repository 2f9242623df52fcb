//! The client's side against the h2 crate as client.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use base::Clock;
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use policy::Exchange;
use policy::message::{Known, Status};
use tokio::task::{JoinHandle, spawn_local};

use super::frames::{self, DATA, END_STREAM, HEADERS, RST_STREAM};
use super::stub::{End, pass, serve};
use super::*;
use crate::codec::h2::answer::Asker;
use crate::codec::{Client, Interim, Upgraded};

/// A client of `io`, and the task that drives its connection.
pub(super) async fn client(
    io: tokio::io::DuplexStream,
    settings: impl FnOnce(&mut h2::client::Builder),
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let mut builder = h2::client::Builder::new();
    settings(&mut builder);
    let (sender, connection) = builder.handshake(io).await.unwrap();
    (sender, spawn_local(connection))
}

pub(super) fn post() -> Request<()> {
    Request::post("http://shop.test/").body(()).unwrap()
}

/// Answers with the request's own body, unless the client leaves before.
pub(super) async fn echo(x: &mut Exchange, client: &mut Asker) {
    x.response.body = x.request.body.take();
    client.answer(x, false).await;
}

/// Waits for ever, as long as the client does.
pub(super) async fn wait(client: &mut Asker, x: &mut Exchange) {
    let body = x.request.body.take();
    client.accompany(&Interim::default()).await;
    drop(body);
}

#[test]
fn an_answer_that_is_here_goes_out_in_one_write() {
    on_a_core(async {
        let (_stub, mut io, _task) = serve(Clock::system(), async |x, client, _| {
            x.response.body = Body::from("whole");
            client.answer(x, false).await;
        });
        frames::start(&mut io).await;
        let head = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
        frames::Frame::head(1, END_STREAM, &head).write(&mut io).await;
        frames::next(&mut io, &[HEADERS]).await.unwrap();
        // Whatever was written with the head can be read at once.
        let mut data = pin!(frames::next(&mut io, &[DATA]));
        let data = poll_fn(|cx| Poll::Ready(data.as_mut().poll(cx))).await;
        let Poll::Ready(Some(data)) = data else { panic!("DATA came by a write of its own") };
        assert_eq!((data.flags, data.payload.as_slice()), (END_STREAM, &b"whole"[..]));
    });
}

#[test]
fn bodies_and_trailers_go_both_ways_through_tiny_windows() {
    on_a_core(async {
        let (stub, io, _task) = serve(Clock::system(), async |x, client, _| echo(x, client).await);
        let (mut sender, _driver) = client(io, |builder| {
            builder.initial_window_size(11);
        })
        .await;
        let (response, mut send) = sender.send_request(post(), false).unwrap();
        let sent = many(300_000);
        send.send_data(sent.clone().into(), false).unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        trailers.insert("authorization", "none of this".parse().unwrap());
        send.send_trailers(trailers).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut got = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            body.flow_control().release_capacity(piece.len()).unwrap();
            got.extend_from_slice(&piece);
        }
        assert!(got == sent, "bytes changed on their way");
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(trailers.len(), 1);
        assert_eq!(trailers["x-sum"], "7");
        let end = End { bytes_in: 300_000, bytes_out: 300_000, complete: true };
        assert_eq!(*stub.ends.borrow(), [end]);
    });
}

#[test]
fn a_small_body_comes_whole_with_its_head() {
    on_a_core(async {
        let (stub, io, _task) = serve(Clock::system(), async |x, client, _| {
            assert!(matches!(&x.request.body, Body::Full(bytes) if bytes == "small"));
            echo(x, client).await;
        });
        let (mut sender, _driver) = client(io, |_| {}).await;
        let (response, mut send) = sender.send_request(post(), false).unwrap();
        send.send_data("small".into(), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        assert_eq!(stub.ends.borrow()[0], End { bytes_in: 5, bytes_out: 5, complete: true });
    });
}

#[test]
fn a_body_of_another_length_than_announced_is_broken() {
    on_a_core(async {
        let (_stub, mut io, _task) = serve(Clock::system(), async |x, client, _| {
            assert_eq!(x.request.body.remaining(), Some(9));
            let (_, _, end) = read(&mut x.request.body).await;
            assert_eq!(end, Err(BodyError::Broken));
            client.answer(x, false).await;
        });
        frames::start(&mut io).await;
        let head = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("content-length", "9"),
        ];
        frames::Frame::head(1, 0, &head).write(&mut io).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        frames::Frame::new(DATA, END_STREAM, 1, b"four").write(&mut io).await;
        let reset = frames::next(&mut io, &[HEADERS, RST_STREAM]).await.unwrap();
        assert_eq!((reset.kind, reset.error()), (RST_STREAM, 1));
    });
}

#[test]
fn a_client_that_leaves_is_noticed_and_its_body_let_go() {
    on_a_core(async {
        let (stub, io, _task) = serve(Clock::system(), async |x, client, _| wait(client, x).await);
        let (mut sender, _driver) = client(io, |_| {}).await;
        let (response, send) = sender.send_request(post(), false).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(stub.ends.borrow().is_empty());
        drop((response, send));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(stub.ends.borrow().len(), 1);
    });
}

#[test]
fn a_client_that_leaves_within_the_answer_stops_its_source() {
    on_a_core(async {
        let script = Script::default();
        let source = script.clone();
        let (stub, io, _task) = serve(Clock::system(), async move |x, client, _| {
            x.response.body = source.body();
            client.answer(x, false).await;
        });
        let (mut sender, _driver) = client(io, |_| {}).await;
        let (response, _send) = sender.send_request(post(), true).unwrap();
        script.data(b"start");
        let response = response.await.unwrap();
        assert!(!script.is_dropped());
        drop(response);
        drop(_send);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(script.is_dropped());
        assert_eq!(stub.ends.borrow()[0], End { bytes_in: 0, bytes_out: 5, complete: false });
    });
}

#[test]
fn an_answer_that_breaks_off_never_looks_whole() {
    on_a_core(async {
        let (stub, io, _task) = serve(Clock::system(), async |x, client, _| {
            let script = Script::default();
            script.data(b"half of it");
            script.push(Some(Err(BodyError::Broken)));
            x.response.body = script.body();
            client.answer(x, false).await;
        });
        let (mut sender, _driver) = client(io, |_| {}).await;
        let (response, _) = sender.send_request(post(), true).unwrap();
        let mut reason = None;
        match response.await {
            Ok(response) => {
                let mut body = response.into_body();
                while let Some(piece) = body.data().await {
                    reason = piece.err().and_then(|error| error.reason()).or(reason);
                    if reason.is_some() {
                        break;
                    }
                }
            }
            Err(error) => reason = error.reason(),
        }
        assert_eq!(reason, Some(Reason::INTERNAL_ERROR));
        assert!(!stub.ends.borrow()[0].complete);
    });
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    on_a_core(async {
        let clock = Clock::fixed(Duration::ZERO);
        let (stub, io, _task) = serve(clock.clone(), async |x, client, _| {
            x.response.body = Body::from(many(1000));
            client.answer(x, false).await;
        });
        let (mut sender, _driver) = client(io, |builder| {
            builder.initial_window_size(10);
        })
        .await;
        let (response, _) = sender.send_request(post(), true).unwrap();
        let _response = response.await.unwrap();
        pass(&clock, Duration::from_secs(29)).await;
        assert!(stub.ends.borrow().is_empty());
        pass(&clock, Duration::from_secs(2)).await;
        assert_eq!(stub.ends.borrow()[0], End { bytes_in: 0, bytes_out: 10, complete: false });
    });
}

#[test]
fn a_client_that_pauses_within_its_body_is_given_up() {
    on_a_core(async {
        let clock = Clock::fixed(Duration::ZERO);
        let (stub, io, _task) = serve(clock.clone(), async |x, client, _| {
            let (bytes, _, end) = read(&mut x.request.body).await;
            assert_eq!((bytes.as_slice(), end), (&b"start"[..], Err(BodyError::Timeout)));
            x.response.status = Status::new(408).unwrap();
            client.answer(x, false).await;
        });
        let (mut sender, _driver) = client(io, |_| {}).await;
        let (response, mut send) = sender.send_request(post(), false).unwrap();
        send.send_data("start".into(), false).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        pass(&clock, Duration::from_secs(31)).await;
        assert_eq!(response.await.unwrap().status(), 408);
        assert!(stub.ends.borrow()[0].complete);
    });
}

#[test]
fn interim_responses_and_100_continue_come_before_the_answer() {
    on_a_core(async {
        let (_stub, io, _task) = serve(Clock::system(), async |x, client, _| {
            let interim = Interim::default();
            interim.push(Status::new(103).unwrap(), headers(&[("link", "</a>")]));
            let mut body = x.request.body.take();
            tokio::select! {
                () = client.accompany(&interim) => panic!("the client is there"),
                (bytes, ..) = read(&mut body) => x.response.body = Body::from(bytes),
            }
            client.answer(x, false).await;
        });
        let (mut sender, _driver) = client(io, |_| {}).await;
        let mut request = post();
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let (mut response, mut send) = sender.send_request(request, false).unwrap();
        let mut early = Vec::new();
        while early.len() < 2 {
            let next = poll_fn(|cx| response.poll_informational(cx)).await;
            early.push(next.unwrap().unwrap().status().as_u16());
        }
        early.sort_unstable();
        assert_eq!(early, [100, 103]);
        send.send_data("as asked".into(), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "as asked");
    });
}

#[test]
fn head_and_304_keep_the_length_a_get_would_have() {
    on_a_core(async {
        let (_stub, io, _task) = serve(Clock::system(), async |x, client, _| {
            if x.request.headers.has(Known::UserAgent) {
                x.response.status = Status::new(304).unwrap();
                x.response.headers.append("content-length", "77");
            } else {
                x.response.body = Body::from("twelve bytes");
            }
            client.answer(x, false).await;
        });
        let (mut sender, _driver) = client(io, |_| {}).await;
        let head = Request::head("http://shop.test/").body(()).unwrap();
        let get = Request::get("http://shop.test/").header("user-agent", "x").body(()).unwrap();
        for (request, length) in [(head, "12"), (get, "77")] {
            let (response, _) = sender.send_request(request, true).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.headers()["content-length"], length);
            assert!(response.body().is_end_stream());
        }
    });
}

#[test]
fn a_websocket_is_answered_with_200_and_bytes_go_both_ways() {
    on_a_core(async {
        let (stub, io, _task) = serve(Clock::system(), async |x, client, _| {
            assert_eq!(x.request.upgrade.as_deref(), Some("websocket"));
            let (near, far) = tokio::io::duplex(100);
            spawn_local(async move {
                let (mut read, mut write) = tokio::io::split(far);
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                tokio::io::AsyncWriteExt::shutdown(&mut write).await.unwrap();
            });
            x.response.status = Status::new(101).unwrap();
            x.response.headers.append("sec-websocket-accept", "for HTTP/1.1");
            x.response.headers.append("sec-websocket-protocol", "chat");
            let upstream = Upgraded { io: Box::new(near), read: Bytes::from_static(b"hi ") };
            client.tunnel(x, upstream).await;
        });
        let (sender, _driver) = client(io, |_| {}).await;
        let mut sender = sender.ready().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(sender.is_extended_connect_protocol_enabled());
        let mut request = Request::connect("http://shop.test/chat").body(()).unwrap();
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        let (response, mut send) = sender.send_request(request, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        send.send_data("echo".into(), true).unwrap();
        let mut body = response.into_body();
        let mut got = Vec::new();
        while let Some(piece) = body.data().await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(got, b"hi echo");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(stub.ends.borrow()[0], End { bytes_in: 4, bytes_out: 7, complete: true });
    });
}
