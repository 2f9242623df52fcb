//! Heads of requests as clients send them.

use config::v1::Paths;
use http::request::Parts;
use http::{HeaderMap, header};
use policy::message::{Method, Request, Scheme, Version};
use policy::{Refusal, codes};
use snapshot::Limits;

use super::fields;
use crate::codec::normalize;
use crate::tunnel::websocket;

/// What RFC 9113 §6.5.2 counts for a field beside its name and value.
const FIELD_OVERHEAD: usize = 32;

/// What HTTP/1.1 writes for a field beside its name and value: the same limit means the same to
/// both versions.
const LINE_OVERHEAD: usize = 4;

/// What RFC 9113 §6.5.2 counts for the pseudo fields beside target and host, at most.
const PSEUDO_OVERHEAD: usize = 256;

/// Bytes of a field name.
const NAME_MAX: usize = 256;

/// `SETTINGS_MAX_HEADER_LIST_SIZE`: everything that [`read`] lets through is below it. The h2 crate
/// answers what is above with 431 by itself.
pub(super) fn advertised(limits: &Limits) -> u32 {
    let fields = limits.header_count.saturating_mul(FIELD_OVERHEAD);
    let most = limits.header_bytes.saturating_add(fields).saturating_add(PSEUDO_OVERHEAD);
    u32::try_from(most).unwrap_or(u32::MAX)
}

/// Bytes of a head, as HTTP/1.1 would write it.
pub(super) fn size(head: &Parts) -> usize {
    let host = head.uri.authority().map_or(0, |host| host.as_str().len());
    let target = head.uri.path_and_query().map_or(0, |path| path.as_str().len()) + host;
    let fields = head.headers.iter();
    fields.map(|(name, value)| name.as_str().len() + value.len() + LINE_OVERHEAD).sum::<usize>()
        + target
}

/// Reads a head of so many bytes into `request`, canonical. Gives the body's length, where it was
/// announced.
pub(super) fn read(
    head: &Parts,
    bytes: usize,
    limits: &Limits,
    secure: bool,
    request: &mut Request,
) -> Result<Option<u64>, Refusal> {
    request.version = Version::Http2;
    request.method = Method::new(head.method.as_str().as_bytes())
        .ok_or_else(|| malformed("the method is longer than 32 bytes"))?;
    check_fields(head, bytes, limits)?;
    if let Some(protocol) = head.extensions.get::<h2::ext::Protocol>() {
        // Nothing else can be carried on (RFC 9220 §3: 501).
        if protocol.as_str() != websocket::PROTOCOL {
            return Err(Refusal::new(&codes::METHOD_UNSUPPORTED).detail("unknown :protocol"));
        }
        request.method = Method::Get;
        request.upgrade = Some(websocket::PROTOCOL.into());
    }
    if let Some(expect) = head.headers.get(header::EXPECT) {
        if !expect.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::new(&codes::EXPECTATION_FAILED));
        }
        request.expects_continue = true;
    }
    let length = length(&head.headers)?;
    fields::read(&head.headers, &mut request.headers);
    target(head, limits.paths, secure, request)?;
    Ok(length)
}

/// Bounds, and what the h2 crate lets pass though it must not (RFC 9113 §8.2.1).
fn check_fields(head: &Parts, bytes: usize, limits: &Limits) -> Result<(), Refusal> {
    let fields = &head.headers;
    let too_large = |detail: String| Err(Refusal::new(&codes::HEADERS_TOO_LARGE).detail(detail));
    if fields.len() > limits.header_count {
        return too_large(format!("there are more than {} fields", limits.header_count));
    }
    for (name, value) in fields {
        let (name, value) = (name.as_str(), value.as_bytes());
        if name.len() > NAME_MAX {
            return Err(malformed("a field name is longer than 256 bytes"));
        }
        if value.trim_ascii().len() != value.len() {
            return Err(malformed("a field value starts or ends with a space"));
        }
    }
    if bytes > limits.header_bytes {
        return too_large(format!("the head is larger than {} bytes", limits.header_bytes));
    }
    Ok(())
}

/// `Content-Length`: once, digits, nothing else.
fn length(fields: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err(malformed("there are two Content-Length"));
    }
    let digits = length.as_bytes();
    let number = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
    let number = number.and_then(|digits| digits.parse().ok());
    number.map(Some).ok_or_else(|| malformed("Content-Length is not a number"))
}

/// Makes target and host canonical. `Host` may repeat `:authority`, not contradict it (RFC 9113
/// §8.3.1).
fn target(head: &Parts, paths: Paths, secure: bool, request: &mut Request) -> Result<(), Refusal> {
    let scheme = if secure { Scheme::Https } else { Scheme::Http };
    if head.uri.scheme_str().is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
        return Err(malformed(":scheme is neither http nor https"));
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(http::HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Refusal::new(&codes::HOST_INVALID).detail("there are two Host"));
    }
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            // They may still be the same, one with the usual port.
            let mut absolute = format!("{}://", scheme.text()).into_bytes();
            absolute.extend_from_slice(authority);
            absolute.extend_from_slice(path.as_bytes());
            normalize::request(request, &absolute, Some(host), scheme, paths)
        }
        (authority, host) => {
            normalize::request(request, path.as_bytes(), authority.or(host), scheme, paths)
        }
    }
}

fn malformed(detail: &'static str) -> Refusal {
    Refusal::new(&codes::REQUEST_MALFORMED).detail(detail)
}
