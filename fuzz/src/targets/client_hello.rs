//! The first bytes of a TLS client, read without taking part in the handshake. However they come,
//! and however the client cuts them into records, the same server is asked for; and where rustls
//! takes them too, it is the one that rustls finds.

use dataplane::testing::parsers::{Seen, client_hello};
use rustls::server::Acceptor;

/// Bytes of a record's header.
const HEADER: usize = 5;

/// What a client sends first.
pub fn run(input: &[u8]) {
    let seen = client_hello([input]);
    assert_eq!(client_hello(input.chunks(1)), seen, "it depends on how it comes");
    for at in (0..input.len()).step_by(input.len() / 32 + 1) {
        let (head, tail) = input.split_at(at);
        assert_eq!(client_hello([head, tail]), seen, "it depends on how it comes");
    }
    let Seen::Hello(name) = &seen else { return };
    if let Some(name) = name {
        assert_eq!(**name, *name.to_ascii_lowercase(), "upper case");
        assert!((1..=253).contains(&name.len()), "{name}: no length of a name");
        let is_label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        assert!(name.bytes().all(is_label) && !name.contains(".."), "{name}: no name");
    }
    let message = message(input);
    for size in [1, 7, 100, 1 << 14] {
        if message.len().div_ceil(size) * HEADER + message.len() < 32 << 10 {
            assert_eq!(client_hello([&*records(&message, size)]), seen, "in other records");
        }
    }
    let end = message.len() - 1;
    assert_eq!(client_hello([&*records(&message[..end], 1 << 14)]), Seen::Partial, "too early");
    if let Some(theirs) = by_rustls(&records(&message, 1 << 14)) {
        assert_eq!(name.as_deref(), Some(&*theirs), "rustls finds another name");
    }
}

/// The message in the records that `input` starts with.
fn message(mut input: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    loop {
        if let [_, high, middle, low, ..] = *message {
            let length = 4 + u32::from_be_bytes([0, high, middle, low]) as usize;
            if message.len() >= length {
                message.truncate(length);
                return message;
            }
        }
        let length = usize::from(u16::from_be_bytes([input[3], input[4]]));
        message.extend_from_slice(&input[HEADER..HEADER + length]);
        input = &input[HEADER + length..];
    }
}

/// The message in records of at most so many bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |piece: &[u8]| {
        let length = (piece.len() as u16).to_be_bytes();
        [&[22, 3, 1][..], &length, piece].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

/// The name that rustls finds, where it takes the ClientHello and finds one.
fn by_rustls(mut bytes: &[u8]) -> Option<String> {
    let mut acceptor = Acceptor::default();
    while !bytes.is_empty() {
        acceptor.read_tls(&mut bytes).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            return accepted.client_hello().server_name().map(str::to_ascii_lowercase);
        }
    }
    None
}
