//! gRPC: every call ends with a status that says what happened, and streams keep their order and
//! their pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::patient;
use crate::support::Gateway;

type Call = (Request<RecvStream>, SendResponse<Bytes>);

/// An endpoint that serves calls by `serve`.
async fn endpoint<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(Call) -> F + Clone + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = serve.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                while let Some(Ok(call)) = connection.accept().await {
                    tokio::spawn(serve(call));
                }
            });
        }
    });
    url
}

/// A gateway before this endpoint, and a client that speaks HTTP/2 to it.
async fn before(url: &str, settings: &str) -> (Gateway, SendRequest<Bytes>) {
    let gateway = Gateway::real(&format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams: [ {{ name: u, endpoints: [ '{url}' ], protocol: http2, retry: {{ attempts: 0 }}, {settings} }} ]
apis: [ {{ name: all, upstream: u }} ]
"
    ));
    let (client, connection) =
        h2::client::handshake(gateway.connect(64 << 10)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let client = client.ready().await.expect("HTTP/2");
    (gateway, client)
}

fn request(timeout: Option<&str>) -> Request<()> {
    let request = Request::post("http://a.test/x.Y/Z").header("content-type", "application/grpc");
    let request = request.header("te", "trailers");
    let request = match timeout {
        Some(timeout) => request.header("grpc-timeout", timeout),
        None => request,
    };
    request.body(()).expect("a request")
}

/// How a call ended: its HTTP status and its gRPC status.
async fn ended(client: &mut SendRequest<Bytes>, request: Request<()>) -> (u16, String) {
    let (response, _) = client.send_request(request, true).expect("sent");
    let response = patient(response).await.expect("an answer");
    let http = response.status().as_u16();
    let status = |fields: &HeaderMap| {
        let value = fields.get("grpc-status").map(|value| value.to_str().expect("text"));
        value.unwrap_or("none").to_owned()
    };
    if response.headers().contains_key("grpc-status") {
        return (http, status(response.headers()));
    }
    let mut body = response.into_body();
    while let Some(piece) = patient(body.data()).await {
        let piece = piece.expect("no reset");
        body.flow_control().release_capacity(piece.len()).expect("capacity");
    }
    let trailers = patient(body.trailers()).await.expect("no reset");
    (http, status(&trailers.unwrap_or_default()))
}

fn trailers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// Does what the call's number says, counted from 0.
async fn misbehave(number: usize, mut respond: SendResponse<Bytes>) {
    let head = |status: u16| {
        let head = Response::builder().status(status).header("content-type", "application/grpc");
        head.body(()).unwrap()
    };
    match number {
        0..=6 => {
            let status = [502, 503, 504, 401, 403, 404, 500][number];
            let mut send = respond.send_response(head(status), false).unwrap();
            send.send_data("<html>".into(), true).unwrap();
        }
        7 => {
            let mut only = head(200);
            only.headers_mut().extend(trailers(&[("grpc-status", "9")]));
            respond.send_response(only, true).unwrap();
        }
        8 => drop(respond.send_response(head(200), true).unwrap()),
        9 => {
            let mut send = respond.send_response(head(200), false).unwrap();
            send.send_data("part".into(), true).unwrap();
        }
        10 => {
            let mut send = respond.send_response(head(200), false).unwrap();
            send.send_trailers(trailers(&[("x-other", "1")])).unwrap();
        }
        11 => {
            let mut send = respond.send_response(head(200), false).unwrap();
            send.send_trailers(trailers(&[("grpc-status", "good")])).unwrap();
        }
        12 => {
            let mut send = respond.send_response(head(200), false).unwrap();
            send.send_data("part".into(), false).unwrap();
            send.send_reset(Reason::INTERNAL_ERROR);
        }
        13 => respond.send_reset(Reason::INTERNAL_ERROR),
        14 => {
            let mut send = respond.send_response(head(200), false).unwrap();
            send.send_data("part".into(), false).unwrap();
            std::future::poll_fn(|cx| send.poll_reset(cx)).await.ok();
        }
        15 => drop(std::future::poll_fn(|cx| respond.poll_reset(cx)).await),
        _ => {
            let mut send = respond.send_response(head(200), false).unwrap();
            send.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
        }
    }
}

/// Whatever an upstream does, the call ends with HTTP status 200 and a gRPC status that says what
/// happened.
///
/// Seen to fail: without `grpc_answer::complete` the HTTP statuses of 0 to 6 pass as they are, and
/// the calls that break off end in a reset.
#[tokio::test]
async fn fa_H09_every_call_ends_with_a_status() {
    let count = Arc::new(AtomicUsize::new(0));
    let url = endpoint(move |(_, respond): Call| {
        misbehave(count.fetch_add(1, Ordering::SeqCst), respond)
    })
    .await;
    let settings = "timeouts: { first_byte: 300ms, idle: 300ms }, outlier: { enabled: false }";
    let (_gateway, mut client) = before(&url, settings).await;
    let expected = [
        "14", "14", "14", "16", "7", "12", "2", "9", "13", "13", "13", "13", "14", "14", "4", "4",
        "0",
    ];
    for (number, status) in expected.into_iter().enumerate() {
        let ended = ended(&mut client, request(None)).await;
        assert_eq!(ended, (200, status.to_owned()), "call {number}");
    }
}

