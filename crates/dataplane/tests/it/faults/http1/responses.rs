//! A32–A33: answers of upstreams that could be read in two ways, or that break off.

use config::Memory;
use testkit::attack::oracle::{Oracle, Reply, Seen, answer_to};
use testkit::attack::raw::{self, End, Until};

use super::super::contract::{Bench, DOCUMENT};
use super::super::trust::wire::{By, get, told};
use super::request;

/// Before an origin that answers `/bad…` with one of `answers`, by its number, and others well.
async fn before(answers: &'static [&'static str], one_by_one: bool, close: bool) -> Bench {
    let oracle = Oracle::answering(move |seen: &Seen| {
        let bad = seen.target.strip_prefix("/bad").and_then(|number| number.parse::<usize>().ok());
        match bad {
            Some(number) => Reply { bytes: answers[number].as_bytes().to_vec(), one_by_one, close },
            None => answer_to(seen, "200 OK", "", seen.target.as_bytes()).into(),
        }
    });
    // So many bad answers would open the breaker.
    let settings = "'http://@UP@' ], retry: { attempts: 0 }, breaker: { failure_percent: 0 }";
    let document = DOCUMENT.replace("'http://@UP@' ]", settings);
    Bench::before(oracle.await, &document, Memory::default()).await
}

/// The next request gets its own answer, by another connection to the origin than the bad one came
/// by.
async fn next_is_clean(bench: &Bench, what: &str) {
    let bad = bench.oracle.take().last().expect("the bad one").connection;
    let target = "/next";
    let answers = bench.answers(&request(&format!("GET {target}"), "", ""), 1).await;
    assert_eq!((answers[0].status, answers[0].text().as_str()), (200, target), "{what}");
    let next = bench.oracle.take().last().expect("the next one").connection;
    assert_ne!(next, bad, "{what}: the connection was used again");
}

/// Answers of an upstream whose head can't be read, or whose framing can be read in two ways: 502,
/// and the connection to it ends.
/// Seen to fail: with `head::take_response` taking both framings and HTTP/1.0 with chunks,
/// `Fields::take` taking the last length, `INTERIM_MAX` at 10,000, and `EndFinder` taking LF; the
/// rest is refused by httparse.
#[tokio::test]
async fn fa_A32_a_answers_that_can_not_be_read() {
    static BAD: &[&str] = &[
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nno!",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nno",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nno",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\nX: y\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\n: v\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.10 200 OK\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        "hello, this is no status line\r\n\r\n",
        "no",
        "\r\n\r\n",
    ];
    for one_by_one in [false, true] {
        let bench = before(BAD, one_by_one, true).await;
        for (number, answer) in BAD.iter().enumerate() {
            let what = answer.escape_debug().to_string();
            let bytes = request(&format!("GET /bad{number}"), "", "");
            let answers = bench.answers(&bytes, 1).await;
            let code = answers[0].code().unwrap_or_default();
            // What ends within its head was broken off, whatever it would have become.
            let wanted = if *answer == "no" { "upstream_reset" } else { "upstream_malformed" };
            assert_eq!((answers[0].status, code.as_str()), (502, wanted), "{what}");
            next_is_clean(&bench, &what).await;
        }
    }
}

/// A thousand interim answers are no answer.
/// Seen to fail: with `INTERIM_MAX` at 10,000.
#[tokio::test]
async fn fa_A32_b_interim_answers_without_end() {
    let oracle = Oracle::answering(|seen: &Seen| {
        if seen.target != "/bad" {
            return answer_to(seen, "200 OK", "", seen.target.as_bytes()).into();
        }
        let mut bytes = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(1000);
        bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
        bytes.into()
    });
    let bench = Bench::before(oracle.await, DOCUMENT, Memory::default()).await;
    let answers = bench.answers(&request("GET /bad", "", ""), 1).await;
    assert_eq!(answers[0].code().as_deref(), Some("upstream_malformed"));
    next_is_clean(&bench, "interim").await;
}

