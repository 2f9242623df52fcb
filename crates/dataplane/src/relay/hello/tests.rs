use std::sync::Arc;

use super::*;

/// A host name as an extension has it.
fn sni(name: &[u8]) -> (u16, Vec<u8>) {
    let length = |extra: usize| ((name.len() + extra) as u16).to_be_bytes();
    (SERVER_NAME, [&length(3)[..], &[0], &length(0), name].concat())
}

/// A ClientHello with these extensions, as a handshake message.
fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(32);
    body.extend([9; 32]);
    // A GREASE cipher suite (RFC 8701) before a real one.
    body.extend([0, 4, 0x0a, 0x0a, 0x13, 0x01]);
    body.extend([1, 0]);
    let mut list = Vec::new();
    for (kind, content) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend((content.len() as u16).to_be_bytes());
        list.extend(content);
    }
    body.extend((list.len() as u16).to_be_bytes());
    body.extend(list);
    message_of(&body)
}

fn message_of(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[CLIENT_HELLO][..], &length[1..], body].concat()
}

/// The message in records of at most so many bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |piece: &[u8]| {
        let length = (piece.len() as u16).to_be_bytes();
        [&[HANDSHAKE, 3, 1][..], &length, piece].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

fn seen(bytes: &[u8]) -> Seen {
    Reader::default().read(bytes)
}

fn named(name: &str) -> Seen {
    Seen::Hello(Some(name.into()))
}

/// What a real client sends first.
fn real(name: &'static str) -> Vec<u8> {
    let roots = rustls::RootCertStore::empty();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let name = name.try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_name_of_a_real_client_is_read_wherever_its_bytes_are_split() {
    let bytes = real("a.example.com");
    let mut reader = Reader::default();
    for end in 0..bytes.len() {
        assert_eq!(reader.read(&bytes[..end]), Seen::Partial, "after {end} bytes");
    }
    assert_eq!(reader.read(&bytes), named("a.example.com"));
    for cut in 1..bytes.len() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(&bytes[..cut]), Seen::Partial, "cut at {cut}");
        assert_eq!(reader.read(&bytes), named("a.example.com"), "cut at {cut}");
    }
}

#[test]
fn records_of_every_size_make_the_same_hello() {
    let message = hello(&[(0x0a0a, vec![]), sni(b"A.Example.com"), (43, vec![2, 3, 4])]);
    for size in 1..=message.len() {
        let bytes = records(&message, size);
        assert_eq!(seen(&bytes), named("a.example.com"), "records of {size}");
        let mut reader = Reader::default();
        let partial = (0..bytes.len()).all(|end| reader.read(&bytes[..end]) == Seen::Partial);
        assert!(partial, "records of {size}");
        assert_eq!(reader.read(&bytes), named("a.example.com"), "records of {size}");
    }
}

#[test]
fn what_follows_the_hello_is_not_looked_at() {
    let bytes = [records(&hello(&[sni(b"a.test")]), 99), vec![23, 3, 3, 0, 1, 0]].concat();
    assert_eq!(seen(&bytes), named("a.test"));
}

#[test]
fn a_hello_need_not_name_a_server_and_an_encrypted_one_has_an_outer_name() {
    assert_eq!(seen(&records(&hello(&[(43, vec![2, 3, 4])]), 999)), Seen::Hello(None));
    let mut bare = hello(&[]);
    bare.truncate(bare.len() - 2);
    let bare = message_of(&bare[MESSAGE_HEADER..]);
    assert_eq!(seen(&records(&bare, 999)), Seen::Hello(None), "no extensions at all");
    let encrypted = (0xfe0d, vec![0, 0, 1, 0, 1, 9, 9, 9]);
    let outer = hello(&[encrypted, sni(b"public.example")]);
    assert_eq!(seen(&records(&outer, 999)), named("public.example"));
}

#[test]
fn what_could_be_read_in_two_ways_is_no_hello() {
    let twice = hello(&[sni(b"a.test"), sni(b"b.test")]);
    let (_, one) = sni(b"a.test");
    let two_names = [&[0, 18][..], &one[2..], &one[2..]].concat();
    let rest_in_list = (SERVER_NAME, [&one[..], &[0]].concat());
    let other_kind = (SERVER_NAME, [&one[..2], &[1], &one[3..]].concat());
    for (what, message) in [
        ("a second name", twice),
        ("two names in one list", hello(&[(SERVER_NAME, two_names)])),
        ("bytes behind the list", hello(&[rest_in_list])),
        ("another kind of name", hello(&[other_kind])),
        ("an empty list", hello(&[(SERVER_NAME, vec![0, 0])])),
        ("no name", hello(&[sni(b"")])),
        ("a zero in the name", hello(&[sni(b"a.test\0.evil")])),
        ("a dot at its end", hello(&[sni(b"a.test.")])),
        ("an address", hello(&[sni(b"::1")])),
        ("bytes that are no text", hello(&[sni(b"\xff.test")])),
        ("another message", [&[2][..], &hello(&[])[1..]].concat()),
        ("an extension cut short", {
            let mut body = hello(&[sni(b"a.test")])[MESSAGE_HEADER..].to_vec();
            body.pop();
            message_of(&body)
        }),
        ("bytes behind the extensions", {
            let mut body = hello(&[sni(b"a.test")])[MESSAGE_HEADER..].to_vec();
            body.push(0);
            message_of(&body)
        }),
        ("a second message in the record", [hello(&[sni(b"a.test")]), vec![0]].concat()),
    ] {
        for size in [1, 7, 9999] {
            let mut reader = Reader::default();
            let mut last = Seen::Partial;
            let bytes = records(&message, size);
            for end in 0..=bytes.len() {
                last = reader.read(&bytes[..end]);
                if last != Seen::Partial {
                    break;
                }
            }
            // Cut into records of a byte, the message ends where its record does.
            let whole = what == "a second message in the record" && size == 1;
            assert_eq!(
                matches!(last, Seen::Wrong(_)),
                !whole,
                "{what}, records of {size}: {last:?}"
            );
        }
    }
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        &[0x80, 0x2e, 1, 3, 1],
        &[HANDSHAKE, 2, 0],
        &[HANDSHAKE, 3, 1, 0, 0],
        &[HANDSHAKE, 3, 1, 0x40, 1],
        &[21, 3, 1, 0, 2],
    ] {
        assert!(matches!(seen(bytes), Seen::Wrong(_)), "{bytes:?}");
    }
}

#[test]
fn a_hello_has_a_longest_length_and_a_largest_number_of_pieces() {
    let padded = |length: usize| {
        let least = hello(&[(21, vec![]), sni(b"a.test")]).len();
        hello(&[(21, vec![0; length - least]), sni(b"a.test")])
    };
    assert_eq!(seen(&records(&padded(MESSAGE_MAX), 4096)), named("a.test"));
    let longer = records(&padded(MESSAGE_MAX + 1), 4096);
    assert!(matches!(seen(&longer[..9]), Seen::Wrong(_)), "its header alone says it");

    let small = records(&padded(5_000), 1);
    assert_eq!(seen(&small), named("a.test"));
    let crumbs = records(&padded(MESSAGE_MAX), 1);
    let mut reader = Reader::default();
    let end = (0..crumbs.len()).find(|end| reader.read(&crumbs[..*end]) != Seen::Partial);
    assert_eq!(end, Some(BYTES_MAX));
    assert!(reader.message.len() <= BYTES_MAX / 6 + 1);
}
