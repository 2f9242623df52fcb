//! A23–A26, A31: bodies nobody asked for, nobody wants, or nobody waits for; and what comes behind
//! them.

use base::Clock;
use config::Memory;
use testkit::attack::oracle::{Oracle, answer_to};
use testkit::attack::raw::{self, End, Until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::contract::{Bench, DOCUMENT, closed, told};
use super::{EVIL, request};

/// Bodies of methods that mostly have none are read and passed on, framed; what follows them is the
/// next request. TRACE is not carried.
/// Seen to fail: with `head::request_framing` giving bodies to POST, PUT and PATCH alone.
#[tokio::test]
async fn fa_A23_bodies_of_methods_that_have_none() {
    let bench = Bench::new(DOCUMENT).await;
    for method in ["GET", "DELETE", "OPTIONS", "PURGE"] {
        let next = String::from_utf8_lossy(&request("GET /next", "", "")).into_owned();
        let body = format!("GET /evil {next}");
        let body = body.get(..9).unwrap_or_default();
        let bytes =
            request(&format!("{method} /p"), "Content-Length: 9\r\n", &format!("{body}{next}"));
        bench.passes(method, &bytes, &[&format!("{method} /p {body}"), "GET /next"]).await;
    }
    let next = String::from_utf8_lossy(&request("GET /next", "", "")).into_owned();
    let bytes = request("HEAD /p", "Content-Length: 10\r\n", &format!("0123456789{next}"));
    let stream = raw::connect(bench.address).await;
    let all = raw::tell(stream, &[&bytes], &[true], Until::Answers(2)).await;
    assert_eq!(all.answers.len(), 2, "{all:?}");
    let seen: Vec<_> = bench.oracle.take().iter().map(told).collect();
    assert_eq!(seen, ["HEAD /p 0123456789", "GET /next"]);
    let bytes = request("TRACE /p", "Content-Length: 5\r\n", &format!("hello{EVIL}"));
    bench.refuses("TRACE", &bytes, closed(501, "method_unsupported")).await;
}

/// Answers given here before the body was read: the body is never a request. A short one is read
/// and thrown away, and the connection goes on; after a long one, or one that does not come, the
/// connection ends and says so.
/// Seen to fail: with `Server::drain` not reading but saying that all was read.
#[tokio::test]
async fn fa_A24_answers_before_the_body_was_read() {
    let document = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:0' } ]
upstreams: [ { name: up, endpoints: [ 'http://@UP@' ] } ]
apis:
  - { name: echo, hosts: [ a.test ], upstream: up }
  - { name: denied, hosts: [ a.test ], path: /denied, upstream: up,
      policies: [ { ip: { allow: [ 192.0.2.0/24 ] } } ] }
  - { name: keyed, hosts: [ a.test ], path: /keyed, upstream: up, policies: [ { api_key: {} } ] }
  - { name: rated, hosts: [ a.test ], path: /rated, upstream: up,
      policies: [ { rate: { limit: 1, window: 1h, by: none } } ] }
  - { name: fixed, hosts: [ a.test ], path: /fixed, routes: [ { respond: { body: hello } } ] }
  - { name: small, hosts: [ a.test ], path: /small, upstream: up,
      policies: [ { body_size: { max: 10 } } ] }
applications: [ { name: shop, keys: [ { sha256: \
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 } ] } ]
";
    let bench = Bench::new(document).await;
    bench.answers(&request("GET /rated", "", ""), 1).await;
    bench.oracle.take();
    let good = String::from_utf8_lossy(&request("GET /good", "", "")).into_owned();
    for (path, status) in
        [("/denied", 403), ("/keyed", 401), ("/rated", 429), ("/fixed", 200), ("/small", 413)]
    {
        let body = EVIL.repeat(3);
        let head = format!("Content-Length: {}\r\n", body.len());
        let bytes = request(&format!("POST {path}"), &head, &format!("{body}{good}"));
        let all = raw::exchange(bench.address, &bytes, Until::Answers(2)).await;
        let statuses: Vec<_> = all.answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [status, 200], "{path}: {all:?}");
        let seen: Vec<_> = bench.oracle.take().iter().map(told).collect();
        assert_eq!(seen, ["GET /good"], "{path}");

        let half = request(&format!("POST {path}"), &head, EVIL);
        let long = request(&format!("POST {path}"), "Content-Length: 1000000\r\n", EVIL);
        for bytes in [[&long[..], EVIL.as_bytes()].concat(), long, half] {
            let mut stream = raw::connect(bench.address).await;
            stream.write_all(&bytes).await.expect("it is taken");
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.expect("an answer");
            assert_eq!(first, *format!("HTTP/1.1 {status}").as_bytes(), "{path}");
            // The client's end is the last thing that could turn what it sent into a request.
            stream.shutdown().await.expect("it is open");
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            let answers = String::from_utf8_lossy(&rest).matches("HTTP/1.1 ").count();
            assert_eq!(answers, 0, "{path}: {}", rest.escape_ascii());
        }
    }
    assert_eq!(bench.oracle.take(), []);
}