/// A deadline that can't be read is refused with INVALID_ARGUMENT and reaches no upstream; none
/// ends the call at once; the longest one is no trouble.
///
/// Seen to fail: without `grpc_answer::refuse_timeout` the unreadable ones reach the upstream as
/// they came, and are answered with 0.
#[tokio::test]
async fn fa_H10_a_deadline_that_can_not_be_read_is_refused() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let url = endpoint(move |(_, respond): Call| {
        count.fetch_add(1, Ordering::SeqCst);
        misbehave(99, respond)
    })
    .await;
    let (_gateway, mut client) = before(&url, "").await;
    for timeout in
        ["", "1", "S", "1s", "-1S", "+1S", "1.5S", "1 S", "123456789S", "0x1S", "1D", "99999999h"]
    {
        let ended = ended(&mut client, request(Some(timeout))).await;
        assert_eq!((ended.0, &*ended.1), (200, "3"), "{timeout:?}");
    }
    let mut twice = request(Some("1S"));
    twice.headers_mut().append("grpc-timeout", "2S".parse().unwrap());
    assert_eq!(ended(&mut client, twice).await.1, "3", "twice");
    for timeout in ["0n", "0S", "0H"] {
        assert_eq!(ended(&mut client, request(Some(timeout))).await.1, "4", "{timeout:?}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the upstream heard of them");
    for timeout in ["99999999H", "99999999M", "5000000u"] {
        assert_eq!(ended(&mut client, request(Some(timeout))).await.1, "0", "{timeout:?}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

/// What `sent` has come to when it grows no more. Looked at too soon it is too small, never too
/// large.
async fn stuck(sent: &AtomicUsize) -> usize {
    let (mut last, mut same) = (0, 0);
    while same < 50 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let now = sent.load(Ordering::SeqCst);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// Ten thousand messages reach a reader that takes its time, in order, and the sender is held to
/// the reader's pace; what the client cancels in between is cancelled at the endpoint.
///
/// Seen to fail: with the gateway taking what comes whatever the client's window, the endpoint has
/// sent everything while the client has read nothing; without the reset that `h2` sends for a
/// dropped stream, the endpoint is never told (it can't be taken out of the library).
#[tokio::test]
async fn fa_H11_a_stream_keeps_its_order_and_pace_and_a_cancel_reaches_the_endpoint() {
    const MESSAGES: u32 = 10_000;
    const MESSAGE: usize = 200;
    let sent = Arc::new(AtomicUsize::new(0));
    let (told, mut news) = mpsc::unbounded_channel();
    let counted = sent.clone();
    let url = endpoint(move |(_, mut respond): Call| {
        let (sent, told) = (counted.clone(), told.clone());
        async move {
            let head = Response::builder().header("content-type", "application/grpc");
            let mut send = respond.send_response(head.body(()).unwrap(), false).unwrap();
            for number in 0..MESSAGES {
                send.reserve_capacity(MESSAGE);
                while send.capacity() < MESSAGE {
                    match std::future::poll_fn(|cx| send.poll_capacity(cx)).await {
                        Some(Ok(_)) => {}
                        _ => {
                            let reason = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
                            return told.send(reason.ok()).unwrap();
                        }
                    }
                }
                let mut message = vec![0; MESSAGE];
                message[..4].copy_from_slice(&number.to_be_bytes());
                send.send_data(message.into(), false).unwrap();
                sent.fetch_add(1, Ordering::SeqCst);
            }
            send.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
        }
    })
    .await;
    let (_gateway, mut client) = before(&url, "").await;
    let (response, _) = client.send_request(request(None), true).unwrap();
    let mut body = patient(response).await.unwrap().into_body();
    let ahead = stuck(&sent).await * MESSAGE;
    assert!(ahead <= 512 << 10, "{ahead} bytes were sent and nobody has read");
    let mut read = Vec::new();
    let mut next = 0;
    while let Some(piece) = patient(body.data()).await {
        read.extend_from_slice(&piece.unwrap());
        while read.len() >= MESSAGE {
            let message: Vec<u8> = read.drain(..MESSAGE).collect();
            assert_eq!(message[..4], u32::to_be_bytes(next));
            next += 1;
            body.flow_control().release_capacity(MESSAGE).unwrap();
        }
    }
    assert_eq!(next, MESSAGES);
    let last = patient(body.trailers()).await.unwrap().unwrap();
    assert_eq!(last["grpc-status"], "0");

    let (response, send) = client.send_request(request(None), true).unwrap();
    let body = patient(response).await.unwrap().into_body();
    drop((body, send));
    assert_eq!(patient(news.recv()).await.unwrap(), Some(Reason::CANCEL));
}
