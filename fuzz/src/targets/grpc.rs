//! What gRPC adds to HTTP: deadlines never grow on their way, messages arrive as they were and end
//! no line, health is read from well-formed frames alone.

use std::time::Duration;

use dataplane::testing::parsers::{
    grpc_health, grpc_timeout, write_grpc_message, write_grpc_timeout,
};
use policy::message::is_value;

/// A deadline, a message and a health check's body, each of these bytes.
pub fn run(input: &[u8]) {
    timeout(input);
    let nanos = input.first_chunk().copied().map_or(0, u64::from_le_bytes);
    left(nanos);
    left(nanos >> (nanos & 0x3f));
    if let Ok(text) = str::from_utf8(input) {
        message(text);
    }
    health(input);
}

fn timeout(value: &[u8]) {
    let Some(timeout) = grpc_timeout(value) else { return };
    assert!((2..=9).contains(&value.len()), "digits and a unit");
    assert!(timeout <= Duration::from_secs(99_999_999 * 3600), "longer than can be said");
    let exact = write_grpc_timeout(timeout);
    assert_eq!(grpc_timeout(exact.as_bytes()), Some(timeout), "what is said can be said");
}

/// What is left of a deadline, in nanoseconds, which no field may say exactly.
fn left(nanos: u64) {
    let timeout = Duration::from_nanos(nanos);
    let sent = write_grpc_timeout(timeout);
    let again = grpc_timeout(sent.as_bytes()).expect("what is sent can be read");
    assert!(again <= timeout, "a deadline that grows");
    assert!(timeout - again <= timeout / 100_000, "a deadline that loses much");
    assert_eq!(write_grpc_timeout(again), sent);
}

fn message(text: &str) {
    let sent = write_grpc_message(text);
    assert!(sent.is_ascii() && sent.bytes().all(is_value), "more than a field may hold");
    assert!(sent.len() <= 3 * text.len());
    let mut read = Vec::new();
    let mut rest = sent.as_bytes();
    while let [byte, after @ ..] = rest {
        let escape = (*byte == b'%').then(|| after.split_at(2));
        let (byte, after) = match escape {
            Some((digits, after)) => {
                let digits = str::from_utf8(digits).expect("two digits");
                (u8::from_str_radix(digits, 16).expect("two digits"), after)
            }
            None => (*byte, after),
        };
        read.push(byte);
        rest = after;
    }
    assert_eq!(read, text.as_bytes());
}

fn health(body: &[u8]) {
    let Some(serving) = grpc_health(body) else { return };
    let length = u32::from_be_bytes([body[1], body[2], body[3], body[4]]);
    assert_eq!((body[0], length as usize), (0, body.len() - 5), "a frame that is one");
    // A field nobody knows changes nothing (protobuf); the last word on a known one is the last.
    for (more, expected) in
        [(&b"\x7a\x01x"[..], serving), (b"\x08\x01", true), (b"\x08\x02", false)]
    {
        let message = [&body[5..], more].concat();
        let mut longer = vec![0];
        longer.extend_from_slice(&(message.len() as u32).to_be_bytes());
        longer.extend_from_slice(&message);
        assert_eq!(grpc_health(&longer), Some(expected));
    }
}
