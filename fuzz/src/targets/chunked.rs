//! Chunked bodies. However they are cut into pieces they read the same; what is taken, a plain
//! second reading takes too, and finds the same body and the same end.

use dataplane::testing::parsers::{ReadChunks, read_chunks};

use super::plain_head::fields;

/// A chunked body, and what may follow it on the connection.
pub fn run(input: &[u8]) {
    let whole = read_chunks([input]);
    for size in [1, 2, 3, 7] {
        same(&whole, &read_chunks(input.chunks(size)));
    }
    // Every place once, but for long inputs, where it is every so many.
    for at in (0..input.len()).step_by(input.len() / 64 + 1) {
        let (head, tail) = input.split_at(at);
        same(&whole, &read_chunks([head, tail]));
    }
    let Ok(read) = whole else { return };
    if !read.done {
        return;
    }
    let (data, length) = plain(input).expect("what the codec takes is a chunked body");
    assert_eq!(read.data, data);
    assert_eq!(read.rest, input[length..], "the body ends elsewhere");
    survives(&read);
}

fn same(a: &Result<ReadChunks, &'static str>, b: &Result<ReadChunks, &'static str>) {
    match (a, b) {
        (Ok(a), Ok(b)) => {
            assert_eq!(a.data, b.data, "the body depends on how it comes");
            assert_eq!((a.done, &a.rest), (b.done, &b.rest), "its end depends on how it comes");
            assert_eq!(a.trailers.as_ref().map(fields), b.trailers.as_ref().map(fields));
        }
        (Err(_), Err(_)) => {}
        (a, b) => panic!("taken or not by how it comes: {a:?}, {b:?}"),
    }
}

/// The same body in other chunks, with its trailers, reads the same.
fn survives(read: &ReadChunks) {
    let mut bytes = Vec::new();
    for piece in read.data.chunks(5) {
        bytes.extend_from_slice(format!("{:X};again\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    // Extensions are bounded for the whole body.
    if read.data.len() > 5 * 1024 {
        return;
    }
    bytes.extend_from_slice(b"0\r\n");
    if let Some(trailers) = &read.trailers {
        trailers.write_lines(&mut bytes);
    }
    bytes.extend_from_slice(b"\r\n");
    let again = read_chunks([&bytes[..]]).expect("it is a chunked body");
    assert!(again.done && again.rest.is_empty());
    assert_eq!(again.data, read.data);
    let trailers = read.trailers.as_ref().map(fields).unwrap_or_default();
    assert_eq!(again.trailers.as_ref().map(fields).unwrap_or_default(), trailers);
}

/// The body that `input` starts with and the length of its coding (RFC 9112 §7.1), trailers not
/// looked at.
fn plain(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let line = |at: usize| {
        let end = input[at..].windows(2).position(|pair| pair == b"\r\n")?;
        Some((&input[at..at + end], at + end + 2))
    };
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        let (size, after) = line(at)?;
        let digits = size.split(|b| matches!(b, b';' | b' ' | b'\t')).next()?;
        let size = usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        at = after;
        if size == 0 {
            break;
        }
        data.extend_from_slice(input.get(at..at + size)?);
        at += size;
        assert_eq!(input.get(at..at + 2)?, b"\r\n", "a chunk ends where its size says");
        at += 2;
    }
    while let Some((text, after)) = line(at) {
        at = after;
        if text.is_empty() {
            return Some((data, at));
        }
    }
    None
}
