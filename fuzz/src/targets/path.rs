//! Targets of requests. The canonical form has nothing left to resolve, is its own canonical form,
//! and names what a plain second reading finds: segments decoded, dots walked.

use dataplane::testing::parsers::canonical;
use policy::message::{Method, Scheme, Target};

/// A target, as it stands in a request.
pub fn run(input: &[u8]) {
    let Ok(request) = canonical(Method::Get, input, b"a.test", Scheme::Http) else { return };
    let target = request.target;
    check(&target);
    assert!(target.path.len() <= 3 * input.len().max(1), "it grew beyond escapes");
    // A target in absolute form is a path behind its authority.
    let path = match input.first() {
        Some(b'/') => input,
        _ => {
            let start = "http://".len();
            let slash = input[start..].iter().position(|b| matches!(b, b'/' | b'?'));
            slash.map_or(&b""[..], |at| &input[start + at..])
        }
    };
    let end = path.iter().position(|b| *b == b'?').unwrap_or(path.len());
    assert_eq!(segments(target.path.as_bytes()), walked(&path[..end]));
    assert_eq!(target.query.as_deref().map(str::as_bytes), path.get(end + 1..));
}

/// Panics where `target` is not canonical.
pub fn check(target: &Target) {
    let path = target.path.as_str();
    if path == "*" {
        return;
    }
    assert!(path.starts_with('/'), "{path}: no path");
    assert!(path.bytes().all(|b| b.is_ascii_graphic()), "{path}: a character that must be escaped");
    assert!(!path.contains("//"), "{path}: an empty segment");
    for byte in [b'#', b'?', b'\\', b'"', b'<', b'>', b'`', b'{', b'|', b'}', b'^'] {
        assert!(!path.as_bytes().contains(&byte), "{path}: a character that must be escaped");
    }
    for segment in segments(path.as_bytes()) {
        let name = segment.split(|b| *b == b';').next().unwrap_or_default();
        assert!(name != b"." && name != b"..", "{path}: a dot segment");
        assert!(!segment.iter().any(|b| matches!(b, b'/' | b'\\')), "{path}: an escaped separator");
        assert!(!segment.iter().any(u8::is_ascii_control), "{path}: a control character");
        str::from_utf8(&segment).expect("escapes of text");
    }
    let mut whole = path.to_owned();
    if let Some(query) = &target.query {
        assert!(query.bytes().all(|b| b.is_ascii_graphic() && b != b'#'), "{query}: no query");
        whole.push('?');
        whole.push_str(query);
    }
    let again = canonical(Method::Get, whole.as_bytes(), b"a.test", Scheme::Http);
    let again = again.expect("what is canonical is taken").target;
    assert_eq!((again.path, again.query), (target.path.clone(), target.query.clone()));
}

/// The segments of a path, decoded.
fn segments(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').skip(1).map(decoded).collect()
}

/// The segments of a path, decoded, empty ones left out and dots walked.
fn walked(path: &[u8]) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut open = true;
    for segment in segments(path) {
        open = matches!(&segment[..], b"" | b"." | b"..");
        match &segment[..] {
            b".." => drop(out.pop().expect("it leaves the root")),
            b"" | b"." => {}
            _ => out.push(segment),
        }
    }
    if open {
        out.push(Vec::new());
    }
    out
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        let digits = (*byte == b'%').then(|| after.get(..2)).flatten();
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}
