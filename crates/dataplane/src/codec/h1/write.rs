//! Heads as they are written.

use std::cell::RefCell;
use std::time::Duration;

use policy::message::{Headers, Known, Method, Response, Version};

use super::head::Framing;
use crate::codec::Outgoing;

/// How a response to a client is framed and whether the connection goes on after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseForm {
    /// How the body is delimited; [`Framing::None`]: it has none.
    pub framing: Framing,
    /// The length of a body that is not sent: the answer to HEAD.
    pub announce: Option<u64>,
    /// A length among the fields is one a GET would have had: it stays.
    pub keep_length: bool,
    /// The client's version.
    pub version: Version,
    /// Whether another request may follow.
    pub keep_alive: bool,
}

/// Writes a request's head. `key`: the `Sec-WebSocket-Key` of a handshake that came without.
pub(crate) fn request(
    out: &mut Vec<u8>,
    request: &Outgoing<'_>,
    framing: Framing,
    key: Option<&[u8]>,
) {
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(request.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(request.authority.as_bytes());
    out.extend_from_slice(b"\r\n");
    request.headers.write_lines(out);
    match framing {
        // Without it some servers wait for a body that never comes (RFC 9110 §8.6).
        Framing::None if matches!(request.method, Method::Post | Method::Put | Method::Patch) => {
            out.extend_from_slice(b"content-length: 0\r\n");
        }
        framing => push_framing(out, framing),
    }
    if let Some(key) = key {
        out.extend_from_slice(b"sec-websocket-key: ");
        out.extend_from_slice(key);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(protocol) = request.upgrade {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: ");
        out.extend_from_slice(protocol.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a response's head. `wall`: now, for `Date`.
pub(crate) fn response(
    out: &mut Vec<u8>,
    response: &mut Response,
    form: ResponseForm,
    wall: Duration,
) {
    status_line(out, response.status.code());
    response.headers.remove_where(|known, _| match known {
        Known::ContentLength => !form.keep_length || form.announce.is_some(),
        known => is_connection(known),
    });
    response.headers.write_lines(out);
    if !response.headers.has(Known::Date) {
        push_date(out, wall);
    }
    push_framing(out, form.announce.map_or(form.framing, Framing::Length));
    match (form.keep_alive, form.version) {
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
        (true, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (true, _) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an interim response.
pub(crate) fn interim(out: &mut Vec<u8>, status: u16, headers: &Headers) {
    status_line(out, status);
    headers.write_lines(out);
    out.extend_from_slice(b"\r\n");
}

/// Writes the answer that switches to `protocol`.
pub(crate) fn switching(out: &mut Vec<u8>, headers: &mut Headers, protocol: &str) {
    headers.remove_where(|known, _| known == Known::ContentLength || is_connection(known));
    status_line(out, 101);
    headers.write_lines(out);
    out.extend_from_slice(b"connection: upgrade\r\nupgrade: ");
    out.extend_from_slice(protocol.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

/// Fields that only the codec writes.
const fn is_connection(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Trailer
            | Known::Upgrade
    )
}

fn push_framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::Close => {}
    }
}

/// `Date`, made anew once a second.
fn push_date(out: &mut Vec<u8>, wall: Duration) {
    thread_local! {
        static DATE: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    DATE.with_borrow_mut(|(second, line)| {
        if *second != wall.as_secs() {
            *second = wall.as_secs();
            let now = std::time::UNIX_EPOCH + Duration::from_secs(*second);
            *line = format!("date: {}\r\n", httpdate::fmt_http_date(now));
        }
        out.extend_from_slice(line.as_bytes());
    });
}

fn status_line(out: &mut Vec<u8>, status: u16) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// What people read beside a status; the registered ones.
fn reason(status: u16) -> &'static str {
    let known = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    known.unwrap_or_default()
}
