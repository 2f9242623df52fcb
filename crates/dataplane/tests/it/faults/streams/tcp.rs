//! TCP listeners: what one end does, the other sees.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::memory::Bench;

fn one(url: &str, settings: &str) -> String {
    format!("  - {{ name: one, endpoints: [ '{url}' ], {settings} }}")
}

/// The end of one direction leaves the other open, whoever ends first.
///
/// Seen to fail: without the shutdown in `tunnel/half.rs` the other end waits for an end in vain.
#[tokio::test]
async fn fa_H14_a_the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let (listener, url) = server().await;
    let gateway = tcp_gateway("tcp: { upstream: one }", &one(&url, ""));
    let long = vec![7; 300_000];
    for client_first in [true, false] {
        let mut client = call(&gateway).await;
        let mut upstream = arrival(&listener).await;
        let (first, second) = match client_first {
            true => (&mut client, &mut upstream),
            false => (&mut upstream, &mut client),
        };
        send(first, b"question").await;
        first.shutdown().await.unwrap();
        assert_eq!(rest(second).await, b"question");
        let (_, answer) = tokio::join!(
            async {
                send(second, &long).await;
                second.shutdown().await.unwrap();
            },
            rest(first)
        );
        assert!(answer == long, "{} bytes came", answer.len());
    }
    until_quiet(&gateway).await;
}

/// A reset at one end is a reset at the other, not an end in order.
///
/// Seen to fail: without `reset_on_drop` in `relay/mod.rs` the other end reads an end in order.
#[tokio::test]
async fn fa_H14_b_a_reset_is_passed_on_as_a_reset() {
    let (listener, url) = server().await;
    let gateway = tcp_gateway("tcp: { upstream: one }", &one(&url, ""));
    for client_breaks in [true, false] {
        let mut client = call(&gateway).await;
        let mut upstream = arrival(&listener).await;
        send(&mut client, b"hello").await;
        expect(&mut upstream, b"hello").await;
        let (breaks, mut stays) = match client_breaks {
            true => (client, upstream),
            false => (upstream, client),
        };
        reset_on_drop(&breaks);
        drop(breaks);
        let error = patient(stays.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "client first: {client_breaks}");
    }
    until_quiet(&gateway).await;
}

/// Where no upstream takes the connection the client's is closed, without a byte and within the
/// time to connect; nothing stays behind.
///
/// Seen to fail: without the deadline around connecting (`forward/acquire.rs`) the client of the
/// upstream that says nothing waits for the system's own timeout, beyond this test's patience.
#[tokio::test]
async fn fa_H14_c_an_upstream_that_is_down_ends_the_connection() {
    let silent = silent().await;
    let dead = format!("tcp://{}", testkit::port::refusing());
    let silent_url = format!("tcp://{}", silent.address);
    for (url, failure) in [(&dead, "refused"), (&silent_url, "timeouts.connect")] {
        let settings = "timeouts: { connect: 200ms }, retry: { attempts: 0 }";
        let gateway = tcp_gateway("tcp: { upstream: one }", &one(url, settings));
        let mut client = call(&gateway).await;
        assert!(rest(&mut client).await.is_empty());
        until_quiet(&gateway).await;
        let status = gateway.handle.upstreams();
        let endpoint = &status[0].endpoints[0];
        let last = endpoint.last_failure.as_deref().unwrap_or_default();
        assert!(endpoint.failures == 1 && last.contains(failure), "{url}: {last}");
    }
}

/// An address where connecting neither fails nor ends.
struct Silent {
    address: std::net::SocketAddr,
    /// Fill its queue.
    _held: (tokio::net::TcpListener, Vec<TcpStream>),
}

async fn silent() -> Silent {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    // A connection that is not made at once finds the queue full.
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        held.push(stream.unwrap());
        assert!(held.len() < 100, "the queue is never full");
    }
    Silent { address, _held: (listener, held) }
}

/// Before a byte was sent, another endpoint takes the place of one that is down; one that fails
/// again and again is ejected.
///
/// Seen to fail: without the second try in `forward/dial.rs`, half the clients get no byte; without
/// its word to the outlier ejection, the dead endpoint is never out.
#[tokio::test]
async fn fa_H14_d_another_endpoint_takes_a_dead_ones_place() {
    let (listener, url) = server().await;
    let dead = format!("tcp://{}", testkit::port::refusing());
    let upstreams = format!(
        "  - {{ name: one, endpoints: [ '{dead}', '{url}' ], balance: round_robin, \
         panic_threshold: 0, outlier: {{ consecutive: 3 }} }}"
    );
    let gateway = tcp_gateway("tcp: { upstream: one }", &upstreams);
    for _ in 0..12 {
        let mut client = call(&gateway).await;
        let mut upstream = arrival(&listener).await;
        send(&mut upstream, b"here").await;
        expect(&mut client, b"here").await;
    }
    let endpoints = &gateway.handle.upstreams()[0].endpoints;
    assert_eq!((endpoints[0].failures, endpoints[0].ejected), (3, true));
    assert_eq!((endpoints[1].failures, endpoints[1].ejected), (0, false));
}

/// A connection without a byte is one all the same: its end is passed on, and it leaves nothing.
///
/// Seen to fail: as `fa_H14_a`.
#[tokio::test]
async fn fa_H14_e_a_connection_without_a_byte_comes_and_goes() {
    let (listener, url) = server().await;
    let gateway = tcp_gateway("tcp: { upstream: one }", &one(&url, ""));
    for _ in 0..20 {
        let client = call(&gateway).await;
        let mut upstream = arrival(&listener).await;
        drop(client);
        assert!(rest(&mut upstream).await.is_empty());
    }
    until_quiet(&gateway).await;
}

