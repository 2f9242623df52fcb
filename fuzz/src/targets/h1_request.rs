//! Heads of HTTP/1 requests. What is taken has one meaning: a plain second reading finds the same,
//! and so does whoever reads what an upstream is sent.

use dataplane::testing::parsers::{Framing, ReadRequest, head_length, read_request, write_request};
use policy::message::Scheme;

use super::path;
use super::plain_head::{Length, PlainHead, fields};

/// The host that a request without one (HTTP/1.0) is sent on with.
const HOST: &str = "fallback.test";

/// The head at the start of `input`; what follows it is not looked at.
pub fn run(input: &[u8]) {
    let found = head_length([input]);
    assert_eq!(found, head_length(input.chunks(1)), "where it ends depends on how it comes");
    let Ok(Some(length)) = found else { return };
    let head = &input[..length];
    let Ok(read) = read_request(head, Scheme::Http) else { return };
    same_as_plain(head, &read);
    path::check(&read.request.target);
    survives(&read);
}

fn same_as_plain(head: &[u8], read: &ReadRequest) {
    let plain = PlainHead::read(head);
    let words: Vec<&[u8]> = plain.start.split(|b| *b == b' ').collect();
    assert_eq!(words.len(), 3, "a request line of three words");
    assert_eq!(words[0], read.request.method.as_str().as_bytes());
    assert!(matches!(words[2], b"HTTP/1.1" | b"HTTP/1.0"), "a version there is");
    let framing = match plain.length() {
        Length::None | Length::Bytes(0) => Framing::None,
        Length::Bytes(length) => Framing::Length(length),
        Length::Chunked => Framing::Chunked,
    };
    assert_eq!(read.framing, framing);
    assert!(plain.all(b"host").len() <= 1, "two hosts");
    assert_eq!(fields(&read.request.headers), plain.going_on());
}

/// What an upstream is sent reads as what came.
fn survives(read: &ReadRequest) {
    let authority = match read.request.target.authority.as_str() {
        "" => HOST,
        own => own,
    };
    let sent = write_request(read, authority);
    assert_eq!(head_length([&sent[..]]), Ok(Some(sent.len())), "one head, and nothing after it");
    let again = read_request(&sent, Scheme::Http).expect("what is sent can be read");
    let (sent, came) = (&again.request, &read.request);
    assert_eq!(sent.method, came.method);
    assert_eq!(sent.target.authority.as_str(), authority);
    assert_eq!((&sent.target.path, &sent.target.query), (&came.target.path, &came.target.query));
    assert_eq!(fields(&sent.headers), fields(&came.headers));
    assert_eq!((&sent.upgrade, again.framing), (&came.upgrade, read.framing));
}
