//! Heads of HTTP/1.1 messages (RFC 9112 §2–6): where one ends, what it says, and what makes it one
//! that two readers could read differently. httparse tells names from values; what it forgives is
//! refused here.

use std::mem::MaybeUninit;

use config::v1::Paths;
use memchr::memchr_iter;
use policy::message::{Headers, Method, Request, Response, Scheme, Status, Version};
use policy::{Code, Refusal, codes};

use super::fields::{Fault, Fields};
use crate::codec::normalize;
use crate::tunnel::websocket;

/// Header fields parsed without allocating.
const FIELDS_INLINE: usize = 256;

/// Trailers of a message at most.
const TRAILERS_MAX: usize = 32;

/// How much a head may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// Bytes.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
}

/// How a message's body is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// By its length.
    Length(u64),
    /// By chunks.
    Chunked,
    /// By the end of the connection; responses only.
    Close,
}

/// What a request's head says to the codec alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead {
    /// How its body is delimited.
    pub framing: Framing,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
    /// Whether the client takes trailers (`TE: trailers`).
    pub trailers: bool,
}

/// What a response's head says to the codec alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseHead {
    /// How its body is delimited.
    pub framing: Framing,
    /// Whether the connection can be used again after it.
    pub keep_alive: bool,
}

/// Looks for the empty line that ends a head. Remembers how far it looked, so that a head that
/// comes byte by byte is read once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndFinder {
    looked: usize,
    line: usize,
}

/// A line was ended by LF alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BareLf;

impl EndFinder {
    /// The length of the head `bytes` starts with, once it is all there.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, BareLf> {
        let new = bytes.get(self.looked..).unwrap_or_default();
        for at in memchr_iter(b'\n', new) {
            let at = self.looked + at;
            if at == 0 || bytes.get(at - 1) != Some(&b'\r') {
                return Err(BareLf);
            }
            if at == self.line + 1 {
                return Ok(Some(at + 1));
            }
            self.line = at + 1;
        }
        self.looked = bytes.len();
        Ok(None)
    }

    /// Whether the first line has ended.
    pub fn has_line(&self) -> bool {
        self.line > 0
    }
}

/// Reads a request's head into `request`; `head` is all of it and nothing else.
pub(crate) fn request(
    head: &[u8],
    limits: HeadLimits,
    scheme: Scheme,
    paths: Paths,
    request: &mut Request,
) -> Result<RequestHead, Refusal> {
    with_fields(limits.fields, |slots| {
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(head, slots) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {
                take_request(head, &parsed, scheme, paths, request)
            }
            Ok(_) => Err(malformed(&codes::REQUEST_MALFORMED, "the head ends early")),
            Err(error) => Err(request_fault(head, error)),
        }
    })
}

fn take_request(
    head: &[u8],
    parsed: &httparse::Request<'_, '_>,
    scheme: Scheme,
    paths: Paths,
    request: &mut Request,
) -> Result<RequestHead, Refusal> {
    let method = parsed.method.unwrap_or_default();
    request.method = Method::new(method.as_bytes()).ok_or_else(|| {
        malformed(&codes::REQUEST_MALFORMED, "the method is longer than 32 bytes")
    })?;
    let old = parsed.version == Some(0);
    request.version = if old { Version::Http10 } else { Version::Http11 };
    let fields = Fields::read(head, parsed.headers, &mut request.headers).map_err(refused)?;
    let framing = request_framing(&fields, old)?;
    if let Some(expect) = fields.expect.filter(|_| !old) {
        if !expect.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::new(&codes::EXPECTATION_FAILED).close());
        }
        request.expects_continue = framing != Framing::None;
    }
    if !old && framing == Framing::None {
        request.upgrade = fields.upgrade_to();
    }
    let target = parsed.path.unwrap_or_default().as_bytes();
    normalize::request(request, target, fields.host, scheme, paths).map_err(Refusal::close)?;
    websocket::check(request).map_err(Refusal::close)?;
    let keep_alive = if old { fields.keep_alive && !fields.close } else { !fields.close };
    Ok(RequestHead { framing, keep_alive, trailers: fields.takes_trailers })
}

fn request_framing(fields: &Fields<'_>, old: bool) -> Result<Framing, Refusal> {
    let wrong = |detail| Err(malformed(&codes::REQUEST_MALFORMED, detail));
    match (fields.chunked, fields.length) {
        (true, _) if old => wrong("HTTP/1.0 has no Transfer-Encoding"),
        (true, Some(_)) => wrong("Content-Length and Transfer-Encoding contradict each other"),
        (true, None) => Ok(Framing::Chunked),
        (false, None | Some(0)) => Ok(Framing::None),
        (false, Some(length)) => Ok(Framing::Length(length)),
    }
}

