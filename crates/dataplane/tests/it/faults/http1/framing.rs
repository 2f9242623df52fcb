//! A01–A08: how long a body is, said in more than one way, or in a way that can be misread.

use super::super::contract::{Bench, DOCUMENT, MALFORMED, closed};
use super::{EVIL, post};

const CODING: super::super::contract::Refused = closed(501, "transfer_coding_unsupported");

/// Plays field lines of a POST that must be refused, with what some other reader would take for
/// another request behind it.
async fn refuses(lines: &[&str], wanted: super::super::contract::Refused) {
    let bench = Bench::new(DOCUMENT).await;
    for line in lines {
        let bytes = post(line, &format!("0\r\n\r\n{EVIL}"));
        bench.refuses(line, &bytes, wanted).await;
    }
}

/// A length beside chunks, in either order: 400 and the connection ends.
/// Seen to fail: with the arm `(true, Some(_))` of `head::request_framing` taking the chunks.
#[tokio::test]
async fn fa_A01_content_length_beside_transfer_encoding() {
    refuses(
        &[
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Content-Length: 5\r\nX: y\r\ntransfer-encoding: CHUNKED\r\n",
        ],
        MALFORMED,
    )
    .await;
}

/// Two lengths that differ: 400, whichever comes first.
/// Seen to fail: with the second `Content-Length` of `Fields::take` taking the first one's place.
#[tokio::test]
async fn fa_A02_two_lengths_that_differ() {
    refuses(
        &[
            "Content-Length: 0\r\nContent-Length: 31\r\n",
            "Content-Length: 31\r\nContent-Length: 0\r\n",
            "Content-Length: 5\r\nX: y\r\nContent-length: 6\r\n",
        ],
        MALFORMED,
    )
    .await;
}

/// The same length twice, as two fields or as a list: 400 like any other two.
/// Seen to fail: the fields with the second `Content-Length` taking the first one's place, the
/// lists with `content_length` reading up to a comma.
#[tokio::test]
async fn fa_A03_the_same_length_twice() {
    refuses(
        &[
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: 5,5\r\n",
            "Content-Length: 5,\r\n",
            "Content-Length: ,5\r\n",
        ],
        MALFORMED,
    )
    .await;
}

/// A length of no digits: 400, also before a real one.
/// Seen to fail: with `content_length` taking an empty value for 0 and the last field counting.
#[tokio::test]
async fn fa_A04_an_empty_length() {
    refuses(
        &[
            "Content-Length:\r\n",
            "Content-Length: \r\n",
            "Content-Length:\r\nContent-Length: 59\r\n",
            "Content-Length: 59\r\nContent-Length:\r\n",
        ],
        MALFORMED,
    )
    .await;
}

/// A length that is more or less than decimal digits: 400.
/// Seen to fail: with `content_length` cutting off what is no digit at either end.
#[tokio::test]
async fn fa_A05_a_a_length_that_is_no_number() {
    refuses(
        &[
            "Content-Length: +5\r\n",
            "Content-Length: -48\r\n",
            "Content-Length: 0x10\r\n",
            "Content-Length: 1_0\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 1Z\r\n",
            "Content-Length: 5.0\r\n",
            "Content-Length: \"5\"\r\n",
            "Content-Length: 5;\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 99999999999999999999999\r\n",
        ],
        MALFORMED,
    )
    .await;
}

/// Leading zeros are decimal, as are spaces around no part of the number; the origin gets the
/// number as it is usually written.
/// Seen to fail: with `content_length` reading what starts with 0 as octal.
#[tokio::test]
async fn fa_A05_b_leading_zeros_are_decimal_and_not_passed_on() {
    let bench = Bench::new(DOCUMENT).await;
    for length in ["010", " 010\t", "000000000000000000000010"] {
        let bytes = post(&format!("Content-Length:{length}\r\n"), "0123456789");
        bench.passes(length, &bytes, &["POST /p 0123456789"]).await;
        bench.answers(&bytes, 1).await;
        let seen = bench.oracle.take();
        assert_eq!(seen[0].field("content-length").as_deref(), Some("10"), "{length}");
    }
}