/// An origin that answers in the middle of the upload: the answer is delivered, the connection to
/// it is not used again, and the client's only if the body is over.
/// Seen to fail: with `ResponseBody::done` not asking whether the request was written to its end.
#[tokio::test]
async fn fa_A25_an_answer_in_the_middle_of_the_upload() {
    for closes in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = tokio::spawn(async move {
            let mut heads = Vec::new();
            for connection in 0..2 {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut bytes = Vec::new();
                while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
                    stream.read_buf(&mut bytes).await.expect("bytes");
                }
                heads.push(String::from_utf8_lossy(&bytes).lines().next().unwrap().to_owned());
                let answer = if connection == 0 { "413 -" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nno");
                stream.write_all(answer.as_bytes()).await.expect("it is taken");
                if !closes {
                    // It goes on reading, as if there were more to say.
                    tokio::spawn(async move {
                        let mut piece = [0; 4096];
                        while stream.read(&mut piece).await.is_ok_and(|length| length > 0) {}
                    });
                }
            }
            heads
        });
        let document = DOCUMENT.replace("@UP@", &address.to_string());
        let bench = Bench::new(&document).await;
        let bytes = request("POST /p", "Content-Length: 1000000\r\n", &EVIL.repeat(100));
        let mut stream = raw::connect(bench.address).await;
        stream.write_all(&bytes).await.expect("it is taken");
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(answer, b"HTTP/1.1 413", "the origin's own answer");
        stream.shutdown().await.expect("it is open");
        let _ = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("connection: close"), "{text}");
        let answers = bench.answers(&request("GET /next", "", ""), 1).await;
        assert_eq!(answers[0].status, 200);
        let heads = served.await.expect("two connections");
        assert_eq!(heads, ["POST /p HTTP/1.1", "GET /next HTTP/1.1"], "closes: {closes}");
    }
}

/// `Expect: 100-continue`: the gateway says 100 itself, and only when somebody wants the body;
/// other expectations are refused with 417; the origin never sees `Expect`. Seen to fail: with
/// `Known::Expect` left among the fields by `Fields::take` and `is_replaced`, and with
/// `take_request` taking any expectation.
#[tokio::test]
async fn fa_A26_expectations() {
    let document = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up }, { name: denied, hosts: [ a.test ], path: /denied, upstream: up,
           policies: [ { ip: { allow: [ 192.0.2.0/24 ] } } ] }",
    );
    let oracle = Oracle::answering(|seen| {
        let status = if seen.target == "/no" { "403 Forbidden" } else { "200 OK" };
        answer_to(seen, status, "", &seen.body).into()
    });
    let bench = Bench::before(oracle.await, &document, Memory::default()).await;
    let expecting = "Expect: 100-continue\r\nContent-Length: 4\r\n";
    for (path, ask, status) in [("/p", true, 200), ("/denied", false, 403), ("/no", true, 403)] {
        let mut stream = raw::connect(bench.address).await;
        let head = request(&format!("POST {path}"), expecting, "");
        stream.write_all(&head).await.expect("it is taken");
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.expect("an answer");
        let status = if ask { 100 } else { status };
        assert_eq!(first, *format!("HTTP/1.1 {status}").as_bytes(), "{path}");
    }
    for (path, status) in [("/p", 200), ("/no", 403)] {
        // Clients need not wait (RFC 9110 §10.1.1).
        let bytes = request(&format!("POST {path}"), expecting, "good");
        let good = request("GET /p", "", "");
        let all = raw::exchange(bench.address, &[bytes, good].concat(), Until::Answers(2)).await;
        let statuses: Vec<_> = all.answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [status, 200], "{all:?}");
    }
    let seen = bench.oracle.take();
    assert!(seen.iter().all(|seen| seen.all("expect").is_empty()), "{seen:?}");
    for expectation in ["100-continuee", "100", "200-ok", "100-continue, x"] {
        let lines = format!("Expect: {expectation}\r\nContent-Length: 4\r\n");
        let bytes = request("POST /p", &lines, &format!("good{EVIL}"));
        bench.refuses(expectation, &bytes, closed(417, "expectation_failed")).await;
    }
}

/// Trailers of requests go nowhere and are counted: neither those that say who or where from, under
/// any spelling, nor those about the message, nor any other.
/// Seen to fail: with `Replay::guarded` letting all pass.
#[tokio::test]
async fn fa_A31_trailers_of_requests() {
    let bench = Bench::new(DOCUMENT).await;
    let names = [
        "X-Forwarded-For",
        "X_Auth_User",
        "X-Gateward-Application",
        "Authorization",
        "Cookie",
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "X-Mine",
    ];
    for name in names {
        let body = format!("4\r\ngood\r\n0\r\n{name}: canary-4711\r\n\r\n");
        let bytes = super::chunked(&body);
        bench.passes(name, &bytes, &["POST /p good"]).await;
        bench.answers(&bytes, 1).await;
        let seen = bench.oracle.take();
        assert_eq!(seen[0].trailers, [], "{name}");
        assert!(!String::from_utf8_lossy(&seen[0].raw).contains("canary"), "{name}");
    }
    let counted = bench.metric("gateward_request_fields_dropped_total{kind=\"trailer\"}").await;
    assert!(counted > 0, "they are counted");
}

/// A body that stops: nothing behind it is a request, and the origin never sees its end.
/// Seen to fail: with `Wire::poll_body` giving the end of the body when its time is over.
#[tokio::test]
async fn fa_A24_b_a_body_that_stops() {
    let document = DOCUMENT
        .replace("'127.0.0.1:0' }", "'127.0.0.1:0', limits: { body_idle_timeout: 200ms } }");
    let bench = Bench::by(Clock::system(), Oracle::start().await, &document, Memory::default());
    let bytes = request("POST /p", "Content-Length: 1000\r\n", EVIL);
    let all = raw::exchange(bench.address, &bytes, Until::End).await;
    let codes: Vec<_> = all.answers.iter().map(raw::Answer::code).collect();
    assert_eq!(codes, [Some("request_timeout".to_owned())], "{all:?}");
    assert_eq!(all.end, End::Closed);
    assert_eq!(bench.oracle.take(), []);
}
