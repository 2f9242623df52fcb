//! Header fields between the exchange's form and the h2 crate's.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use policy::message::{Headers, Known};

use crate::codec::trailers;

/// Adds `fields` to `out`, but those of the connection and those the codec keeps for itself. A
/// `Cookie` that came in crumbs is joined (RFC 9113 §8.2.3).
pub(super) fn read(fields: &HeaderMap, out: &mut Headers) {
    for (name, value) in fields {
        match Known::of(name.as_str().as_bytes()) {
            Known::Cookie => {}
            known if is_codecs(known) => {}
            _ => {
                out.append(name, value);
            }
        }
    }
    let mut crumbs = fields.get_all(header::COOKIE).iter();
    match (crumbs.next(), crumbs.next()) {
        (Some(one), None) => {
            out.append("cookie", one);
        }
        (Some(_), Some(_)) => {
            let all: Vec<&[u8]> =
                fields.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
            out.append("cookie", all.join(&b"; "[..]));
        }
        _ => {}
    }
}

/// Which fields a peer may remember to have them shorter the next time (HPACK's dynamic table, RFC
/// 7541 §2.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remember {
    /// All but those that differ each time: remembering them pushes out the others, and looking
    /// them up costs more than writing them. For a connection with one peer at its end.
    Lasting,
    /// Only those that say nothing of the caller. For a connection that callers share: by the
    /// length of what is sent one could guess what another has sent (RFC 7541 §7.1).
    Shared,
}

/// `fields` as the h2 crate takes them, but those of the connection and those the codec sets
/// itself. Names are in lower case.
pub(super) fn write(
    fields: &Headers,
    remember: Remember,
    unwanted: impl Fn(Known) -> bool,
) -> HeaderMap {
    // Room for what the codec adds: a map that grows is built again.
    let mut out = HeaderMap::with_capacity(fields.len() + 2);
    for (known, name, value) in fields.iter() {
        if !is_codecs(known) && !unwanted(known) {
            let lasts = match remember {
                Remember::Lasting => !is_fleeting(known),
                Remember::Shared => is_common(known),
            };
            append(&mut out, name, value, lasts);
        }
    }
    out
}

/// Trailers as they came, but those that must not come after a body (RFC 9110 §6.5.1).
pub(super) fn read_trailers(fields: &HeaderMap) -> Headers {
    let mut out = Headers::new();
    for (name, value) in fields {
        if !trailers::is_barred(Known::of(name.as_str().as_bytes())) {
            out.append(name, value);
        }
    }
    out
}

/// Trailers as the h2 crate takes them.
pub(super) fn write_trailers(fields: &Headers) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(fields.len());
    for (known, name, value) in fields.iter() {
        if !trailers::is_barred(known) {
            append(&mut out, name, value, !is_fleeting(known));
        }
    }
    out
}

/// Puts `Content-Length` in.
pub(super) fn set_length(fields: &mut HeaderMap, length: u64) {
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

fn append(out: &mut HeaderMap, name: &[u8], value: &[u8], lasts: bool) {
    // Whatever stands in `Headers` is a token and a value, so that both always work.
    if let (Ok(name), Ok(mut value)) =
        (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
    {
        value.set_sensitive(!lasts);
        // Full at 32,768 fields, which no limit on heads lets through.
        let _ = out.try_append(name, value);
    }
}

/// Fields of a connection, which HTTP/2 does not have (RFC 9113 §8.2.2), and those about framing
/// and host, which the codec sets from the message itself.
const fn is_codecs(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::ContentLength
            | Known::Expect
            | Known::Host
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::Trailer
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

/// Fields whose value is another one in nearly every message.
const fn is_fleeting(known: Known) -> bool {
    matches!(
        known,
        Known::Forwarded
            | Known::GrpcMessage
            | Known::GrpcTimeout
            | Known::RateLimit
            | Known::RetryAfter
            | Known::TraceParent
            | Known::TraceState
            | Known::XForwardedFor
            | Known::XRequestId
    )
}

/// Fields that have few values, none of which tells callers apart.
const fn is_common(known: Known) -> bool {
    matches!(
        known,
        Known::Accept
            | Known::AcceptEncoding
            | Known::CacheControl
            | Known::ContentType
            | Known::Via
            | Known::XForwardedProto
    )
}
