//! A13–A19: heads that two readers would read in two ways.

use super::super::contract::{Bench, DOCUMENT, MALFORMED, closed};
use super::{EVIL, request};

/// Plays requests that must be refused.
async fn refuses(requests: &[&str]) {
    let bench = Bench::new(DOCUMENT).await;
    for text in requests {
        bench.refuses(&text.escape_debug().to_string(), text.as_bytes(), MALFORMED).await;
    }
}

/// A request in which `@` is this byte.
fn with_byte(text: &str, byte: u8) -> Vec<u8> {
    text.bytes().map(|one| if one == b'@' { byte } else { one }).collect()
}

/// Lines ended by LF alone: 400, whichever line it is.
/// Seen to fail: with `EndFinder::find` taking LF for a line's end (httparse takes it, too).
#[tokio::test]
async fn fa_A13_lines_ended_by_lf() {
    refuses(&[
        "GET /a HTTP/1.1\nHost: a.test\n\n",
        "GET /a HTTP/1.1\nHost: a.test\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a.test\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a.test\r\n\n",
        "GET /a HTTP/1.1\r\nHost: a.test\r\nX: y\nContent-Length: 4\r\n\r\nevil",
        "\nGET /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a.test\r\nX: y\n\nGET /evil HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ])
    .await;
}

/// Control bytes in a name, a value, the method, the target: 400. A tab within a value is none.
/// Seen to fail: the bare LF with `EndFinder::find` taking it. The rest is refused by httparse,
/// whose tables can't be taken out: it fails when they change.
#[tokio::test]
async fn fa_A14_control_bytes() {
    let bench = Bench::new(DOCUMENT).await;
    for byte in (0..=0x1f).chain([0x7f]) {
        for place in [
            "GET /a HTTP/1.1\r\nHost: a.test\r\nX: a@b\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a.test\r\nX@Y: b\r\n\r\n",
            "G@T /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET /a@b HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a.@test\r\n\r\n",
        ] {
            let bytes = with_byte(place, byte);
            let what = bytes.escape_ascii().to_string();
            if byte == b'\t' && place.contains("a@b\r") {
                bench.passes(&what, &bytes, &["GET /a"]).await;
                continue;
            }
            let sent = bench.oracle.bytes();
            let told = testkit::attack::raw::exchange(
                bench.address,
                &bytes,
                testkit::attack::raw::Until::End,
            )
            .await;
            assert_eq!(bench.oracle.bytes(), sent, "{what}");
            let codes: Vec<_> =
                told.answers.iter().map(|answer| (answer.status, answer.code())).collect();
            let [(400, Some(code))] = &codes[..] else { panic!("{what}: {told:?}") };
            assert!(matches!(&code[..], "request_malformed" | "host_invalid"), "{what}: {code}");
        }
    }
    let bench = Bench::new(DOCUMENT).await;
    for text in ["X: a\rb", "X: a\r\r", "X\r: a", "X: \0", "X\0: a"] {
        let bytes = request("GET /a", &format!("{text}\r\n"), EVIL);
        bench.refuses(&text.escape_debug().to_string(), &bytes, MALFORMED).await;
    }
}

/// Space before the colon, before the first field, folded values: 400.
/// Seen to fail: httparse refuses all of them; with its `allow_spaces_after_header_name`,
/// `allow_obsolete_multiline_headers` and the like set they are seen to pass.
#[tokio::test]
async fn fa_A15_space_where_none_belongs() {
    refuses(&[
        "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length : 3\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length\t: 3\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "GET /a HTTP/1.1\r\n Host: a.test\r\n\r\n",
        "GET /a HTTP/1.1\r\n\tContent-Length: 1\r\nHost: a.test\r\n\r\na",
        "GET /a HTTP/1.1\r\nHost: a.test\r\nX: a\r\n b\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a.test\r\nX: a\r\n\tContent-Length: 3\r\n\r\nabc",
        "GET /a HTTP/1.1\r\nHost: a.test\r\nX:\r\n \r\n\r\n",
    ])
    .await;
}

/// Names of nothing, lines without a colon: 400.
/// Seen to fail: httparse refuses them; with its `ignore_invalid_headers_in_requests` set they are
/// seen to pass.
#[tokio::test]
async fn fa_A16_lines_that_are_no_field() {
    refuses(&[
        "GET /a HTTP/1.1\r\nHost: a.test\r\n: v\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a.test\r\n:\r\nContent-Length: 3\r\n\r\nabc",
        "GET /a HTTP/1.1\r\n:\r\nHost: a.test\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a.test\r\nTe\r\nst: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a.test\r\nnothing\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a.test\r\nContent-Length 3\r\n\r\nabc",
        "GET /a HTTP/1.1\r\nHost: a.test\r\n=\r\n\r\n",
    ])
    .await;
}

/// Names that are no token, or longer than 256 bytes: 400.
/// Seen to fail: the length with `NAME_MAX` at 64 KiB; what is no token is refused by httparse.
#[tokio::test]
async fn fa_A17_a_names_that_are_no_token() {
    let bench = Bench::new(DOCUMENT).await;
    for byte in [0xef, 0x85, 0x80, 0xff, b' ', b'(', b'/', b'"', b'{', b'[', b'@'] {
        let bytes = with_byte("GET /a HTTP/1.1\r\nHost: a.test\r\nX@: v\r\n\r\n", byte);
        bench.refuses(&format!("{byte:#x} in a name"), &bytes, MALFORMED).await;
    }
    for (length, passes) in [(256, true), (257, false)] {
        let bytes = request("GET /a", &format!("{}: v\r\n", "x".repeat(length)), "");
        match passes {
            true => bench.passes("256 bytes", &bytes, &["GET /a"]).await,
            false => bench.refuses("257 bytes", &bytes, MALFORMED).await,
        }
    }
}

/// Bytes above 0x7f in a value reach the origin as they came.
/// Seen to fail: with `Headers::write_lines` writing values as UTF-8 text.
#[tokio::test]
async fn fa_A17_b_high_bytes_in_values_stay() {
    let bench = Bench::new(DOCUMENT).await;
    let value: Vec<u8> = (0x80..=0xff).collect();
    let mut bytes = b"GET /a HTTP/1.1\r\nHost: a.test\r\nX-Mine: ".to_vec();
    bytes.extend_from_slice(&value);
    bytes.extend_from_slice(b"\r\n\r\n");
    bench.passes("high bytes", &bytes, &["GET /a"]).await;
    bench.answers(&bytes, 1).await;
    let seen = bench.oracle.take();
    let mine = seen[0].fields.iter().find(|(name, _)| name == "X-Mine").expect("it goes on");
    assert_eq!(mine.1, value);
}

/// A version that is not spoken: 505 where it could be one, else 400; never taken for 1.1.
/// Seen to fail: `HTTP/2.0` and `HTTP/1.2` with `names_a_version` always false (400 then); that
/// they are not read at all is httparse's doing.
#[tokio::test]
async fn fa_A18_versions_that_are_none() {
    let bench = Bench::new(DOCUMENT).await;
    let version = closed(505, "version_unsupported");
    for (text, wanted) in [
        ("HTTP/1.32", MALFORMED),
        ("HTTP/4294967295.255", MALFORMED),
        ("HTTP/1.10", MALFORMED),
        ("HTTP/1.", MALFORMED),
        ("HTTP/1", MALFORMED),
        ("HTTP/ 1.1", MALFORMED),
        ("HTTP/1.1 ", MALFORMED),
        ("HTTP/1.1x", MALFORMED),
        ("http/1.1", MALFORMED),
        ("HTTPS/1.1", MALFORMED),
        ("", MALFORMED),
        ("HTTP/1.2", version),
        ("HTTP/2.0", version),
        ("HTTP/0.9", version),
        ("HTTP/9.9", version),
    ] {
        let bytes = format!("GET /a {text}\r\nHost: a.test\r\n\r\n{EVIL}");
        bench.refuses(text, bytes.as_bytes(), wanted).await;
    }
    bench.refuses("none", b"GET /a\r\nHost: a.test\r\n\r\n", MALFORMED).await;
    bench.refuses("none and no more", b"GET /a\r\n\r\n", MALFORMED).await;
}

/// A method that is no token, or longer than 32 bytes: 400. Any other goes where the route lets it.
/// Seen to fail: with `take_request` taking a method that can not be one for GET; what is no token
/// is refused by httparse.
#[tokio::test]
async fn fa_A19_methods() {
    let bench = Bench::new(DOCUMENT).await;
    for method in
        ["G=\":<>", "G,T", "G/T", "\u{e9}", "(GET)", &"A".repeat(33), &"A".repeat(10 << 10)]
    {
        let bytes = format!("{method} /a HTTP/1.1\r\nHost: a.test\r\n\r\n{EVIL}");
        bench.refuses(method.get(..8).unwrap_or(method), bytes.as_bytes(), MALFORMED).await;
    }
    for method in ["get", "PURGE", "M-SEARCH", "!#$%&'*+-.^_`|~1", &"A".repeat(32)] {
        let bytes = request(&format!("{method} /a"), "", "");
        bench.passes(method, &bytes, &[&format!("{method} /a")]).await;
    }
    let document = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, routes: [
      { match: { path: /only, methods: [ GET ] } }, { match: { path: /good } } ] }",
    );
    let bench = Bench::new(&document).await;
    for method in ["get", "PURGE", "POST"] {
        let bytes = request(&format!("{method} /only"), "", "");
        let wanted = super::super::contract::open(405, "method_not_allowed");
        bench.refuses(method, &bytes, wanted).await;
    }
}
