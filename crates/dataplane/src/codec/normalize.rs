//! One meaning per request: method, target and host become canonical here, or the request is
//! refused. Router, policies, log and upstream all use what this gives; both codecs call it.
//!
//! What it does with a target, and why; what is marked with * a listener's `paths` may say
//! otherwise:
//!
//! | in the target | becomes |
//! |---|---|
//! | `%41`, `%7e`: escapes of unreserved characters | the character (RFC 3986 §6.2.2.2) |
//! | other escapes | kept, in upper case; must be UTF-8 together |
//! | `%2F` * | refused: servers disagree whether it separates |
//! | `%5C`, `%00`–`%1F`, `%7F`, `\` | refused, for the same reason |
//! | `.` and `..` segments, also escaped * | removed; `..` above the root refused, as is `..;` |
//! | `//` * | `/` |
//! | `;` * | kept, a part of its segment |
//! | visible characters RFC 3986 forbids (`{`, `\|`, `"` …) | escaped |
//! | `#`, bytes above 0x7E | refused |
//! | the query | checked to be visible ASCII without `#`, kept as it is |

mod punycode;

use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr};

use config::v1::{DotSegments, DoubleSlash, EncodedSlash, Paths, Semicolon};
use policy::message::{Authority, Method, Request, Scheme, Version};
use policy::{Refusal, codes};

/// Bytes of a target; more is refused with 414.
pub(crate) const TARGET_MAX: usize = 8 << 10;

/// Bytes of a host (RFC 1035 §2.3.4).
const HOST_MAX: usize = 253;

/// Parameters of a query. Whoever reads them builds a table of them.
const PARAMS_MAX: usize = 1000;

/// A request as the gateway would see it, without one having been sent: for `gateward explain`.
/// `target` and `authority` are what a client would send, `paths` is the listener's.
///
/// # Errors
/// The refusal such a request would get.
pub fn canonical(
    method: Method,
    scheme: Scheme,
    authority: &str,
    target: &str,
    headers: &[(String, String)],
    paths: Paths,
) -> Result<Request, Refusal> {
    let mut canonical = Request { method, ..Request::default() };
    for (name, value) in headers {
        if !canonical.headers.append(name, value) {
            return Err(malformed("a header field has a name or value that no message can carry"));
        }
    }
    request(&mut canonical, target.as_bytes(), Some(authority.as_bytes()), scheme, paths)?;
    Ok(canonical)
}

/// Sets the target of `request`, whose method and version are set already. `authority` is `Host` or
/// `:authority`.
pub(crate) fn request(
    request: &mut Request,
    raw_target: &[u8],
    authority: Option<&[u8]>,
    scheme: Scheme,
    paths: Paths,
) -> Result<(), Refusal> {
    if raw_target.len() > TARGET_MAX {
        return Err(Refusal::new(&codes::URI_TOO_LONG));
    }
    let tunnel = request.method == Method::Connect && request.upgrade.is_none();
    if tunnel || request.method == Method::Trace {
        return Err(Refusal::new(&codes::METHOD_UNSUPPORTED));
    }
    request.target.scheme = scheme;
    let (in_target, rest) = split_absolute(raw_target, scheme)?;
    set_authority(request, in_target, authority, scheme)?;
    if rest == b"*" {
        if request.method != Method::Options || in_target.is_some() {
            return Err(malformed("the target * is for OPTIONS only"));
        }
        request.target.path.push('*');
        return Ok(());
    }
    let question = memchr::memchr(b'?', rest);
    let (path, query) = match question {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
        None => (rest, None),
    };
    match (path.first(), in_target) {
        (Some(b'/'), _) => set_path(&mut request.target.path, path, paths)?,
        (None, Some(_)) => request.target.path.push('/'),
        _ => return Err(malformed("the target is neither a path nor an absolute URL")),
    }
    request.target.query = query.map(checked_query).transpose()?;
    Ok(())
}

/// The authority of a target in absolute form and what follows it; another target as it is.
fn split_absolute(raw: &[u8], scheme: Scheme) -> Result<(Option<&[u8]>, &[u8]), Refusal> {
    if matches!(raw.first(), None | Some(b'/' | b'*')) {
        return Ok((None, raw));
    }
    let name = scheme.text().as_bytes();
    let same_scheme = raw.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let after = raw.get(name.len()..).and_then(|rest| rest.strip_prefix(b"://"));
    let Some(after) = after.filter(|_| same_scheme) else {
        return Err(malformed(
            "the target is neither a path nor a URL of this connection's scheme",
        ));
    };
    let end = after.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    Ok((Some(authority), rest))
}

