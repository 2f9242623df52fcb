//! The same over HTTP/2 to the upstream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;

use super::{PLAIN, send_once};
use crate::forwarding::{gateway, get};

type Heard = Request<h2::RecvStream>;

/// How a request ends; true if the connection does too.
type Act = fn(SendResponse<Bytes>) -> bool;

/// How often each request was carried out, by nonce.
type Executions = Arc<Mutex<HashMap<String, usize>>>;

/// An HTTP/2 server that lets `act` end each request.
async fn server(act: Act) -> (String, Executions) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let executions = Executions::default();
    let counted = executions.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, act, counted.clone()));
        }
    });
    (url, executions)
}

async fn serve(stream: tokio::net::TcpStream, act: Act, executions: Executions) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let request: Heard = request;
        if let Some(nonce) = request.headers().get("x-nonce") {
            let nonce = nonce.to_str().unwrap().to_owned();
            *executions.lock().unwrap().entry(nonce).or_default() += 1;
        }
        if act(respond) {
            // GOAWAY with a fault, naming this request as taken; then the end.
            connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
        }
    }
}

/// A request that was taken is not sent again, whether its stream is reset or its connection ends
/// after a GOAWAY that says it was taken. Seen to fail: with `refused` in `h2/head.rs::fault` true
/// for every fault, or `Ended::is_safe` always true, each is carried out twice.
#[tokio::test]
async fn fa_I06_b_a_reset_after_a_post_over_http2() {
    let resets: [Act; 3] = [
        |mut respond| {
            respond.send_reset(Reason::INTERNAL_ERROR);
            false
        },
        |mut respond| {
            respond.send_reset(Reason::CANCEL);
            false
        },
        |respond| {
            // Kept from being reset by its drop.
            std::mem::forget(respond);
            true
        },
    ];
    for act in resets {
        let (one, first) = server(act).await;
        let (other, second) = server(act).await;
        let gateway = gateway(&[one, other], &format!("{PLAIN}\nprotocol: http2"));
        for number in 0..40 {
            send_once(&gateway, "POST", &number.to_string(), "x")
                .await
                .refuses(502, "upstream_reset");
        }
        let mut all = first.lock().unwrap().clone();
        for (nonce, times) in second.lock().unwrap().iter() {
            *all.entry(nonce.clone()).or_default() += times;
        }
        assert_eq!(all.len(), 40);
        assert!(all.values().all(|times| *times == 1), "{all:?}");
    }
}

/// An answer with more fields than are taken is refused; so is one whose head is too large. Seen to
/// fail: with `RESPONSE_FIELDS` 2,000 the first passes; the size is bounded in the h2 crate, by
/// what `max_header_list_size` says: with 64 MiB there the second passes.
#[tokio::test]
async fn fa_I12_b_header_bombs_over_http2() {
    let bombs: [Act; 2] = [
        |mut respond| {
            let mut fields = HeaderMap::new();
            for _ in 0..1_000 {
                fields.append("a", "b".parse().unwrap());
            }
            let mut response = Response::new(());
            *response.headers_mut() = fields;
            let _ = respond.send_response(response, true);
            false
        },
        |mut respond| {
            let response = Response::builder().header("a", "b".repeat(70_000)).body(()).unwrap();
            let _ = respond.send_response(response, true);
            false
        },
    ];
    for act in bombs {
        let (url, _) = server(act).await;
        let gateway =
            gateway(&[url], &format!("{PLAIN}\nprotocol: http2\nretry: {{ attempts: 0 }}"));
        get(&gateway).await.refuses(502, "upstream_malformed");
    }
}

/// Ten interim answers are taken over HTTP/2 as over HTTP/1.1, and no more.
/// Seen to fail: with `INTERIM_MAX` 10,000 the answer is 200.
#[tokio::test]
async fn fa_I25_d_storms_of_interim_answers_over_http2() {
    let acts: [(Act, u16); 3] = [
        (|respond| hint(respond, 103, 10), 200),
        (|respond| hint(respond, 103, 11), 502),
        // HTTP/2 has no 101 (RFC 9113 §8.6).
        (|respond| hint(respond, 101, 1), 502),
    ];
    for (act, status) in acts {
        let (url, _) = server(act).await;
        let gateway = gateway(&[url], &format!("{PLAIN}\nprotocol: http2"));
        let text = get(&gateway).await.text;
        let last = text.rsplit("HTTP/1.1 ").next().unwrap_or_default();
        assert!(last.starts_with(&status.to_string()), "{text}");
    }
}

fn hint(mut respond: SendResponse<Bytes>, status: u16, times: usize) -> bool {
    for _ in 0..times {
        respond.send_informational(Response::builder().status(status).body(()).unwrap()).unwrap();
    }
    respond.send_response(Response::new(()), true).unwrap();
    false
}
