//! Connections kept, used again, and let go.

use super::upstream::{Act, Upstream, answer};
use super::{document, endpoints, gateway, get, send};

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let one = Upstream::named("one").await;
    let gateway = gateway(&[one.url()], "");
    for method in ["GET", "POST", "PUT"].iter().cycle().take(30) {
        send(&gateway, method, "x").await.is("one");
    }
    assert_eq!(one.connections(), 1);
    let status = &gateway.handle.upstreams()[0].endpoints[0];
    assert_eq!((status.active, status.connections, status.idle), (0, 1, 1));
}

#[tokio::test]
async fn a_connection_is_let_go_when_its_bounds_say_so() {
    for (bound, connections) in [
        ("max_requests: 2", 3),
        ("max_requests: 1", 6),
        ("max_age: 1ms", 6),
        ("idle_timeout: 1ms", 6),
        ("idle: 1", 1),
    ] {
        let one = Upstream::named("one").await;
        let gateway = gateway(&[one.url()], &format!("pool: {{ {bound} }}"));
        for _ in 0..6 {
            get(&gateway).await.is("one");
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        assert_eq!(one.connections(), connections, "{bound}");
    }
}

#[tokio::test]
async fn a_connection_with_a_body_left_unread_is_not_used_again() {
    // More than what is announced: what follows would be taken for the next response.
    let one = Upstream::start(|_, _| {
        Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil".into())
    })
    .await;
    let gateway = gateway(&[one.url()], "");
    for _ in 0..3 {
        get(&gateway).await.is("good");
    }
    assert_eq!(one.connections(), 3);
}

#[tokio::test]
async fn connections_outlive_a_new_document_while_their_endpoint_stays() {
    let (one, two) = (Upstream::named("one").await, Upstream::named("two").await);
    let gateway = gateway(&[one.url()], "");
    get(&gateway).await.is("one");
    gateway.swap(&document(&endpoints(&[one.url()], "timeouts: { first_byte: 9s }")));
    get(&gateway).await.is("one");
    assert_eq!(one.connections(), 1, "the same connection");
    gateway.swap(&document(&endpoints(&[two.url()], "")));
    get(&gateway).await.is("two");
    one.until(|upstream| upstream.left() == 1).await;
}

#[tokio::test]
async fn a_request_under_way_ends_by_the_document_it_began_with() {
    let until = std::sync::Arc::new(tokio::sync::Notify::new());
    let held = until.clone();
    let one = Upstream::start(move |_, _| match answer(200, "old") {
        Act::Say(bytes) => Act::Hold(held.clone(), bytes),
        act => act,
    })
    .await;
    let two = Upstream::named("new").await;
    let gateway = gateway(&[one.url()], "");
    let asked = async {
        get(&gateway).await.is("old");
    };
    let swapped = async {
        one.read(1).await;
        gateway.swap(&document(&endpoints(&[two.url()], "")));
        get(&gateway).await.is("new");
        until.notify_one();
    };
    tokio::join!(asked, swapped);
}

#[tokio::test]
async fn names_are_looked_up_and_each_address_is_an_endpoint() {
    let one = Upstream::named("by name").await;
    let gateway = gateway(&[format!("http://localhost:{}", one.port)], "");
    get(&gateway).await.is("by name");
    let endpoints = &gateway.handle.upstreams()[0].endpoints;
    let address = format!("127.0.0.1:{}", one.port);
    assert!(
        endpoints.iter().any(|endpoint| endpoint.address.as_deref() == Some(&address)),
        "{endpoints:?}"
    );
}

#[tokio::test]
async fn a_name_nobody_knows() {
    // A name server that answers nothing: the lookup fails whatever the machine's own would say.
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = silent.local_addr().unwrap();
    let settings = format!("dns: {{ servers: ['{server}'] }}\ntimeouts: {{ connect: 50ms }}");
    let gateway = gateway(&["http://no.such.name.invalid:80".into()], &settings);
    get(&gateway).await.refuses(502, "name_not_resolved");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = [0; 4096];
            while stream.read(&mut read).await.is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nunix").await;
            }
        }
    });
    let gateway = gateway(&[format!("unix:{}", path.display())], "");
    get(&gateway).await.is("unix");
    get(&gateway).await.is("unix");
}
