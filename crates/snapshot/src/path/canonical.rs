//! The one form a path has (RFC 3986 §6.2.2): what may stand as it is stands as it is, everything
//! else is escaped in upper case, no dot segments, no empty segments but a last one.

use std::fmt::Write;

use super::BadPath;

/// Bytes of a path in a document.
const BYTES_MAX: usize = 4096;

/// Segments of a path in a document; also how deep the router's tree may become.
const SEGMENTS_MAX: usize = 64;

/// The canonical form of a path written in a document.
pub(crate) fn canonical(text: &str) -> Result<String, BadPath> {
    check_shape(text)?;
    let mut out = String::with_capacity(text.len());
    for segment in text.split('/').skip(1) {
        out.push('/');
        let start = out.len();
        escape(segment, &mut out)?;
        check_segment(out.get(start..).unwrap_or_default(), text)?;
    }
    Ok(out)
}

/// Refuses what no path looks like, whatever stands between the slashes.
pub(crate) fn check_shape(text: &str) -> Result<(), BadPath> {
    if !text.starts_with('/') {
        return Err(BadPath::new(format!("`{text}` does not start with `/`"))
            .hint(format!("write `/{}`", text.trim_start())));
    }
    if text.len() > BYTES_MAX || text.split('/').count() > SEGMENTS_MAX {
        return Err(BadPath::new(format!(
            "the path is longer than {BYTES_MAX} bytes or {SEGMENTS_MAX} segments"
        )));
    }
    if text.contains("//") {
        return Err(BadPath::new(format!("`{text}` has an empty segment"))
            .hint("write one `/`: requests with empty segments are brought to that form"));
    }
    Ok(())
}

/// Refuses dot segments: no request has them once it is read.
pub(crate) fn check_segment(segment: &str, text: &str) -> Result<(), BadPath> {
    if segment == "." || segment == ".." {
        return Err(BadPath::new(format!("`{text}` has the dot segment `{segment}`"))
            .hint("write the path it stands for: requests are resolved before they are matched"));
    }
    Ok(())
}

/// Appends text of one segment in canonical form.
pub(crate) fn escape(text: &str, out: &mut String) -> Result<(), BadPath> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'%' => {
                let byte = bytes.get(at..at + 2).and_then(unescape).ok_or_else(|| {
                    BadPath::new(format!("`{text}` has a `%` that is no escape"))
                        .hint("write two hexadecimal digits after it, or `%25` for a percent sign")
                })?;
                at += 2;
                match byte {
                    0..0x20 | 0x7f => return Err(control(text)),
                    b'/' | b'\\' => return Err(escaped_slash(text)),
                    byte if is_unreserved(byte) => out.push(char::from(byte)),
                    byte => push_escaped(byte, out),
                }
            }
            b'\\' => return Err(escaped_slash(text)),
            b'?' | b'#' => {
                return Err(BadPath::new(format!("`{text}` has a `{}`", char::from(byte)))
                    .hint("a path ends before it; match the query with `query`"));
            }
            0..0x20 | 0x7f => return Err(control(text)),
            byte if is_path_byte(byte) => out.push(char::from(byte)),
            byte => push_escaped(byte, out),
        }
    }
    Ok(())
}

fn control(text: &str) -> BadPath {
    BadPath::new(format!("`{}` has a control character", text.escape_debug()))
}

fn escaped_slash(text: &str) -> BadPath {
    BadPath::new(format!("`{text}` has a backslash or an escaped slash"))
        .hint("no request has one: those that do are refused, as servers disagree on what it means")
}

fn push_escaped(byte: u8, out: &mut String) {
    // Writing to a string can't fail.
    let _ = write!(out, "%{byte:02X}");
}

/// The byte two hexadecimal digits stand for.
pub(crate) fn unescape(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// What never needs an escape (RFC 3986 §2.3).
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a segment as it is (RFC 3986 §3.3).
const fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// Whether a path put together from parts may be sent: it starts with one slash and climbs nowhere.
pub(crate) fn is_safe(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.split('/').any(|segment| segment == "." || segment == "..")
}
