//! What the data plane's parsers make of bytes, for tests that throw any bytes at them: bytes in,
//! what was understood out, and what was understood as bytes again.

use std::net::IpAddr;
use std::time::Duration;

use base::{SpanId, TraceId};
use bytes::BytesMut;
use config::v1::Paths;
use policy::Refusal;
use policy::message::{Frame, Headers, Method, Request, Response, Scheme};
use snapshot::ClientAddress;

use crate::accept::{client_address as client, proxy_protocol};
use crate::codec::h1::chunked::{Chunked, Decoded};
use crate::codec::h1::head::{self, EndFinder, HeadLimits};
use crate::codec::h1::write::{self, ResponseForm};
use crate::codec::{Outgoing, grpc, normalize};
use crate::observe::trace::context;
use crate::relay::hello::Reader;

pub use crate::accept::proxy_protocol::{Parsed as ProxyHeader, Said};
pub use crate::codec::h1::head::Framing;
pub use crate::observe::trace::context::Parent;
pub use crate::relay::hello::Seen;

/// What heads may hold here.
const LIMITS: HeadLimits = HeadLimits { bytes: 32 << 10, fields: 100 };

/// A request's head, read.
#[derive(Debug)]
pub struct ReadRequest {
    /// The request, canonical.
    pub request: Request,
    /// How its body is delimited.
    pub framing: Framing,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
}

/// A response's head, read.
#[derive(Debug)]
pub struct ReadResponse {
    /// The response.
    pub response: Response,
    /// How its body is delimited.
    pub framing: Framing,
    /// Whether the connection can be used again after it.
    pub keep_alive: bool,
}

/// A chunked body, as far as it was read.
#[derive(Debug, Default)]
pub struct ReadChunks {
    /// The body.
    pub data: Vec<u8>,
    /// The trailers that go on.
    pub trailers: Option<Headers>,
    /// What was not used of the input.
    pub rest: Vec<u8>,
    /// Whether its end was read.
    pub done: bool,
}

/// The length of the head that `pieces`, put together, start with; none if it is not all there.
///
/// # Errors
/// A line is ended by LF alone.
pub fn head_length<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<Option<usize>, &'static str> {
    let mut finder = EndFinder::default();
    let mut read = Vec::new();
    for piece in pieces {
        read.extend_from_slice(piece);
        match finder.find(&read) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(_) => return Err("a line is ended by LF alone"),
        }
    }
    Ok(None)
}

/// Reads a request's head; `head` is all of it and nothing else.
///
/// # Errors
/// The refusal it gets.
pub fn read_request(head: &[u8], scheme: Scheme) -> Result<ReadRequest, Refusal> {
    let mut request = Request::default();
    let read = head::request(head, LIMITS, scheme, Paths::default(), &mut request)?;
    Ok(ReadRequest { request, framing: read.framing, keep_alive: read.keep_alive })
}

/// The head that `read` is sent to an upstream with, if nothing changes it. `authority` is its own,
/// or another's where it has none (HTTP/1.0).
pub fn write_request(read: &ReadRequest, authority: &str) -> Vec<u8> {
    let ReadRequest { request, framing, .. } = read;
    let mut target = request.target.path.clone();
    if let Some(query) = &request.target.query {
        target.push('?');
        target.push_str(query);
    }
    let outgoing = Outgoing {
        method: request.method,
        scheme: request.target.scheme,
        authority,
        target: &target,
        headers: &request.headers,
        upgrade: request.upgrade.as_deref(),
    };
    let mut out = Vec::new();
    write::request(&mut out, &outgoing, *framing, None);
    out
}

/// Reads a response's head; `head` is all of it and nothing else. `to_head`: the request was HEAD.
///
/// # Errors
/// Why it is not taken.
pub fn read_response(head: &[u8], to_head: bool) -> Result<ReadResponse, &'static str> {
    let mut response = Response::default();
    let read = head::response(head, LIMITS, to_head, &mut response)?;
    Ok(ReadResponse { response, framing: read.framing, keep_alive: read.keep_alive })
}

