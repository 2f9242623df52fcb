//! Messages as large as they may be, and a byte larger.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request};

use super::slow::told;
use crate::memory::{Bench, DOCUMENT};

/// Bytes of a head, fields of a head, bytes of a target, as they hold where nothing is written.
const HEAD: usize = 32 << 10;
const FIELDS: usize = 100;
const TARGET: usize = 8 << 10;

/// The status and code of a GET with this target and these fields over HTTP/1.1.
async fn http1(target: &str, fields: &[(String, String)]) -> String {
    let bench = Bench::new(DOCUMENT, 64 << 10);
    let mut client = bench.client();
    client.send(&head(target, fields)).await;
    told(&mut client).await.told().split(' ').nth(1).unwrap_or_default().trim().to_owned()
}

fn head(target: &str, fields: &[(String, String)]) -> String {
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let host = host(target);
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")
}

/// The host that the path is answered at.
fn host(target: &str) -> &'static str {
    if target.starts_with("/fixed") { "b.test" } else { "a.test" }
}

/// The same over HTTP/2.
async fn http2(target: &str, fields: &[(String, String)]) -> String {
    let bench = Bench::new(DOCUMENT, 64 << 10);
    let (mut http2, connection) = h2::client::handshake(bench.client().stream).await.unwrap();
    tokio::task::spawn_local(connection);
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let mut request = Request::get(format!("http://{}{target}", host(target))).body(()).unwrap();
    *request.headers_mut() = headers;
    let (response, _) = http2.send_request(request, true).unwrap();
    response.await.unwrap().status().as_str().to_owned()
}

fn field(name: &str, bytes: usize) -> (String, String) {
    (name.to_owned(), "a".repeat(bytes))
}

/// A head of as many bytes, fields and bytes of target as may be is served; one more of any is
/// refused, with 431 or 414, by both versions. One large cookie is as good as many fields; every
/// crumb of a cookie is a field.
///
/// Seen to fail: with each of the bounds one larger (`header_bytes`, `header_count`, `TARGET_MAX`).
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G09_sizes_are_exact() {
    // What HTTP/2 counts: target, host, and name, value and four bytes for each field.
    let room = HEAD - "/fixed".len() - "a.test".len() - "cookie".len() - 4;
    let fields = |count: usize| vec![("b".to_owned(), "c".to_owned()); count];
    let long = |bytes: usize| format!("/fixed?{}", "a".repeat(bytes - "/fixed?".len()));
    let room1 = HEAD - head("/fixed", &[field("Cookie", 0)]).len();
    for (target, sent, expected) in [
        ("/fixed".to_owned(), vec![field("Cookie", room1)], "200"),
        ("/fixed".to_owned(), vec![field("Cookie", room1 + 1)], "431"),
        ("/fixed".to_owned(), fields(FIELDS - 1), "200"),
        ("/fixed".to_owned(), fields(FIELDS), "431"),
        (long(TARGET), vec![], "200"),
        (long(TARGET + 1), vec![], "414"),
    ] {
        assert_eq!(http1(&target, &sent).await, expected, "HTTP/1.1, {} fields", sent.len());
    }
    let crumbs = |count: usize| vec![field("cookie", 5); count];
    for (target, sent, expected) in [
        ("/fixed".to_owned(), vec![field("cookie", room)], "200"),
        ("/fixed".to_owned(), vec![field("cookie", room + 1)], "431"),
        ("/fixed".to_owned(), fields(FIELDS), "200"),
        ("/fixed".to_owned(), fields(FIELDS + 1), "431"),
        ("/fixed".to_owned(), crumbs(FIELDS + 1), "431"),
        (long(TARGET), vec![], "200"),
        (long(TARGET + 1), vec![], "414"),
    ] {
        assert_eq!(http2(&target, &sent).await, expected, "HTTP/2, {} fields", sent.len());
    }
}

