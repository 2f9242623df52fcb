//! Heads of messages to and from an endpoint.

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, RecvStream};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Uri, header};
use policy::message::{Body, Known, Method, Response, Scheme, Status, Version};

use super::fields::{self, Remember};
use super::pump::PumpFault;
use crate::codec::{Outgoing, RESPONSE_FIELDS, SendError, SendFault};
use crate::tunnel::websocket;

/// A request as the h2 crate takes it. An upgrade becomes an extended CONNECT (RFC 8441 §4).
pub(super) fn request(out: &Outgoing<'_>, body: &Body) -> Result<http::Request<()>, SendError> {
    let unfit = |what: &str| SendError {
        kind: SendFault::Malformed,
        sent: false,
        note: format!("the request's {what} can't be written as HTTP/2").into(),
    };
    let mut head = http::Request::new(());
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(match out.scheme {
        Scheme::Http => http::uri::Scheme::HTTP,
        Scheme::Https => http::uri::Scheme::HTTPS,
    });
    let authority = Authority::from_maybe_shared(Bytes::copy_from_slice(out.authority.as_bytes()));
    uri.authority = Some(authority.map_err(|_| unfit("host"))?);
    let target = PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(out.target.as_bytes()));
    uri.path_and_query = Some(target.map_err(|_| unfit("target"))?);
    *head.uri_mut() = Uri::from_parts(uri).map_err(|_| unfit("target"))?;
    *head.method_mut() = match out.upgrade {
        Some(protocol) => {
            head.extensions_mut().insert(Protocol::from(protocol));
            http::Method::CONNECT
        }
        None => method(out.method).ok_or_else(|| unfit("method"))?,
    };
    let upgrading = out.upgrade.is_some();
    let mut headers = fields::write(out.headers, Remember::Shared, |known| {
        upgrading && websocket::h1_only(known)
    });
    if !upgrading {
        frame(out, body, &mut headers);
    }
    *head.headers_mut() = headers;
    Ok(head)
}

/// Says what is known of the body and its trailers.
fn frame(out: &Outgoing<'_>, body: &Body, headers: &mut HeaderMap) {
    let expected = matches!(out.method, Method::Post | Method::Put | Method::Patch);
    match body.remaining() {
        Some(0) if !expected => {}
        Some(length) => fields::set_length(headers, length),
        None => {}
    }
    // gRPC servers take no call without it.
    let call = out.headers.get(Known::ContentType);
    if call.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

fn method(method: Method) -> Option<http::Method> {
    Some(match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Patch => http::Method::PATCH,
        Method::Options => http::Method::OPTIONS,
        other => http::Method::from_bytes(other.as_str().as_bytes()).ok()?,
    })
}

/// Fills in `response` from a head; gives its body's stream, and the body's length where that is
/// known.
pub(super) fn response(
    coming: http::Response<RecvStream>,
    to_head: bool,
    response: &mut Response,
) -> Result<(RecvStream, Option<u64>), SendError> {
    let (head, stream) = coming.into_parts();
    let malformed =
        |note: String| SendError { kind: SendFault::Malformed, sent: true, note: note.into() };
    if head.headers.len() > RESPONSE_FIELDS {
        return Err(malformed("there are too many fields".into()));
    }
    let status = Status::new(head.status.as_u16()).ok_or_else(|| {
        malformed(format!("the status {} is not between 100 and 599", head.status))
    })?;
    response.status = status;
    response.version = Version::Http2;
    response.body = Body::Empty;
    fields::read(&head.headers, &mut response.headers);
    let length = length(&head.headers);
    // The length a GET would have had (RFC 9110 §8.6): the one case where it says nothing about
    // this message.
    if to_head || status.code() == 304 {
        if let Some(length) = length {
            response.headers.append("content-length", itoa::Buffer::new().format(length));
        }
        return Ok((stream, None));
    }
    Ok((stream, length))
}

/// `Content-Length`. The h2 crate has refused heads where it is not a number.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What an error of the h2 crate says about the request it ended.
pub(super) fn fault(error: &h2::Error) -> SendError {
    let refused =
        error.is_go_away() || (error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM));
    let (kind, sent) = if error.is_remote() && refused {
        (SendFault::Refused, false)
    } else if error.is_library() && error.is_reset() {
        // What ended the connection may have been about another request.
        (SendFault::Malformed, true)
    } else {
        (SendFault::Reset, true)
    };
    SendError { kind, sent, note: error.to_string().into() }
}

/// The endpoint's answer can't be read.
pub(super) fn malformed(note: &str) -> SendError {
    SendError { kind: SendFault::Malformed, sent: true, note: note.into() }
}

/// What it means for a request that its body could not be sent.
pub(super) fn body_fault(fault: PumpFault) -> SendError {
    let (kind, note) = match fault {
        PumpFault::Body(error) => (SendFault::Body(error), "the client's body broke off"),
        PumpFault::Stalled => (SendFault::Reset, "the endpoint stopped taking the body"),
        PumpFault::Gone => (SendFault::Reset, "the endpoint reset the stream"),
    };
    SendError { kind, sent: true, note: note.into() }
}