/// The upstream hears the client's address where it is to, before the first byte.
///
/// Seen to fail: without the header in `relay/mod.rs` the first bytes are the client's.
#[tokio::test]
async fn fa_H14_f_the_upstream_can_be_told_the_clients_address() {
    let (listener, url) = server().await;
    let settings = "tcp: { upstream: one, send_proxy_protocol: true }, \
                    proxy_protocol: { trusted: [ 127.0.0.0/8 ] }";
    let gateway = tcp_gateway(settings, &one(&url, ""));
    let mut client = call(&gateway).await;
    send(&mut client, b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 2222\r\nhello").await;
    let mut upstream = arrival(&listener).await;
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x08\x04\x57\x08\xaehello";
    expect(&mut upstream, header).await;
}

/// A reload keeps running connections, also where their listener and their upstream are gone; new
/// ones go by the new document. A drain keeps them until its grace is over.
///
/// Seen to fail: with relays that end when their door closes, the connection ends with the reload.
#[tokio::test]
async fn fa_H14_g_connections_outlive_reloads_and_last_until_the_hard_stop() {
    let (listener, url) = server().await;
    let (other, other_url) = server().await;
    let gateway = tcp_gateway("tcp: { upstream: one }", &one(&url, ""));
    let mut client = call(&gateway).await;
    let mut upstream = arrival(&listener).await;
    gateway.swap(&format!(
        "version: 1\nlisteners: [ {{ name: raw, bind: '127.0.0.1:0', tcp: {{ upstream: '{other_url}' }} }} ]"
    ));
    let second = call(&gateway).await;
    let mut second_upstream = arrival(&other).await;
    gateway.swap("version: 1\nlisteners: [ { name: web, bind: '127.0.0.2:0' } ]");
    for _ in 0..3 {
        send(&mut client, b"still").await;
        expect(&mut upstream, b"still").await;
        send(&mut upstream, b"here").await;
        expect(&mut client, b"here").await;
    }
    drop(second);
    assert!(rest(&mut second_upstream).await.is_empty());

    let handle = gateway.handle;
    let drained = std::thread::spawn(move || handle.drain(Duration::from_millis(300)));
    send(&mut client, b"till the end").await;
    expect(&mut upstream, b"till the end").await;
    assert!(rest(&mut client).await.is_empty());
    drained.join().unwrap();
}

/// A client that resets its connection before the upstream is there is given up at once, however
/// long connecting may take.
///
/// Seen to fail: without `Io::broken` beside connecting (`relay/mod.rs`) its places are held for
/// the hour that connecting may take.
#[tokio::test]
async fn fa_H15_a_a_client_that_resets_while_connecting_is_given_up() {
    let silent = silent().await;
    let settings = "timeouts: { connect: 1h }, outlier: { enabled: false }";
    let url = format!("tcp://{}", silent.address);
    let gateway = tcp_gateway("tcp: { upstream: one }", &one(&url, settings));
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(call(&gateway).await);
    }
    let pending = || gateway.handle.upstreams()[0].pending;
    let wait = async {
        while pending() < 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    patient(wait).await;
    for client in clients {
        reset_on_drop(&client);
    }
    until_quiet(&gateway).await;
}

/// A listener in memory, and the one endpoint it passes connections on to.
const IN_MEMORY: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:80', tcp: { upstream: 'tcp://10.0.0.1:80' } } ]
";

/// What an end holds of a connection in memory, each way.
const PIPE: usize = 1 << 10;

/// Bytes that one end does not take stay with the other end: the gateway holds 16 KiB of them at
/// most. The other direction is free all the time, and nothing is lost in the end.
///
/// Seen to fail: with `Half` reading on while it holds a piece, the sender gets rid of all it has.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H06_a_a_slow_reader_slows_the_sender() {
    let mut bench = Bench::new(IN_MEMORY, PIPE);
    let mut client = bench.client_of(PIPE);
    let mut upstream = bench.arrival().await;
    let piece = vec![1; 512];
    let mut sent = 0;
    while let Ok(written) =
        tokio::time::timeout(Duration::from_secs(1), client.stream.write(&piece)).await
    {
        sent += written.unwrap();
        assert!(sent <= PIPE + (16 << 10) + PIPE, "{sent} bytes went where nobody reads");
    }
    upstream.stream.write_all(b"free").await.unwrap();
    assert_eq!(client.until("free").await, "free");
    drop(client);
    let mut all = Vec::new();
    patient(upstream.stream.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all.len(), sent);
}

/// A connection where nothing moves is closed after `idle_timeout`, and not before.
///
/// Seen to fail: without the alarm in `tunnel/mod.rs` the connection is open for ever.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_H14_h_a_connection_where_nothing_moves_is_closed_in_time() {
    let mut bench = Bench::new(IN_MEMORY, PIPE);
    let mut client = bench.client();
    let mut upstream = bench.arrival().await;
    for _ in 0..3 {
        bench.pass(Duration::from_secs(299)).await;
        client.send("still here").await;
        assert_eq!(upstream.bytes(10).await, "still here");
    }
    bench.pass(Duration::from_secs(301)).await;
    assert_eq!(patient(client.rest()).await, "");
}