/// As many fields with as long names as fit, all alike but for the end, are read and passed on:
/// what is quadratic in them is bounded by their number, and no table is keyed by what strangers
/// choose without a secret.
///
/// Seen to fail: with `header_count` one larger, what is too much is let through.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G10_many_long_names_are_passed_on_and_more_are_not() {
    let named = |count: usize| -> Vec<(String, String)> {
        let name = |n: usize| format!("{}{n:03}", "x".repeat(230));
        (0..count).map(|n| (name(n), format!("value-{n}"))).collect()
    };
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    let mut client = bench.client();
    client.send(&head("/x", &named(FIELDS - 1))).await;
    let mut upstream = bench.arrival().await;
    let seen = upstream.request().await;
    for (name, value) in named(FIELDS - 1) {
        assert!(seen.contains(&format!("{name}: {value}\r\n")), "{name}");
    }
    assert_eq!(http1("/fixed", &named(FIELDS)).await, "431");
    let parameters: Vec<String> = (0..500).map(|n| format!("a{n}=b")).collect();
    assert_eq!(http1(&format!("/fixed?{}", parameters.join("&")), &[]).await, "200");
}

/// A body that says it is too long is refused before a byte of it is asked for or anything is sent
/// upstream; one that turns out to be is cut where it is, and the upstream never sees its end.
///
/// Seen to fail: with `enforce::body_limit` always content.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G11_bodies_are_held_to_their_bound() {
    let limit = 64 << 10;
    let document = DOCUMENT.replace("bind:", "limits: { body_bytes: 64KiB }, bind:");
    let mut bench = Bench::new(&document, 1 << 20);
    let mut client = bench.client();
    let announced = |bytes: usize| {
        let expect = "Expect: 100-continue";
        format!("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: {bytes}\r\n{expect}\r\n\r\n")
    };
    client.send(&announced(limit + 1)).await;
    assert_eq!(told(&mut client).await.told(), "< 413 body_too_large close\n", "not asked for");
    let quiet = tokio::time::timeout(std::time::Duration::from_millis(1), bench.arrival()).await;
    assert!(quiet.is_err(), "nothing is sent upstream");

    let mut client = bench.client();
    client.send("POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    for _ in 0..16 {
        client.send(&chunk).await;
    }
    upstream.bytes(16 * chunk.len()).await;
    client.send("1\r\na\r\n0\r\n\r\n").await;
    assert_eq!(told(&mut client).await.told(), "< 413 body_too_large\n");
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut upstream.stream, &mut rest);
    let _ = tokio::time::timeout(super::slow::seconds(1000), read).await.expect("it is let go");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it must not look whole");
}

/// Without a line of configuration the bound is 10 MiB, to the byte, by both versions.
///
/// Seen to fail: with another `body_bytes` in `defaults.rs`.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G11_b_ten_mebibytes_and_not_one_more() {
    for (bytes, expected) in [(10 << 20, "200"), ((10 << 20) + 1, "413")] {
        let length = (String::from("Content-Length"), bytes.to_string());
        assert_eq!(http1_unread("/fixed", &length).await, expected);
        let bench = Bench::new(DOCUMENT, 64 << 10);
        let (mut http2, connection) = h2::client::handshake(bench.client().stream).await.unwrap();
        tokio::task::spawn_local(connection);
        let request = Request::post("http://b.test/fixed").header("content-length", bytes);
        let (response, _body) = http2.send_request(request.body(()).unwrap(), false).unwrap();
        assert_eq!(response.await.unwrap().status().as_str(), expected);
    }
}

/// The status of a POST whose body is announced and never sent.
async fn http1_unread(target: &str, length: &(String, String)) -> String {
    let bench = Bench::new(DOCUMENT, 64 << 10);
    let mut client = bench.client();
    client.send(&head(target, std::slice::from_ref(length)).replace("GET", "POST")).await;
    told(&mut client).await.status.to_string()
}

/// Requests sent ahead are read up to a bound while one is being answered, and wait beyond it in
/// the client's hands.
///
/// Seen to fail: with `PIPELINE_MAX` at 16 MiB.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_G17_requests_sent_ahead_are_read_to_a_bound() {
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    let mut client = bench.client_of(1024);
    client.send("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    let ahead = head("/fixed", &[]);
    let mut taken = 0;
    let patience = std::time::Duration::from_millis(1);
    while let Ok(written) = tokio::time::timeout(
        patience,
        tokio::io::AsyncWriteExt::write(&mut client.stream, ahead.as_bytes()),
    )
    .await
    {
        taken += written.expect("it is open");
        assert!(taken < 64 << 10, "it reads ahead without end");
    }
    assert!(taken > 8 << 10, "{taken}");
}
