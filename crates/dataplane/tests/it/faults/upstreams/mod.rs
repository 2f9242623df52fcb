//! Upstreams are strangers too: they refuse, stall, reset, lie, and answer what nobody asked
//! (section I).
#![allow(non_snake_case, reason = "a test is named after its number in the list")]

mod answers;
mod balance;
mod breaker;
mod deadlines;
mod http2;
mod mirror;
mod names;
mod reach;
mod repeats;
mod slow;
mod tls;

use gateward_dataplane::UpstreamStatus;
use testkit::attack::evil::Evil;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::forwarding::{Answer, connect, document, endpoints, send_with};
use crate::support::Gateway;

/// Ejections and breaker off, endpoints in turn: each test looks at one thing.
const PLAIN: &str = "outlier: { enabled: false }
    balance: round_robin
    breaker: { failure_percent: 0 }";

/// The URLs of these upstreams.
fn urls(upstreams: &[&Evil]) -> Vec<String> {
    upstreams.iter().map(|upstream| upstream.url()).collect()
}

/// The document of an upstream with these endpoints and settings.
fn written(urls: &[String], settings: &str) -> String {
    document(&endpoints(urls, settings))
}

/// What the gateway says of its upstream.
fn status(gateway: &Gateway) -> UpstreamStatus {
    gateway.handle.upstreams().swap_remove(0)
}

/// Sends a request with a nonce, by which an upstream counts.
async fn send_once(gateway: &Gateway, method: &str, nonce: &str, body: &str) -> Answer {
    send_with(gateway, method, "/", &format!("x-nonce: {nonce}\r\n"), body).await
}

/// A client that has sent a request, and has not read the answer yet.
async fn asking(gateway: &Gateway, path: &str) -> DuplexStream {
    let mut client = connect(gateway);
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("it is taken");
    client
}

/// Its answer, to the end of the connection.
async fn heard(mut client: DuplexStream) -> String {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("the connection ends in order");
    String::from_utf8_lossy(&answer).into_owned()
}
