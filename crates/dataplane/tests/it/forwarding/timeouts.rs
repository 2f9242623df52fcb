//! Each timer, and that it says which one it was.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::upstream::{Act, Upstream};
use super::{connect, gateway, get, send, talk};

#[tokio::test]
async fn the_response_does_not_start() {
    let one = Upstream::start(|_, _| Act::Stall(String::new())).await;
    let gateway = gateway(&[one.url()], "timeouts: { first_byte: 50ms }");
    get(&gateway).await.refuses(504, "first_byte_timeout");
    send(&gateway, "POST", "x").await.refuses(504, "first_byte_timeout");
    assert_eq!(one.requests().len(), 2, "not tried again");
    one.until(|upstream| upstream.left() == 2).await;
}

#[tokio::test]
async fn the_response_does_not_start_after_a_body_that_came_in_pieces() {
    let one = Upstream::start(|_, _| Act::Stall(String::new())).await;
    let gateway = gateway(&[one.url()], "timeouts: { first_byte: 50ms }");
    for (framing, body) in [
        ("Content-Length: 4", &[&b"ab"[..], b"cd"][..]),
        ("Transfer-Encoding: chunked", &[b"4\r\nabcd\r\n", b"0\r\n\r\n"]),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n\r\n");
        let pieces: Vec<&[u8]> = [head.as_bytes()].iter().chain(body).copied().collect();
        let answer = talk(&gateway, &pieces).await;
        assert!(answer.contains("\"code\":\"first_byte_timeout\""), "{framing}: {answer}");
    }
}

#[tokio::test]
async fn a_trickled_head_does_not_start_the_response() {
    let one = Upstream::start(|_, _| Act::Stall("HTTP/1.1 200 OK\r\nx-a: ".into())).await;
    let gateway = gateway(&[one.url()], "timeouts: { first_byte: 50ms }");
    get(&gateway).await.refuses(504, "first_byte_timeout");
}

#[tokio::test]
async fn timeouts_are_tried_again_where_the_settings_say_so() {
    let one = Upstream::start(|number, _| match number {
        0 => Act::Stall(String::new()),
        _ => super::upstream::answer(200, "second"),
    })
    .await;
    let settings = "retry: { causes: [timeout], per_try_timeout: 50ms }";
    get(&gateway(&[one.url()], settings)).await.is("second");
}

#[tokio::test]
async fn the_whole_exchange_takes_too_long_whatever_the_tries() {
    let one = Upstream::start(|_, _| Act::Stall(String::new())).await;
    let settings = "timeouts: { total: 200ms }
        retry: { attempts: 10, causes: [timeout], per_try_timeout: 80ms, backoff: 1ms }";
    get(&gateway(&[one.url()], settings)).await.refuses(504, "total_timeout");
    let tries = one.requests().len();
    assert!((1..=4).contains(&tries), "{tries} tries");
}

#[tokio::test]
async fn an_endpoint_that_accepts_and_never_shakes_hands() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let settings = "timeouts: { connect: 50ms }
        tls: { verify: false }";
    get(&gateway(&[url], settings)).await.refuses(504, "connect_timeout");
}

#[tokio::test]
async fn an_endpoint_that_stops_within_the_body_is_cut_off() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let one = Upstream::start(move |_, _| Act::Stall(head.into())).await;
    let gateway = gateway(&[one.url()], "timeouts: { idle: 50ms }");
    let answer = get(&gateway).await;
    assert_eq!((answer.status, answer.body()), (200, "half"), "{}", answer.text);
    one.until(|upstream| upstream.left() == 1).await;
}

#[tokio::test]
async fn the_total_ends_a_body_too() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let one = Upstream::start(move |_, _| Act::Stall(head.into())).await;
    let gateway = gateway(&[one.url()], "timeouts: { total: 100ms }");
    assert_eq!(get(&gateway).await.body(), "half");
}

#[tokio::test]
async fn a_client_that_pauses_within_its_body_is_no_fault_of_the_endpoint() {
    let one = Upstream::named("patient").await;
    let gateway = gateway(&[one.url()], "timeouts: { first_byte: 50ms, idle: 50ms }");
    let mut client = connect(&gateway);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nx";
    client.write_all(head).await.unwrap();
    one.until(|upstream| upstream.connections() == 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    client.write_all(b"y").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("patient"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_back() {
    let one = Upstream::start(|_, _| Act::Stall(String::new())).await;
    let gateway = gateway(&[one.url()], "");
    let mut client = connect(&gateway);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    one.read(1).await;
    drop(client);
    one.until(|upstream| upstream.left() == 1).await;
    super::balance::wait_for(&gateway, |status| {
        let endpoint = &status.endpoints[0];
        (endpoint.active, endpoint.connections) == (0, 0)
    })
    .await;
}