/// Reads a response's head into `response`; `head` is all of it and nothing else. `to_head`: the
/// request was HEAD.
pub(crate) fn response(
    head: &[u8],
    limits: HeadLimits,
    to_head: bool,
    response: &mut Response,
) -> Result<ResponseHead, &'static str> {
    with_fields(limits.fields, |slots| {
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut parsed, head, slots) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {
                take_response(head, &parsed, to_head, response)
            }
            Ok(_) => Err("the head ends early"),
            Err(error) => Err(fault_text(error)),
        }
    })
}

fn take_response(
    head: &[u8],
    parsed: &httparse::Response<'_, '_>,
    to_head: bool,
    response: &mut Response,
) -> Result<ResponseHead, &'static str> {
    let old = parsed.version == Some(0);
    response.version = if old { Version::Http10 } else { Version::Http11 };
    response.status =
        parsed.code.and_then(Status::new).ok_or("the status is not between 100 and 599")?;
    let fields =
        Fields::read(head, parsed.headers, &mut response.headers).map_err(|fault| fault.detail)?;
    let framing = match (fields.chunked, fields.length) {
        (true, _) if old => return Err("HTTP/1.0 has no Transfer-Encoding"),
        (true, Some(_)) => return Err("Content-Length beside Transfer-Encoding"),
        _ if to_head || !response.status.may_have_body() => Framing::None,
        (true, None) => Framing::Chunked,
        (false, Some(0)) => Framing::None,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::Close,
    };
    // The length a GET would have had (RFC 9110 §8.6): the one case where it says nothing about
    // this message.
    if let Some(length) = fields.length.filter(|_| to_head || response.status.code() == 304) {
        response.headers.append("Content-Length", itoa::Buffer::new().format(length));
    }
    let keep_alive = if old { fields.keep_alive && !fields.close } else { !fields.close };
    // Nobody knows where the next message starts after one that announces a body it can't have.
    let length = fields.length.filter(|_| response.status.code() != 304);
    let announced = fields.chunked || length.is_some_and(|length| length > 0);
    let in_doubt = framing == Framing::Close || (announced && !response.status.may_have_body());
    Ok(ResponseHead { framing, keep_alive: keep_alive && !in_doubt })
}

/// Reads trailers: `block` is their lines with the empty one at the end.
pub(crate) fn trailers(block: &[u8]) -> Result<Headers, &'static str> {
    let mut slots = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    match httparse::parse_headers(block, &mut slots) {
        Ok(httparse::Status::Complete((length, parsed))) if length == block.len() => {
            Ok(Fields::trailers(parsed))
        }
        Ok(_) => Err("the trailers end early"),
        Err(error) => Err(fault_text(error)),
    }
}

/// Room for `count` fields: on the stack where they are as few as usual.
fn with_fields<'b, T>(
    count: usize,
    parse: impl FnOnce(&mut [MaybeUninit<httparse::Header<'b>>]) -> T,
) -> T {
    if count > FIELDS_INLINE {
        return parse(&mut vec![MaybeUninit::uninit(); count]);
    }
    let mut inline = [MaybeUninit::uninit(); FIELDS_INLINE];
    parse(inline.get_mut(..count).unwrap_or_default())
}

/// Which refusal a head deserves that httparse can't read.
fn request_fault(head: &[u8], error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => {
            Refusal::new(&codes::HEADERS_TOO_LARGE).detail("there are too many fields").close()
        }
        httparse::Error::Version if names_a_version(head) => {
            Refusal::new(&codes::VERSION_UNSUPPORTED).close()
        }
        error => malformed(&codes::REQUEST_MALFORMED, fault_text(error)),
    }
}

/// Whether the request line ends in a version of HTTP that is not spoken here.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let spoken = matches!(last, b"HTTP/1.0" | b"HTTP/1.1");
    !spoken
        && matches!(last, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit())
}

const fn fault_text(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a field name is not a token followed by a colon",
        httparse::Error::HeaderValue => "a field value holds a control character",
        httparse::Error::NewLine => "a line is not ended by CR LF",
        httparse::Error::Status => "the status line is malformed",
        httparse::Error::Token => "the first line is malformed",
        httparse::Error::TooManyHeaders => "there are too many fields",
        httparse::Error::Version => "the version is malformed",
    }
}

fn refused(fault: Fault) -> Refusal {
    malformed(fault.code, fault.detail)
}

/// A refusal after which nobody knows where the next message starts.
pub(crate) fn malformed(code: &'static Code, detail: &'static str) -> Refusal {
    Refusal::new(code).detail(detail).close()
}
