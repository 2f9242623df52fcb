//! Heads of HTTP/1 responses, of which an upstream may send any. What is taken has one meaning: a
//! plain second reading finds the same, and so does the client it is passed on to.

use std::time::Duration;

use dataplane::testing::parsers::{Framing, head_length, read_response, write_response};

use super::plain_head::{Length, PlainHead, fields};

/// The head at the start of `input`, as the answer to GET and to HEAD.
pub fn run(input: &[u8]) {
    let found = head_length([input]);
    assert_eq!(found, head_length(input.chunks(1)), "where it ends depends on how it comes");
    let Ok(Some(length)) = found else { return };
    check(&input[..length], false);
    check(&input[..length], true);
}

fn check(head: &[u8], to_head: bool) {
    let Ok(mut read) = read_response(head, to_head) else { return };
    let plain = PlainHead::read(head);
    let status = read.response.status;
    let code = plain.start.get(9..12).expect("a status line with a status");
    assert_eq!(code, status.code().to_string().as_bytes());
    let length = plain.length();
    let bodiless = to_head || !status.may_have_body();
    let framing = match length {
        _ if bodiless => Framing::None,
        Length::None => Framing::Close,
        Length::Bytes(0) => Framing::None,
        Length::Bytes(length) => Framing::Length(length),
        Length::Chunked => Framing::Chunked,
    };
    assert_eq!(read.framing, framing);
    let mut expected = plain.going_on();
    if let Length::Bytes(length) = length
        && (to_head || status.code() == 304)
    {
        expected.push((b"content-length".to_vec(), length.to_string().into_bytes()));
    }
    assert_eq!(fields(&read.response.headers), expected);
    assert!(framing != Framing::Close || !read.keep_alive, "kept alive beyond its end");

    let passed_on = write_response(&mut read, to_head, Duration::from_secs(1_767_323_045));
    assert_eq!(head_length([&passed_on[..]]), Ok(Some(passed_on.len())), "one head");
    let again = read_response(&passed_on, to_head).expect("what is passed on can be read");
    assert_eq!((again.response.status, again.framing), (status, framing));
    let mut fields = fields(&again.response.headers);
    if plain.all(b"date").is_empty() {
        fields.retain(|(name, _)| name != b"date");
    }
    fields.sort();
    expected.sort();
    assert_eq!(fields, expected);
}