/// Takes the host from the target, from `Host`, or from both if they agree.
fn set_authority(
    request: &mut Request,
    in_target: Option<&[u8]>,
    given: Option<&[u8]>,
    scheme: Scheme,
) -> Result<(), Refusal> {
    match given.or(in_target) {
        Some(raw) => authority(&mut request.target.authority, raw, scheme)?,
        None if request.version == Version::Http10 => {}
        None => return Err(host("there is no Host")),
    }
    if let (Some(in_target), Some(_)) = (in_target, given) {
        let mut other = Authority::default();
        parse_authority(&mut other, in_target, scheme)?;
        if other != request.target.authority {
            return Err(host("Host contradicts the target"));
        }
    }
    Ok(())
}

/// An authority as it came and as it was read.
#[derive(Default)]
struct Read {
    raw: Vec<u8>,
    scheme: Scheme,
    authority: Authority,
}

thread_local! {
    /// The one read last on this core: most requests have the same as the one before them.
    static LAST: RefCell<Read> = RefCell::default();
}

/// Reads host and port.
fn authority(out: &mut Authority, raw: &[u8], scheme: Scheme) -> Result<(), Refusal> {
    LAST.with_borrow_mut(|last| {
        if last.scheme == scheme && last.raw == raw && !raw.is_empty() {
            out.copy_from(&last.authority);
            return Ok(());
        }
        parse_authority(out, raw, scheme)?;
        last.raw.clear();
        last.raw.extend_from_slice(raw);
        last.scheme = scheme;
        last.authority.copy_from(out);
        Ok(())
    })
}

/// Parses host and port.
fn parse_authority(out: &mut Authority, raw: &[u8], scheme: Scheme) -> Result<(), Refusal> {
    let text = std::str::from_utf8(raw).map_err(|_| host("the host is not ASCII"))?;
    let host_end = match text.strip_prefix('[') {
        Some(_) => text.find(']').map(|at| at + 1),
        None => Some(text.find(':').unwrap_or(text.len())),
    };
    let (name, port) = host_end
        .and_then(|end| text.split_at_checked(end))
        .ok_or_else(|| host("the IPv6 address has no closing bracket"))?;
    let port = parse_port(port)?.filter(|port| *port != scheme.port());
    if let Some(inner) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        let address: Ipv6Addr =
            inner.parse().map_err(|_| host("what stands in brackets is no IPv6 address"))?;
        out.set(&format!("[{address}]"), port);
        return Ok(());
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    check_name(name)?;
    out.set(name, port);
    Ok(())
}

/// `:port`, `:` or nothing.
fn parse_port(text: &str) -> Result<Option<u16>, Refusal> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(None),
        Some("") => Ok(None),
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            match digits.parse() {
                Ok(0) | Err(_) => Err(host("the port is not between 1 and 65535")),
                Ok(port) => Ok(Some(port)),
            }
        }
        _ => Err(host("the port is not a number")),
    }
}

/// Labels of letters, digits, `-` and `_`; or an IPv4 address in its usual form.
fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && punycode::is_label(label)
    };
    if name.is_empty() || name.len() > HOST_MAX || !name.split('.').all(fits) {
        return Err(host("the host is not a name or an address"));
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").or(last.strip_prefix("0X")).is_some();
    if numeric && name.parse::<Ipv4Addr>().is_err() {
        return Err(host("the host ends in a number but is no IPv4 address"));
    }
    Ok(())
}

/// Writes the canonical form of `raw`, which starts with a slash.
fn set_path(out: &mut String, raw: &[u8], paths: Paths) -> Result<(), Refusal> {
    if paths.semicolon == Semicolon::Refuse && memchr::memchr(b';', raw).is_some() {
        return Err(ambiguous("it holds a semicolon"));
    }
    if let Some(plain) = plain_path(raw) {
        out.push_str(plain);
        return Ok(());
    }
    let mut high = false;
    let mut rest = raw.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'/' => end_segment(out, true, paths)?,
            b'%' => match unescape(&mut rest)? {
                b'/' if paths.encoded_slash == EncodedSlash::Keep => push_escape(out, b'/'),
                b'/' | b'\\' => return Err(ambiguous("it holds an escaped slash")),
                b';' if paths.semicolon == Semicolon::Refuse => {
                    return Err(ambiguous("it holds a semicolon"));
                }
                0..=0x1f | 0x7f => return Err(ambiguous("it holds a control character")),
                plain if is_unreserved(plain) => out.push(char::from(plain)),
                other => {
                    high |= other >= 0x80;
                    push_escape(out, other);
                }
            },
            b'\\' => return Err(ambiguous("it holds a backslash")),
            0..=b' ' | 0x7f.. | b'#' => {
                return Err(malformed("the path holds a character that must be escaped"));
            }
            plain if is_path(plain) => out.push(char::from(plain)),
            other => push_escape(out, other),
        }
    }
    end_segment(out, false, paths)?;
    if high { check_utf8(out) } else { Ok(()) }
}