/// A transfer coding that is not `chunked` alone: 501, however it is dressed up.
/// Seen to fail: with `Fields::take` looking for `chunked` at the value's end.
#[tokio::test]
async fn fa_A06_a_a_coding_that_is_not_exactly_chunked() {
    refuses(
        &[
            "Transfer-Encoding: ,chunked\r\n",
            "Transfer-Encoding: chunked,\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunkedx\r\n",
            "Transfer-Encoding: chunked;q=1\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
            "Transfer-Encoding:\r\n",
        ],
        CODING,
    )
    .await;
}

/// `chunked` behind bytes that some readers skip: never read as chunked.
/// Seen to fail: `\xa0` with `Fields::take` looking for `chunked` at the value's end. Control bytes
/// are refused by httparse, whose table can't be taken out; that refusal is A14's.
#[tokio::test]
async fn fa_A06_b_chunked_behind_bytes_that_others_skip() {
    let bench = Bench::new(DOCUMENT).await;
    let with = |byte: u8| {
        let bytes = post("Transfer-Encoding: @chunked\r\n", &format!("0\r\n\r\n{EVIL}"));
        bytes.iter().map(|one| if *one == b'@' { byte } else { *one }).collect::<Vec<u8>>()
    };
    for byte in [0xa0, 0x85, 0xff] {
        bench.refuses(&format!("{byte:#x}"), &with(byte), CODING).await;
    }
    for byte in [0x0b, 0x0c, 0x00] {
        bench.refuses(&format!("{byte:#x}"), &with(byte), MALFORMED).await;
    }
}

/// `chunked` is compared without case (RFC 9112 §7).
/// Seen to fail: with `Fields::take` comparing it with case.
#[tokio::test]
async fn fa_A06_c_chunked_in_any_case() {
    let bench = Bench::new(DOCUMENT).await;
    for coding in ["chunked", "Chunked", "CHUNKED"] {
        let lines = format!("Transfer-Encoding:\t{coding} \r\n");
        let bytes = post(&lines, "A\r\n0123456789\r\n0\r\n\r\n");
        bench.passes(coding, &bytes, &["POST /p 0123456789"]).await;
    }
}

/// `Transfer-Encoding: chunked` twice: 400.
/// Seen to fail: with `Fields::take` letting a second one pass.
#[tokio::test]
async fn fa_A07_chunked_twice() {
    refuses(
        &[
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nX: y\r\ntransfer-encoding: Chunked\r\n",
        ],
        MALFORMED,
    )
    .await;
}

/// HTTP/1.0 knows no chunks: 400.
/// Seen to fail: with the arm `(true, _) if old` of `head::request_framing` removed.
#[tokio::test]
async fn fa_A08_a_chunks_in_http_1_0() {
    let bench = Bench::new(DOCUMENT).await;
    let bytes = format!(
        "POST /p HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}"
    );
    bench.refuses("HTTP/1.0", bytes.as_bytes(), MALFORMED).await;
}

/// A POST of HTTP/1.0 that says no length has no body: what follows is neither one nor another
/// request, since the connection ends.
/// Seen to fail: with connections of HTTP/1.0 kept unless asked to be closed.
#[tokio::test]
async fn fa_A08_b_a_post_of_http_1_0_without_length() {
    let bench = Bench::new(DOCUMENT).await;
    let bytes = format!("POST /p HTTP/1.0\r\nHost: a.test\r\n\r\n{EVIL}");
    let told = testkit::attack::raw::exchange(
        bench.address,
        bytes.as_bytes(),
        testkit::attack::raw::Until::End,
    )
    .await;
    assert_eq!(told.answers.len(), 1, "{told:?}");
    assert_eq!(told.answers[0].status, 200);
    let seen = bench.oracle.take();
    let seen: Vec<_> = seen.iter().map(super::super::contract::told).collect();
    assert_eq!(seen, ["POST /p"]);
}
