//! Heads that are refused, and what the others become.

use base::Clock;

use super::frames::{self, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM};
use super::stub::serve;
use super::*;
use crate::codec::Client;

/// What comes of a head.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// `method target authority`, and the fields.
    Served(String),
    /// Refused with this code.
    Refused(&'static str),
    /// The stream was reset, with this error.
    Reset(u32),
    /// The connection ended, with this error.
    GoAway(u32),
}

/// PROTOCOL_ERROR.
const PROTOCOL: u32 = 1;

async fn outcome(head: Frame) -> Outcome {
    let seen = Rc::new(RefCell::new(None));
    let sink = seen.clone();
    let (_stub, mut io, _task) = serve(Clock::system(), async move |x, client, refused| {
        let request = &x.request;
        let target = &request.target;
        let mut text = format!("{} {}", request.method, target.path);
        if let Some(query) = &target.query {
            text += &format!("?{query}");
        }
        text += &format!(" {}", target.authority.as_str());
        for (_, name, value) in request.headers.iter() {
            let text_of = |bytes| String::from_utf8_lossy(bytes).into_owned();
            text += &format!(" [{}: {}]", text_of(name), text_of(value));
        }
        if let Some(protocol) = &request.upgrade {
            text += &format!(" upgrade {protocol}");
        }
        *sink.borrow_mut() = Some(match refused {
            Some(refusal) => Outcome::Refused(refusal.code.name),
            None => Outcome::Served(text),
        });
        client.answer(x, false).await;
    });
    frames::start(&mut io).await;
    head.write(&mut io).await;
    let answer = frames::next(&mut io, &[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    match answer.kind {
        RST_STREAM => Outcome::Reset(answer.error()),
        GOAWAY => Outcome::GoAway(answer.error()),
        _ => seen.borrow_mut().take().unwrap_or(Outcome::Refused("by the h2 crate")),
    }
}

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/a"), (":authority", "shop.test")];

/// A GET with some of its fields replaced and some added after them; an empty value leaves the
/// field out.
fn get(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut fields: Vec<_> = GET
        .iter()
        .map(|field| *changes.iter().find(|change| change.0 == field.0).unwrap_or(field))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    fields.extend(changes.iter().filter(|change| GET.iter().all(|field| field.0 != change.0)));
    fields
}

#[test]
fn good_heads_become_canonical() {
    for (changes, expected) in [
        (&[][..], "GET /a shop.test"),
        (&[(":path", "/b/./c/%7e?x=%zz")], "GET /b/c/~?x=%zz shop.test"),
        (&[(":authority", "SHOP.test:80")], "GET /a shop.test"),
        (&[("host", "SHOP.TEST"), ("x", "1")], "GET /a shop.test [x: 1]"),
        (&[("host", "shop.test:80")], "GET /a shop.test"),
        (&[(":authority", ""), ("host", "other.test")], "GET /a other.test"),
        (
            &[("cookie", "a=1"), ("x", "1"), ("cookie", "b=2")],
            "GET /a shop.test [x: 1] [cookie: a=1; b=2]",
        ),
        (&[("te", "trailers"), ("content-length", "0")], "GET /a shop.test"),
        (&[(":method", "OPTIONS"), (":path", "*")], "OPTIONS * shop.test"),
        (&[(":method", "PURGE")], "PURGE /a shop.test"),
        (
            &[(":method", "CONNECT"), (":protocol", "websocket")],
            "GET /a shop.test upgrade websocket",
        ),
    ] {
        let head = Frame::head(1, END_STREAM, &head_of(changes));
        assert_eq!(on_a_core(outcome(head)), Outcome::Served(expected.to_owned()), "{changes:?}");
    }
}

/// Pseudo fields come first.
fn head_of(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut fields = get(changes);
    fields.sort_by_key(|(name, _)| !name.starts_with(':'));
    fields
}

#[test]
fn heads_with_two_meanings_are_refused() {
    for (changes, code) in [
        (&[("host", "other.test")][..], "host_invalid"),
        (&[("host", "shop.test"), ("host", "shop.test")], "host_invalid"),
        (&[("host", "shop.test:8080")], "host_invalid"),
        (&[(":authority", "")], "host_invalid"),
        (&[(":authority", "user@shop.test")], "host_invalid"),
        (&[(":scheme", "ftp")], "request_malformed"),
        (&[(":path", "/a%2fb")], "path_ambiguous"),
        (&[("content-length", "0"), ("content-length", "0")], "request_malformed"),
        (&[("x", " 1")], "request_malformed"),
        (&[("x", "1\t")], "request_malformed"),
        (&[("expect", "the worst")], "expectation_failed"),
        (&[(":method", "TRACE")], "method_unsupported"),
        (&[(":method", "CONNECT"), (":scheme", ""), (":path", "")], "method_unsupported"),
        (&[(":method", "CONNECT"), (":protocol", "connect-udp")], "method_unsupported"),
        (&[(":method", "A-METHOD-OF-33-BYTES-OR-CLOSE-BY-")], "request_malformed"),
    ] {
        let head = Frame::head(1, END_STREAM, &head_of(changes));
        assert_eq!(on_a_core(outcome(head)), Outcome::Refused(code), "{changes:?}");
    }
}

#[test]
fn heads_that_are_no_http_reset_the_stream() {
    let cases: &[&[(&str, &str)]] = &[
        &[(":method", "")],
        &[(":scheme", "")],
        &[(":path", "")],
        &[(":status", "200")],
        &[(":unknown", "x")],
        &[("X-Upper", "1")],
        &[("connection", "close")],
        &[("keep-alive", "1")],
        &[("proxy-connection", "1")],
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "websocket")],
        &[("te", "gzip")],
        &[("content-length", "5")],
        &[("content-length", "-1")],
        &[(":protocol", "websocket")],
        &[("x", "a\r\nb")],
    ];
    for changes in cases {
        let head = Frame::head(1, END_STREAM, &head_of(changes));
        let outcome = on_a_core(outcome(head));
        assert!(
            matches!(outcome, Outcome::Reset(PROTOCOL) | Outcome::GoAway(PROTOCOL)),
            "{changes:?}: {outcome:?}"
        );
    }
    let late = [GET[0], GET[1], GET[3], ("x", "1"), GET[2]];
    let twice = [GET[0], GET[1], GET[2], GET[2], GET[3]];
    for fields in [late, twice] {
        let outcome = on_a_core(outcome(Frame::head(1, END_STREAM, &fields)));
        assert_eq!(outcome, Outcome::Reset(PROTOCOL), "{fields:?}");
    }
}

