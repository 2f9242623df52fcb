//! Floods of what is different each time, of lines, of connections that break off.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::clients::{Beside, Client, until};
use crate::memory::{Bench, DOCUMENT};
use crate::support::Gateway;

/// Paths, hosts, methods and agents nobody has heard of become no metric: the page has as many
/// lines after thousands of them as before.
///
/// Seen to fail: with the path as the label of requests that no route matches.
#[tokio::test]
async fn fa_G14_what_strangers_send_becomes_no_metric() {
    let gateway = Gateway::real(&super::clients::document("", ""));
    let beside = Beside::new(&gateway);
    let mut client = Client::new(&gateway).await;
    let names = |page: &str| -> Vec<String> {
        page.lines()
            .map(|line| line.rsplit_once(' ').map_or(line, |(name, _)| name).to_owned())
            .collect()
    };
    let round = async |client: &mut Client, round: usize| {
        for n in 0..500 {
            let unique = round * 500 + n;
            let (method, path) = match n % 3 {
                0 => (format!("M{unique}"), format!("/{unique}")),
                1 => ("GET".to_owned(), format!("/fixed/{unique}")),
                _ => ("GET".to_owned(), "/fixed".to_owned()),
            };
            client
                .send(&format!(
                    "{method} {path}?q={unique} HTTP/1.1\r\nHost: h{unique}.test\r\n\
                     User-Agent: a{unique}\r\nX-{unique}: b\r\n\r\n"
                ))
                .await;
            client.answer().await.expect("it is answered");
        }
    };
    round(&mut client, 0).await;
    let before = names(&beside.page("/metrics").await);
    for n in 1..8 {
        round(&mut client, n).await;
    }
    assert_eq!(names(&beside.page("/metrics").await), before);
}

/// A limiter asked for by ever new callers keeps a bounded table, and those who were there all the
/// time and over their limit stay over it.
///
/// Seen to fail: with a table that can't grow and gives the emptiest bucket's place away.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G15_a_flood_of_callers_frees_no_one_who_is_over_the_limit() {
    let document =
        DOCUMENT.replace("bind:", "client_address: { trusted: [0.0.0.0/0] }, bind:").replace(
            "path: /fixed,",
            "path: /fixed, policies: [ { rate: { limit: 3, window: 1h } } ],",
        );
    let bench = Bench::new(&document, 64 << 10);
    let mut client = bench.client();
    let ask = async |client: &mut crate::memory::Client, from: u32| {
        let from = std::net::Ipv4Addr::from(from);
        client
            .send(&format!(
                "GET /fixed HTTP/1.1\r\nHost: b.test\r\nX-Forwarded-For: {from}\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        if answer.closes() {
            *client = bench.client();
        }
        answer.status
    };
    let heavy = 0x0b00_0001;
    for _ in 0..3 {
        assert_eq!(ask(&mut client, heavy).await, 200);
    }
    for n in 0..20_000 {
        assert_eq!(ask(&mut client, 0x0c00_0000 + n).await, 200);
        if n % 500 == 0 {
            assert_eq!(ask(&mut client, heavy).await, 429, "after {n} others");
        }
    }
}

/// A log that nobody reads from any more holds up no request: lines are dropped and counted.
///
/// Seen to fail: with a shard of the log that has no bound.
#[tokio::test]
async fn fa_G16_a_log_that_takes_nothing_holds_up_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("log");
    let text = CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: the path is a string that ends in zero.
    assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
    // Opened, and never read from.
    let _reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).unwrap();
    let log = format!("policies: [ {{ access_log: {{ to: {{ file: '{}' }} }} }} ]", pipe.display());
    let gateway = Gateway::real(&format!("{}{log}\n", super::clients::document("", "")));
    let beside = Beside::new(&gateway);
    let mut client = Client::new(&gateway).await;
    let dropped = format!("gateward_log_lines_dropped_total{{destination=\"{}\"}}", pipe.display());
    let long = "x".repeat(4000);
    let mut asked = 0;
    while beside.metric(&dropped).await == 0.0 {
        for _ in 0..100 {
            client.send(&format!("GET /fixed?{long} HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
            assert_eq!(client.answer().await.expect("it is answered").status, 200);
        }
        asked += 100;
        assert!(asked < 9_000, "nothing is dropped, so it is kept without a bound");
    }
}

/// Clients that reset their connections in the middle of answers leave nothing behind: neither
/// connections nor requests at the upstream.
///
/// Seen to fail: with the response's body kept when its client is gone.
#[tokio::test]
async fn fa_G19_resets_in_the_middle_of_answers_leave_nothing_behind() {
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    tokio::spawn(endless(origin));
    let gateway = Gateway::real(&format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams: [ {{ name: up, endpoints: [ 'http://127.0.0.1:{port}' ], breaker: {{ connections: 2000 }} }} ]
apis: [ {{ name: all, upstream: up }} ]
"
    ));
    for _ in 0..5 {
        let mut clients = Vec::new();
        for _ in 0..100 {
            let mut client = Client::new(&gateway).await;
            client.send("GET /endless HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
            clients.push(client);
        }
        for mut client in clients {
            let mut some = [0; 4096];
            assert!(client.stream.read(&mut some).await.expect("it is answered") > 0);
            socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    until("all is let go", || {
        let upstreams = gateway.handle.upstreams();
        let held: u64 = upstreams.iter().map(|up| up.running + up.connections).sum();
        held + gateway.handle.overload().connections as u64 == 0
    })
    .await;
}

/// Answers without end.
async fn endless(origin: TcpListener) {
    while let Ok((mut stream, _)) = origin.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            let mut next = tokio::io::AsyncWriteExt::write_all(&mut stream, head).await;
            while next.is_ok() {
                next = tokio::io::AsyncWriteExt::write_all(&mut stream, &[b'x'; 16 << 10]).await;
            }
        });
    }
}
