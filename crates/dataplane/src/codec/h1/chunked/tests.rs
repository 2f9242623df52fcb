use proptest::prelude::*;

use super::*;

/// A body, the number of its trailers, and what was left after it.
type Decoding = (Vec<u8>, usize, Vec<u8>);

/// Feeds `pieces` one after the other; what came out, the trailers, and what was left when it
/// ended. None where it did not end.
fn decode(pieces: &[&[u8]]) -> Result<Option<Decoding>, &'static str> {
    let (mut chunked, mut input) = (Chunked::default(), BytesMut::new());
    let (mut body, mut trailers) = (Vec::new(), 0);
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match chunked.decode(&mut input)? {
                Decoded::Frame(Frame::Data(data)) => body.extend_from_slice(&data),
                Decoded::Frame(Frame::Trailers(headers)) => trailers += headers.len(),
                Decoded::More => break,
                Decoded::End => {
                    assert!(chunked.is_done());
                    let at = pieces.iter().position(|known| known.as_ptr() == piece.as_ptr());
                    let mut left = input.to_vec();
                    for piece in &pieces[at.unwrap() + 1..] {
                        left.extend_from_slice(piece);
                    }
                    return Ok(Some((body, trailers, left)));
                }
            }
        }
    }
    Ok(None)
}

/// `bytes` cut after each of `at`.
fn cut<'b>(bytes: &'b [u8], at: &[usize]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = at.iter().map(|at| at % (bytes.len() + 1)).collect();
    at.sort_unstable();
    at.dedup();
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in at.into_iter().chain([bytes.len()]) {
        if end > start {
            pieces.push(&bytes[start..end]);
            start = end;
        }
    }
    pieces
}

#[test]
fn extensions_are_bounded() {
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(LINE_MAX));
    assert!(decode(&[long.as_bytes()]).is_err(), "one line");
    let line = format!("1;{}\r\na\r\n", "x".repeat(1000));
    let many = line.repeat(20) + "0\r\n\r\n";
    assert!(decode(&[many.as_bytes()]).is_err(), "of a body");
    let fine = line.repeat(16) + "0\r\n\r\n";
    assert_eq!(decode(&[fine.as_bytes()]).unwrap().unwrap().0, b"a".repeat(16));
    let endless = format!("1;{}", "x".repeat(2 * LINE_MAX));
    assert!(decode(&[endless.as_bytes()]).is_err(), "a line that does not end");
}

#[test]
fn trailers_are_bounded_and_those_that_could_lie_are_dropped() {
    let trailers = "X-Sum: 1\r\nContent-Length: 9\r\nX-Forwarded-For: 6.6.6.6\r\n";
    let body = format!("0\r\n{trailers}\r\nrest");
    assert_eq!(decode(&[body.as_bytes()]), Ok(Some((vec![], 1, b"rest".to_vec()))));
    let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(33));
    assert!(decode(&[many.as_bytes()]).is_err(), "too many");
    let long = format!("0\r\na: {}", "b".repeat(2 * TRAILERS_MAX));
    assert!(decode(&[long.as_bytes()]).is_err(), "too long");
}

proptest! {
    #[test]
    fn what_was_chunked_comes_out_whole_however_it_is_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
        upper in any::<bool>(),
        rest in prop::collection::vec(any::<u8>(), 0..10),
        at in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut bytes = Vec::new();
        for chunk in &chunks {
            let size = match upper {
                true => format!("{:X}\r\n", chunk.len()),
                false => format!("{:04x};ext=1\r\n", chunk.len()),
            };
            bytes.extend_from_slice(size.as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes.extend_from_slice(&rest);
        let decoded = decode(&cut(&bytes, &at));
        prop_assert_eq!(decoded, Ok(Some((chunks.concat(), 0, rest))));
    }

    #[test]
    fn how_bytes_are_cut_changes_nothing(
        bytes in "[0-9a-fA-F;x \r\n]{0,40}",
        at in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let whole = decode(&[bytes.as_bytes()]);
        let in_pieces = decode(&cut(bytes.as_bytes(), &at));
        prop_assert_eq!(in_pieces, whole);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = decode(&[&bytes]);
    }
}