#[test]
fn heads_above_the_limits_are_refused_crumb_by_crumb() {
    let crumbs = vec![("cookie", "a=1"); 21];
    let head = Frame::head(1, END_STREAM, &head_of(&crumbs));
    assert_eq!(on_a_core(outcome(head)), Outcome::Refused("headers_too_large"));

    // Names and values of 126 bytes: 256 each, as HTTP/1.1 writes them.
    let long = "x".repeat(126);
    for (count, expected) in
        [(7, None), (8, Some("headers_too_large")), (20, Some("by the h2 crate"))]
    {
        let wide = vec![(long.as_str(), long.as_str()); count];
        let wide: Vec<_> = GET.into_iter().chain(wide).collect();
        match (on_a_core(outcome(Frame::head(1, END_STREAM, &wide))), expected) {
            (Outcome::Served(_), None) => {}
            (Outcome::Refused(code), Some(expected)) => assert_eq!(code, expected, "{count}"),
            (other, _) => panic!("{count}: {other:?}"),
        }
    }
}

#[test]
fn fields_of_the_codec_never_reach_the_answer() {
    on_a_core(async {
        let (_stub, io, _task) = serve(Clock::system(), async |x, client, _| {
            for (name, value) in
                [("Connection", "close"), ("Content-Length", "9"), ("Upgrade", "x"), ("X-One", "1")]
            {
                x.response.headers.append(name, value);
            }
            x.response.body = Body::from("four");
            client.answer(x, false).await;
        });
        let (client, connection) = h2::client::handshake(io).await.unwrap();
        tokio::task::spawn_local(connection);
        let request = http::Request::get("http://shop.test/").body(()).unwrap();
        let (response, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
        let response = response.await.unwrap();
        let mut fields: Vec<_> = response.headers().iter().map(|(name, _)| name.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["content-length", "date", "x-one"]);
        assert_eq!(response.headers()["content-length"], "4");
    });
}
