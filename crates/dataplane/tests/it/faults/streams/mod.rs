//! WebSocket, gRPC, server-sent events, TCP.

#![allow(non_snake_case, reason = "tests carry the numbers of the list")]

mod events;
mod grpc;
mod hello;
mod passthrough;
mod tcp;
mod websocket;
mod websocket_bytes;

use std::net::SocketAddr;
use std::time::Duration;

use snapshot::Bind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Gateway;

/// How long anything may take until a test gives up: a bound on hanging, no measure of speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway whose one listener, on a port of its own, is a TCP listener with these settings.
fn tcp_gateway(settings: &str, upstreams: &str) -> Gateway {
    Gateway::real(&format!(
        "version: 1
listeners: [ {{ name: raw, bind: '127.0.0.1:0', {settings} }} ]
upstreams:
{upstreams}
"
    ))
}

/// A client's connection to the one listener.
async fn call(gateway: &Gateway) -> TcpStream {
    let stream = TcpStream::connect(address(gateway)).await.expect("the listener is open");
    stream.set_nodelay(true).expect("it is TCP");
    stream
}

fn address(gateway: &Gateway) -> SocketAddr {
    let bind = Bind::Tcp("127.0.0.1:0".parse().expect("an address"));
    match gateway.handle.address(&bind) {
        Some(Bind::Tcp(address)) => address,
        other => panic!("the listener stands at {other:?}"),
    }
}

/// A server on a port of its own, and its URL for TCP listeners.
async fn server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("tcp://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

/// The next connection to it.
async fn arrival(listener: &TcpListener) -> TcpStream {
    let arrival = patient(listener.accept()).await;
    arrival.expect("a connection").0
}

/// What comes of `future`, within all patience.
async fn patient<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes to that")
}

/// All that comes until the end.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    patient(stream.read_to_end(&mut bytes)).await.expect("an end in order");
    bytes
}

/// As many bytes as `expected` has, which they must be.
async fn expect(stream: &mut (impl AsyncRead + Unpin), expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    patient(stream.read_exact(&mut bytes)).await.expect("all of them come");
    assert!(bytes == expected, "other bytes came");
}

/// Sends these bytes.
async fn send(stream: &mut TcpStream, bytes: &[u8]) {
    patient(stream.write_all(bytes)).await.expect("it is taken");
}

/// Waits until nothing runs towards any upstream and no connection to one is open.
async fn until_quiet(gateway: &Gateway) {
    let quiet = async {
        loop {
            let upstreams = gateway.handle.upstreams();
            if upstreams.iter().all(|one| one.running + one.pending + one.connections == 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    patient(quiet).await;
}

/// From now on, dropping the stream resets it.
fn reset_on_drop(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    socket.set_linger(Some(Duration::ZERO)).expect("it is TCP");
}