/// What follows an answer, or stands behind one that has no body, belongs to nobody: the answer is
/// delivered, and what follows is never the next one's.
/// Seen to fail: with `ResponseBody::done` not asking whether something was read beyond the answer.
#[tokio::test]
async fn fa_A32_c_bytes_behind_an_answer() {
    const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    static BAD: &[&str] = &[
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 204 -\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 304 -\r\nContent-Length: 44\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 204 -\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        "HTTP/1.1 205 -\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ];
    assert!(BAD[0].ends_with(POISON));
    // At once: what comes later than the next request is sent can't be told from its answer.
    let bench = before(BAD, false, false).await;
    for (number, answer) in BAD.iter().enumerate() {
        let what = answer.escape_debug().to_string();
        let bytes = request(&format!("GET /bad{number}"), "", "");
        // A request behind it on the same connection is the one that would be poisoned.
        let next = request("GET /mine", "", "");
        let all = raw::exchange(bench.address, &[bytes, next].concat(), Until::Answers(2)).await;
        let status: u16 = answer[9..12].parse().expect("a status");
        assert_eq!(all.answers[0].status, status, "{what}");
        let body = if status == 200 { "ok" } else { "" };
        assert_eq!(all.answers[0].text(), body, "{what}");
        assert_eq!(all.answers[1].text(), "/mine", "{what}: {all:?}");
        let seen = bench.oracle.take();
        assert_ne!(seen[0].connection, seen[1].connection, "{what}: used again");
    }
}

/// A bad chunk in an answer that has begun: the client sees that it broke off, and the connection
/// to the origin ends. Seen to fail: with `BodyReader::poll` giving the end of the body in place of
/// an error.
#[tokio::test]
async fn fa_A32_d_a_bad_chunk_in_an_answer() {
    static BAD: &[&str] = &[
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0x1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n+1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok!\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nFFFFFFFFFFFFFFFFF\r\na",
    ];
    breaks_off(BAD, false).await;
}

/// An answer that is shorter than it says: the client sees that it broke off, never a clean end.
/// Seen to fail: with `BodyReader::poll` giving the end of the body when the connection ends.
#[tokio::test]
async fn fa_A33_a_answers_that_break_off() {
    static BAD: &[&str] = &[
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
    ];
    breaks_off(BAD, true).await;
}

async fn breaks_off(bad: &'static [&'static str], close: bool) {
    for one_by_one in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("access.log");
        let oracle = Oracle::answering(move |seen: &Seen| {
            match seen.target.strip_prefix("/bad").and_then(|number| number.parse::<usize>().ok()) {
                Some(number) => Reply { bytes: bad[number].as_bytes().to_vec(), one_by_one, close },
                None => answer_to(seen, "200 OK", "", seen.target.as_bytes()).into(),
            }
        });
        let document =
            DOCUMENT.replace("'http://@UP@' ]", "'http://@UP@' ], retry: { attempts: 0 }");
        let document = format!(
            "{document}policies: [ access_log: {{ to: {{ file: '{}' }} }} ]\n",
            log.display()
        );
        let bench = Bench::before(oracle.await, &document, Memory::default()).await;
        for (number, answer) in bad.iter().enumerate() {
            let what = answer.escape_debug().to_string();
            let bytes = request(&format!("GET /bad{number}"), "", "");
            let all = raw::exchange(bench.address, &bytes, Until::End).await;
            assert_ne!(all.end, End::Open, "{what}");
            match &all.answers[..] {
                // It broke off before anything was passed on.
                [one] => assert_eq!(one.status, 502, "{what}: a clean answer: {all:?}"),
                [] => assert!(!all.left.ends_with(b"0\r\n\r\n"), "{what}: a clean end: {all:?}"),
                _ => panic!("{what}: {all:?}"),
            }
            let found = told(&bench, By::Http2, get(&format!("/bad{number}"))).await;
            let broken = ["reset", "upstream_reset", "upstream_malformed"].contains(&&*found);
            assert!(broken, "{what}: over HTTP/2: {found}");
            next_is_clean(&bench, &what).await;
        }
        bench.handle.observer().flush(raw::PATIENCE);
        let text = std::fs::read_to_string(&log).expect("a log");
        let broken = text.lines().filter(|line| line.contains("\"/bad"));
        let tells = |line: &&str| line.contains("\"complete\":false") || line.contains("\"code\":");
        assert_eq!(broken.clone().count(), 2 * bad.len(), "{text}");
        assert!(broken.clone().all(|line| tells(&line)), "{text}");
    }
}

/// Answers that end with their connection are whole, and said to be: in chunks to clients of
/// HTTP/1.1, by the connection's end to those of 1.0.
/// Seen to fail: with `head::take_response` giving `Framing::None` to answers that say no length.
#[tokio::test]
async fn fa_A33_b_answers_that_end_with_their_connection() {
    static GOOD: &[&str] = &["HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello"];
    for one_by_one in [false, true] {
        let bench = before(GOOD, one_by_one, true).await;
        for (number, answer) in GOOD.iter().enumerate() {
            let bytes = request(&format!("GET /bad{number}"), "", "");
            let answers = bench.answers(&bytes, 1).await;
            assert_eq!(answers[0].text(), "hello", "{answer}");
            assert_eq!(answers[0].field("transfer-encoding"), Some("chunked"));
            let old = format!("GET /bad{number} HTTP/1.0\r\nHost: a.test\r\n\r\n");
            let told = raw::exchange(bench.address, old.as_bytes(), Until::End).await;
            assert_eq!(told.end, End::Closed);
            assert_eq!(told.answers[0].text(), "hello", "{answer}");
            next_is_clean(&bench, answer).await;
        }
    }
}
