//! A09–A12: chunks that are none, and what comes behind a body.

use testkit::attack::raw::{self, Until};

use super::super::contract::{BROKEN, Bench, DOCUMENT, MALFORMED, told};
use super::{EVIL, chunked, post};

/// Plays bodies that must break off; behind each stands what would be another request.
async fn breaks_off(bodies: &[&str]) {
    let bench = Bench::new(DOCUMENT).await;
    for body in bodies {
        let bytes = chunked(&format!("{body}{EVIL}"));
        bench.refuses(&body.escape_debug().to_string(), &bytes, BROKEN).await;
    }
}

/// A chunk size that is not up to 16 hexadecimal digits: 400 if no answer began, and nothing from
/// the bad chunk on goes upstream.
/// Seen to fail: with `parse_line` trimming the line, cutting off `0x` and `+`, and wrapping sizes.
#[tokio::test]
async fn fa_A09_a_a_chunk_size_that_is_no_number() {
    breaks_off(&[
        "\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "-0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "\t1\r\na\r\n0\r\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        "1;\r\na\r\n0\r\n\r\n",
        "1;\ra\r\n0\r\n\r\n",
        "1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
        "00000000000000001\r\na\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n",
        "10000000000000001\r\na\r\n0\r\n\r\n",
        "8000000000000000\r\na\r\n0\r\n\r\n",
        "1\0\r\na\r\n0\r\n\r\n",
        "g\r\n0\r\n\r\n",
        ";x\r\na\r\n0\r\n\r\n",
    ])
    .await;
}

/// What came before the bad chunk may be on its way; the bad one and what follows it never is, and
/// the connection to the origin is not used again.
/// Seen to fail: with `Chunked::decode` taking a chunk whose size is no number for the last one.
#[tokio::test]
async fn fa_A09_b_nothing_past_a_bad_chunk_goes_on() {
    let bench = Bench::new(DOCUMENT).await;
    for bad in ["0x4\r\nevil\r\n", "4\nevil\r\n", "3\r\nevil\r\n", "1;\r\nevil"] {
        let bytes = chunked(&format!("4\r\ngood\r\n{bad}0\r\n\r\n{EVIL}"));
        bench.refuses(bad, &bytes, BROKEN).await;
        let got = bench.oracle.connections();
        let all: Vec<u8> = got.iter().flat_map(|one| one.bytes.clone()).collect();
        let evil = all.windows(4).filter(|four| four == b"evil" || four == b"/evi").count();
        assert_eq!(evil, 0, "{bad:?}");
    }
}

/// Chunk lines ended by LF or by `\rX`, data without a line end, line ends too many: 400.
/// Seen to fail: with `parse_line` taking LF alone, `DataEnd` skipping any two bytes, and `Line`
/// skipping empty lines.
#[tokio::test]
async fn fa_A10_line_ends_that_are_none() {
    breaks_off(&[
        "1\na\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na\r\n0\n\r\n",
        "1\r\na\r\n0\r\n\n",
        "1\rXa\r\n0\r\n\r\n",
        "1\r\na\rX0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\r\n\r\n0\r\n\r\n",
        "\r\n1\r\na\r\n0\r\n\r\n",
        "1\r\na\r\r\n0\r\n\r\n",
        "1\r\na\r\n0\r\nX: y\n\r\n",
        "1\r\na\r\n0\r\nX y\r\n\r\n",
        "1\r\na\r\n0\r\n X: y\r\n\r\n",
    ])
    .await;
}

/// Extensions end here: the origin never sees one.
/// Seen to fail: with `Pump::data` writing an extension behind each size.
#[tokio::test]
async fn fa_A11_a_extensions_are_dropped() {
    let bench = Bench::new(DOCUMENT).await;
    let bytes = chunked("3;x=y\r\nhel\r\n2 ; z=\"q;\"\r\nlo\r\n0;last\r\n\r\n");
    bench.passes("extensions", &bytes, &["POST /p hello"]).await;
    assert_eq!(bench.oracle.wrong(), [""; 0]);
}

/// Extensions of more than 1 KiB a chunk or 16 KiB a body, or with control bytes: 400.
/// Seen to fail: with `LINE_MAX` and `EXTENSIONS_MAX` at 1 MiB, and with `is_extension` taking any
/// byte.
#[tokio::test]
async fn fa_A11_b_extensions_have_bounds() {
    let bench = Bench::new(DOCUMENT).await;
    let one = |length: usize| format!("1;{}\r\na\r\n", "x".repeat(length - 1));
    for (what, body) in [
        ("one of 1 KiB and a byte", one(1025)),
        ("17 of 1 KiB", one(1024).repeat(17)),
        ("100 of 1 KiB", one(1024).repeat(100)),
        ("a CR", "1;a\rb\r\na\r\n".into()),
        ("a NUL", "1;a\0b\r\na\r\n".into()),
    ] {
        let bytes = chunked(&format!("{body}0\r\n\r\n{EVIL}"));
        bench.refuses(what, &bytes, BROKEN).await;
    }
    let most = one(1024).repeat(16);
    let body = "a".repeat(16);
    bench
        .passes("16 of 1 KiB", &chunked(&format!("{most}0\r\n\r\n")), &[&format!("POST /p {body}")])
        .await;
}

/// 100,000 chunks of one byte arrive whole, in fewer chunks: the origin is not sent what the client
/// made of them.
/// Seen to fail: with `Chunked::gather` giving each chunk as it is.
#[tokio::test]
async fn fa_A11_c_chunks_of_one_byte_are_put_together() {
    const COUNT: usize = 100_000;
    let bench = Bench::new(DOCUMENT).await;
    let bytes = chunked(&format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(COUNT)));
    let answers = bench.answers(&bytes, 1).await;
    assert_eq!(answers[0].status, 200);
    let seen = bench.oracle.take();
    assert_eq!(seen[0].body.len(), COUNT);
    let overhead = seen[0].raw.len() - COUNT;
    assert!(overhead < COUNT, "{overhead} bytes to tell of {COUNT}");
}

/// Bytes behind a body are the next request, and if they are none, 400 and the end: they never
/// belong to the request before.
/// Seen to fail: with `Wire::start_body` throwing away what was read beyond the body.
#[tokio::test]
async fn fa_A12_bytes_behind_a_body() {
    let bench = Bench::new(DOCUMENT).await;
    for good in [post("Content-Length: 4\r\n", "good"), chunked("4\r\ngood\r\n0\r\n\r\n")] {
        for rest in ["X\r\n\r\n", "\nGET /evil HTTP/1.1\r\nHost: a.test\r\n\r\n", "X: y\r\n\r\n"] {
            let bytes = [&good[..], rest.as_bytes()].concat();
            let all = raw::exchange(bench.address, &bytes, Until::End).await;
            let statuses: Vec<_> = all.answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [200, 400], "{rest:?}: {all:?}");
            assert_eq!(all.answers[1].code().as_deref(), Some(MALFORMED.code), "{rest:?}");
            let seen: Vec<_> = bench.oracle.take().iter().map(told).collect();
            assert_eq!(seen, ["POST /p good"], "{rest:?}");
        }
        let twice = [&good[..], &good].concat();
        bench.passes("two", &twice, &["POST /p good", "POST /p good"]).await;
    }
}
