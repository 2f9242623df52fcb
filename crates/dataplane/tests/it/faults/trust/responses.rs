//! D26–D29: what goes back to clients.

use config::Memory;
use testkit::attack::oracle::{Oracle, Seen, answer_to};
use testkit::attack::raw::Answer;

use super::super::contract::{Bench, DOCUMENT};

async fn get(bench: &Bench, target: &str, lines: &str) -> Answer {
    let bytes = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n");
    bench.answers(bytes.as_bytes(), 1).await.remove(0)
}

/// What callers write into header fields by way of templates ends no line: escapes stay escapes.
/// Seen to fail: with `set_path` letting escaped control characters in; they would still be escapes
/// in the field, and `Headers::append` takes no control character, which are the other defences.
#[tokio::test]
async fn fa_D26_templates_end_no_line() {
    let document = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, routes: [ { match: { path: '/t/{id}' }, policies: [ { header: {
           request: { set: { X-Id: '{id}' } }, response: { set: { X-Back: 'is {id}' } } } } ] } ] }",
    );
    let bench = Bench::new(&document).await;
    for (id, shown) in [
        ("a%20b", "a%20b"),
        ("a%22b", "a%22b"),
        ("a%E2%80%A8b", "a%E2%80%A8b"),
        ("a:b;c=d", "a:b;c=d"),
        ("%25%30%64%25%30%61X:y", "%250d%250aX:y"),
    ] {
        let answer = get(&bench, &format!("/t/{id}"), "").await;
        assert_eq!(answer.field("x-back"), Some(&*format!("is {shown}")), "{id}");
        assert_eq!(answer.field("x"), None);
        let seen = bench.oracle.take();
        assert_eq!(seen[0].all("x-id"), [shown], "{id}");
    }
    for id in ["a%0d%0aX:y", "a%0aX:y", "a%00b", "a%0db"] {
        assert_eq!(get(&bench, &format!("/t/{id}"), "").await.status, 400, "{id}");
    }
    assert_eq!(bench.oracle.take(), []);
    assert_eq!(bench.oracle.wrong(), [""; 0]);
}

/// Redirects lead to the host that was asked for or that is configured, whatever the path or the
/// client's fields look like.
/// Seen to fail: with `is_safe` always true the path of a parameter starts with two slashes.
#[tokio::test]
async fn fa_D27_redirects_lead_to_the_own_host() {
    let document = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:0' } ]
apis:
  - name: here
    hosts: [ a.test ]
    routes:
      - { match: { path: '/to/{rest*}' }, redirect: { path: '/{rest}', status: 302 } }
      - { match: { path: { prefix: /s } }, redirect: { scheme: https, status: 302 } }
";
    let bench = Bench::new(document).await;
    let lies = "X-Forwarded-Host: evil.test\r\nX-Forwarded-Prefix: //evil.test\r\n\
        Forwarded: host=evil.test\r\nX-Forwarded-Proto: javascript\r\n";
    for (target, status, location) in [
        ("/to/a", 302, "http://a.test/a"),
        ("/to//evil.test/x", 302, "http://a.test/evil.test/x"),
        ("/to/%2e%2e//evil.test", 404, ""),
        ("//evil.test/s", 404, ""),
        ("/s//evil.test", 302, "https://a.test/s/evil.test"),
        ("/s/\\evil.test", 400, ""),
        ("/to/\\evil.test", 400, ""),
        ("/to/%5cevil.test", 400, ""),
        ("/to/@evil.test", 302, "http://a.test/@evil.test"),
        ("/s?//evil.test", 302, "https://a.test/s?//evil.test"),
    ] {
        let answer = get(&bench, target, lies).await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert_eq!(answer.field("location").unwrap_or_default(), location, "{target}");
    }
    let kept = document.replace("bind:", "paths: { double_slash: keep }, bind:");
    let bench = Bench::new(&kept).await;
    assert_eq!(get(&bench, "/to//evil.test", lies).await.status, 400, "kept slashes at the start");
}

/// Fields of the upstream's connection end here; cookies and `Server` are its own.
/// Seen to fail: with `Fields::take` keeping the fields of the connection and `named` ignored.
#[tokio::test]
async fn fa_D28_fields_of_the_upstreams_connection() {
    let lines = "Connection: keep-alive, X-Inner\r\nKeep-Alive: timeout=5\r\nX-Inner: 1\r\n\
        Proxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: X-Sum\r\nServer: inner/1.0\r\n\
        Set-Cookie: a=b; Domain=test\r\nSet-Cookie: c=d; Domain=a.test; Secure\r\nX-Kept: 1\r\n";
    let oracle =
        Oracle::answering(move |seen: &Seen| answer_to(seen, "200 OK", lines, b"ok").into());
    let bench = Bench::before(oracle.await, DOCUMENT, Memory::default()).await;
    let answer = get(&bench, "/a", "").await;
    for gone in ["connection", "keep-alive", "x-inner", "proxy-connection", "te", "trailer"] {
        assert_eq!(answer.all(gone), [""; 0], "{gone}");
    }
    assert_eq!(answer.all("set-cookie"), ["a=b; Domain=test", "c=d; Domain=a.test; Secure"]);
    assert_eq!(answer.field("server"), Some("inner/1.0"));
    assert_eq!(answer.field("x-kept"), Some("1"));
}

/// Orders to gateways are not obeyed and not passed on; neither is what leads clients around this
/// one. Interim answers are no way around that.
/// Seen to fail: with `names::is_control` always false.
#[tokio::test]
async fn fa_D29_orders_to_gateways() {
    let names = [
        "X-Accel-Redirect",
        "X-Accel-Buffering",
        "X-Accel-Limit-Rate",
        "x-envoy-upstream-rq-timeout-ms",
        "X-Sendfile",
        "X-Lighttpd-Send-File",
        "Alt-Svc",
        "Early-Data",
        "X-Gateward-Application",
    ];
    let lines: String = names.iter().map(|name| format!("{name}: /etc/passwd\r\n")).collect();
    let oracle = Oracle::answering(move |seen: &Seen| {
        let mut bytes =
            format!("HTTP/1.1 103 Early Hints\r\n{lines}Link: </a>\r\n\r\n").into_bytes();
        bytes.extend_from_slice(&answer_to(seen, "200 OK", &lines, b"ok"));
        bytes.into()
    });
    let bench = Bench::before(oracle.await, DOCUMENT, Memory::default()).await;
    let answer = get(&bench, "/a", "").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    for name in names {
        assert_eq!(answer.all(&name.to_ascii_lowercase()), [""; 0], "{name}");
    }
    let mut stream = testkit::attack::raw::connect(bench.address).await;
    let bytes = b"GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await.expect("it is taken");
    let mut all = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut all).await.expect("answers");
    assert!(all.starts_with("HTTP/1.1 103") && all.contains("Link: </a>"), "{all}");
    assert!(!all.contains("passwd"), "{all}");
}