/// `raw` as text, if it is canonical already, as nearly every path is.
fn plain_path(raw: &[u8]) -> Option<&str> {
    let mut before = b' ';
    for byte in raw {
        let plain = match byte {
            b'/' | b'.' => before != b'/',
            other => is_path(*other),
        };
        if !plain {
            return None;
        }
        before = *byte;
    }
    std::str::from_utf8(raw).ok()
}

/// Ends the segment `out` stands in: dot segments go, and a slash follows if there is `more`.
fn end_segment(out: &mut String, more: bool, paths: Paths) -> Result<(), Refusal> {
    let start = out.rfind('/').map_or(0, |at| at + 1);
    match out.get(start..).unwrap_or_default() {
        "." | ".." if paths.dot_segments == DotSegments::Refuse => {
            return Err(ambiguous("it holds a dot segment"));
        }
        "." => out.truncate(start),
        ".." => {
            out.truncate(start.saturating_sub(1));
            match out.rfind('/') {
                Some(at) => out.truncate(at + 1),
                None => return Err(ambiguous("its dot segments leave the root")),
            }
        }
        "" if more && !out.is_empty() => match paths.double_slash {
            DoubleSlash::Merge => {}
            DoubleSlash::Keep if out.len() > 1 => out.push('/'),
            DoubleSlash::Keep => return Err(ambiguous("it starts with two slashes")),
            DoubleSlash::Refuse => return Err(ambiguous("it holds two slashes together")),
        },
        segment if dots_with_parameters(segment) => {
            return Err(ambiguous("a dot segment has parameters"));
        }
        segment if hidden_dots(segment) => {
            return Err(ambiguous("a dot segment stands between escaped slashes"));
        }
        _ if more => out.push('/'),
        _ => {}
    }
    Ok(())
}

/// `..%2Fx` and the like: dot segments to servers that take escaped slashes for slashes.
fn hidden_dots(segment: &str) -> bool {
    segment.contains("%2F")
        && segment.split("%2F").any(|part| matches!(part, "." | "..") || dots_with_parameters(part))
}

/// `.;x`, `..;x`, also with the semicolon escaped: dot segments to servers that cut parameters off.
fn dots_with_parameters(segment: &str) -> bool {
    let rest = segment.strip_prefix("..").or(segment.strip_prefix('.'));
    rest.is_some_and(|rest| rest.starts_with(';') || rest.starts_with("%3B"))
}

/// The byte that two hexadecimal digits stand for.
fn unescape(rest: &mut impl Iterator<Item = u8>) -> Result<u8, Refusal> {
    let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
    match (digit(), digit()) {
        (Some(high), Some(low)) => Ok((high << 4 | low) as u8),
        _ => Err(malformed("the path holds a % without two hexadecimal digits")),
    }
}

fn push_escape(out: &mut String, byte: u8) {
    let digit = |nibble: u8| {
        char::from_digit(u32::from(nibble), 16).unwrap_or_default().to_ascii_uppercase()
    };
    out.push('%');
    out.push(digit(byte >> 4));
    out.push(digit(byte & 0xf));
}

/// What the escapes stand for must be UTF-8: overlong forms are how `/` gets past those who
/// compare.
fn check_utf8(path: &str) -> Result<(), Refusal> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { unescape(&mut rest)? } else { byte });
    }
    match std::str::from_utf8(&bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(malformed("the path's escapes are not UTF-8")),
    }
}

/// The query, if it is visible ASCII and has no more parameters than anybody sends.
fn checked_query(raw: &[u8]) -> Result<String, Refusal> {
    let fine = raw.iter().all(|byte| matches!(byte, 0x21..=0x7e) && *byte != b'#');
    // One that is shorter can't have as many.
    if raw.len() >= PARAMS_MAX && memchr::memchr_iter(b'&', raw).count() >= PARAMS_MAX {
        return Err(malformed("the query has more than 1000 parameters"));
    }
    match std::str::from_utf8(raw) {
        Ok(text) if fine => Ok(text.to_owned()),
        _ => Err(malformed("the query holds a character that must be escaped")),
    }
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path as it is, but for `/` and escapes (RFC 3986 §3.3, `pchar`).
const fn is_path(byte: u8) -> bool {
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

fn malformed(detail: &'static str) -> Refusal {
    Refusal::new(&codes::REQUEST_MALFORMED).detail(detail)
}

fn ambiguous(detail: &'static str) -> Refusal {
    Refusal::new(&codes::PATH_AMBIGUOUS).detail(detail)
}

fn host(detail: &'static str) -> Refusal {
    Refusal::new(&codes::HOST_INVALID).detail(detail)
}

#[cfg(test)]
mod tests;