/// The head that `read` is passed on to a client with; `announce` is the length of a body that is
/// known, `wall` the time for `Date`.
pub fn write_response(read: &mut ReadResponse, to_head: bool, wall: Duration) -> Vec<u8> {
    let ReadResponse { response, framing, keep_alive } = read;
    let bodiless = to_head || !response.status.may_have_body();
    let form = ResponseForm {
        framing: match *framing {
            // Nothing to come, where something could: its length says so.
            Framing::None if !bodiless => Framing::Length(0),
            framing => framing,
        },
        announce: None,
        keep_length: to_head || response.status.code() == 304,
        version: response.version,
        keep_alive: *keep_alive,
    };
    let mut out = Vec::new();
    write::response(&mut out, response, form, wall);
    out
}

/// Reads a chunked body that comes in `pieces`. What was read before an error is lost with it.
///
/// # Errors
/// Why it is not taken.
pub fn read_chunks<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<ReadChunks, &'static str> {
    let mut chunked = Chunked::default();
    let mut input = BytesMut::new();
    let mut read = ReadChunks::default();
    for piece in pieces {
        input.extend_from_slice(piece);
        while !chunked.is_done() {
            match chunked.decode(&mut input)? {
                Decoded::Frame(Frame::Data(data)) => read.data.extend_from_slice(&data),
                Decoded::Frame(Frame::Trailers(trailers)) => read.trailers = Some(trailers),
                Decoded::More | Decoded::End => break,
            }
        }
    }
    read.done = chunked.is_done();
    read.rest = input.to_vec();
    Ok(read)
}

/// The canonical form of a request for `target`, whatever bytes that is, with `authority` as its
/// `Host`.
///
/// # Errors
/// The refusal it gets.
pub fn canonical(
    method: Method,
    target: &[u8],
    authority: &[u8],
    scheme: Scheme,
) -> Result<Request, Refusal> {
    let mut request = Request { method, ..Request::default() };
    normalize::request(&mut request, target, Some(authority), scheme, Paths::default())?;
    Ok(request)
}

/// Reads a PROXY header from the start of `bytes`.
pub fn proxy_header(bytes: &[u8]) -> ProxyHeader {
    proxy_protocol::parse(bytes)
}

/// Reads a ClientHello that comes in `pieces`.
pub fn client_hello<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Seen {
    let mut reader = Reader::default();
    let mut read = Vec::new();
    for piece in pieces {
        read.extend_from_slice(piece);
        let seen = reader.read(&read);
        if seen != Seen::Partial {
            return seen;
        }
    }
    Seen::Partial
}

/// The client's address by what `headers` say and `peer` may be trusted with.
pub fn client_address(rule: &ClientAddress, peer: IpAddr, headers: &Headers) -> IpAddr {
    client::find(rule, peer, headers)
}

/// The caller's trace.
pub fn trace_parent(headers: &Headers) -> Option<Parent> {
    context::parent(headers)
}

/// The `traceparent` an upstream gets.
pub fn write_trace_parent(trace: TraceId, span: SpanId, sampled: bool) -> Vec<u8> {
    context::format(trace, span, sampled).to_vec()
}

/// Whether these fields are a `tracestate`.
pub fn is_trace_state(fields: &[&[u8]]) -> bool {
    context::is_state(fields.iter().copied())
}

/// Reads `grpc-timeout`.
pub fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    grpc::parse_timeout(value)
}

/// Writes `grpc-timeout`.
pub fn write_grpc_timeout(timeout: Duration) -> String {
    grpc::format_timeout(timeout)
}

/// Writes `grpc-message`.
pub fn write_grpc_message(text: &str) -> String {
    grpc::encode_message(text)
}

/// Whether a gRPC service says in this body of a health check's response that it serves; none where
/// it is no such body.
pub fn grpc_health(body: &[u8]) -> Option<bool> {
    grpc::health_response(body).map(|health| health == grpc::ServiceHealth::Serving)
}
