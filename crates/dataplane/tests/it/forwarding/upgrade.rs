//! Upgrades: the switch is the upstream's to make.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::upstream::{Upstream, answer};
use super::{connect, gateway};

const OPENING: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn bytes_go_both_ways_after_the_101_and_none_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        // The client's early bytes are there by now, and stay with the gateway.
        let mut early = [0; 5];
        let waited = std::time::Duration::from_millis(100);
        let before = tokio::time::timeout(waited, stream.read_exact(&mut early)).await;
        assert!(before.is_err(), "bytes before the 101");
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello",
            )
            .await
            .unwrap();
        stream.read_exact(&mut early).await.unwrap();
        assert_eq!(&early, b"early");
        stream.write_all(b" world").await.unwrap();
        String::from_utf8(head).unwrap()
    };
    let gateway = gateway(&[url], "");
    let client = async {
        let mut client = connect(&gateway);
        client.write_all(OPENING).await.unwrap();
        client.write_all(b"early").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (head, answer) = tokio::join!(server, client);
    assert!(
        head.contains("upgrade: websocket\r\n") || head.contains("Upgrade: websocket\r\n"),
        "{head}"
    );
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello world"), "{answer}");
}

#[tokio::test]
async fn an_upstream_that_does_not_switch_answers_as_ever() {
    let one = Upstream::start(|_, _| answer(403, "no")).await;
    let gateway = gateway(&[one.url()], "");
    let mut client = connect(&gateway);
    client.write_all(OPENING).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nno") {
        answer.push(client.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 403 "));
}
