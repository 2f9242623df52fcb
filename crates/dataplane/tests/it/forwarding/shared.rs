//! Connections shared by many requests, and what gRPC needs of an upstream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::balance::wait_for;
use super::{gateway, get, send, send_with};

/// An HTTP/2 server by prior knowledge.
struct Server {
    urls: [String; 1],
    connections: Arc<AtomicUsize>,
}

type Heard = Request<h2::RecvStream>;

impl Server {
    /// Starts one that lets `act` answer each request; a connection says GOAWAY after `goaway`
    /// requests.
    async fn start<F>(
        goaway: usize,
        act: fn(Heard, SendResponse<Bytes>, Arc<Semaphore>) -> F,
        leave: &Arc<Semaphore>,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let urls = [format!("http://{}", listener.local_addr().unwrap())];
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, leave) = (connections.clone(), leave.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let leave = leave.clone();
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    let mut requests = 0;
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(act(request, respond, leave.clone()));
                        requests += 1;
                        if requests == goaway {
                            connection.graceful_shutdown();
                        }
                    }
                });
            }
        });
        Self { urls, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn answer(_: Heard, mut respond: SendResponse<Bytes>, leave: Arc<Semaphore>) {
    let permit = leave.acquire().await.unwrap();
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(b"two"), true).unwrap();
    drop(permit);
}

fn open() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
}

#[tokio::test]
async fn one_connection_carries_many_requests_at_once_and_more_are_made_when_it_is_full() {
    for (streams, connections) in [(100, 1), (5, 2)] {
        let leave = Arc::new(Semaphore::new(0));
        let server = Server::start(0, answer, &leave).await;
        let settings = format!("protocol: http2\npool: {{ streams: {streams} }}");
        let gateway = gateway(&server.urls, &settings);
        let asked = async {
            let ten = [(); 10].map(|()| async { get(&gateway).await.is("two") });
            futures(ten).await;
        };
        let let_go = async {
            wait_for(&gateway, |status| status.endpoints[0].active == 10).await;
            leave.add_permits(10);
        };
        tokio::join!(asked, let_go);
        assert_eq!(server.connections(), connections, "{streams} streams each");
        // They stay, and are used again.
        leave.add_permits(1);
        get(&gateway).await.is("two");
        assert_eq!(server.connections(), connections);
    }
}

/// Waits for all of them at once.
async fn futures<F: Future<Output = ()>, const N: usize>(all: [F; N]) {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), false)).collect();
    std::future::poll_fn(|cx| {
        for (one, done) in all.iter_mut().filter(|(_, done)| !done) {
            *done = one.as_mut().poll(cx).is_ready();
        }
        match all.iter().all(|(_, done)| *done) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_says_goaway_fails_nobody() {
    let server = Server::start(3, answer, &open()).await;
    let settings = "protocol: http2\nretry: { attempts: 0 }";
    let gateway = gateway(&server.urls, settings);
    for _ in 0..10 {
        send(&gateway, "POST", "x").await.is("two");
    }
    assert!(server.connections() >= 3, "{}", server.connections());
}

async fn grpc(request: Heard, mut respond: SendResponse<Bytes>, _: Arc<Semaphore>) {
    let (head, mut body) = request.into_parts();
    let field = |name: &str| {
        head.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let seen = format!("{} te={} timeout={}", head.uri.path(), field("te"), field("grpc-timeout"));
    while let Some(Ok(_)) = body.data().await {}
    let response = Response::builder().header("content-type", "application/grpc");
    let response = response.header("x-seen", seen).body(()).unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    // HealthCheckResponse { status: SERVING }
    stream.send_data(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
}

#[tokio::test]
async fn a_grpc_call_goes_by_http2_with_the_time_its_caller_has_left() {
    let server = Server::start(0, grpc, &open()).await;
    // Nothing says that it speaks HTTP/2: gRPC does.
    let gateway = gateway(&server.urls, "");
    let lines = "Content-Type: application/grpc\r\nTE: trailers\r\ngrpc-timeout: 5S\r\n";
    let answer = send_with(&gateway, "POST", "/shop.Orders/Get", lines, "\0\0\0\0\0").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let seen = answer.text.lines().find_map(|line| line.strip_prefix("x-seen: ")).unwrap();
    let (start, left) = seen.rsplit_once('=').unwrap();
    assert_eq!(start, "/shop.Orders/Get te=trailers timeout");
    let (digits, unit) = left.split_at(left.len() - 1);
    let nanos = match unit {
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        _ => 1,
    } * digits.parse::<u64>().unwrap();
    assert!(nanos < 5_000_000_000, "it shrinks: {left}");
}

#[tokio::test]
async fn a_grpc_call_whose_time_is_over_is_not_sent() {
    let server = Server::start(0, grpc, &open()).await;
    let gateway = gateway(&server.urls, "");
    let lines = "Content-Type: application/grpc\r\nTE: trailers\r\ngrpc-timeout: 1n\r\n";
    let answer = send_with(&gateway, "POST", "/shop.Orders/Get", lines, "\0\0\0\0\0").await;
    assert!(answer.text.to_ascii_lowercase().contains("grpc-status: 4"), "{}", answer.text);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn grpc_services_are_asked_for_their_health() {
    let server = Server::start(0, grpc, &open()).await;
    let urls = [server.urls[0].clone(), super::dead()];
    let settings = "health: { kind: grpc, interval: 20ms }";
    let gateway = gateway(&urls, settings);
    wait_for(&gateway, |status| !status.endpoints[1].healthy).await;
    assert!(gateway.handle.upstreams()[0].endpoints[0].healthy);
}
