//! WebSocket handshakes across versions of HTTP (RFC 6455, RFC 8441).
//!
//! In an exchange a handshake looks the same whatever came and whatever is called: a GET whose
//! `upgrade` is `websocket`, accepted by status 101. What a version adds to that stands at the
//! codec's edge alone:
//!
//! - client, HTTP/1.1: [`check`] wants a GET with a good `Sec-WebSocket-Key`; [`complete`] adds
//!   `Sec-WebSocket-Accept` where there is none;
//! - client, HTTP/2: `CONNECT` with `:protocol` becomes a GET; 101 is sent as 200, and [`h1_only`]
//!   fields are left out;
//! - upstream, HTTP/1.1: [`Opening::new`] takes the client's key, or a new one to write;
//!   [`Opening::verify`] holds the 101 to it;
//! - upstream, HTTP/2: sent as `CONNECT` with `:protocol`, [`h1_only`] fields left out; 2xx becomes
//!   101.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::message::{Headers, Known, Method, Request, Response, Status};
use policy::{Refusal, codes};

/// The protocol's name in `Upgrade` and `:protocol`.
pub(crate) const PROTOCOL: &str = "websocket";

/// The status of an accepted upgrade in an exchange, and over HTTP/1.1.
pub(crate) const SWITCHING: Status = match Status::new(101) {
    Some(status) => status,
    None => Status::OK,
};

/// What every server appends to the key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether this is the opening of a WebSocket.
pub(crate) fn is_opening(request: &Request) -> bool {
    request.upgrade.as_deref() == Some(PROTOCOL)
}

/// Refuses an opening over HTTP/1.1 that no server may accept (RFC 6455 §4.2.1): another method
/// than GET, or a `Sec-WebSocket-Key` that is not 16 bytes in base64. The version is the upstream's
/// to judge. Other requests pass.
pub(crate) fn check(request: &Request) -> Result<(), Refusal> {
    if !is_opening(request) {
        return Ok(());
    }
    let malformed = |detail: &str| Err(Refusal::new(&codes::REQUEST_MALFORMED).detail(detail));
    if request.method != Method::Get {
        return malformed("a WebSocket is opened with GET");
    }
    let mut keys = request.headers.all(Known::SecWebSocketKey);
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key) => Ok(()),
        _ => malformed("Sec-WebSocket-Key is not there once, 16 bytes in base64"),
    }
}

fn is_key(key: &[u8]) -> bool {
    let mut bytes = [0; 18];
    key.len() == 24 && BASE64.decode_slice(key, &mut bytes) == Ok(16)
}

/// What `Sec-WebSocket-Accept` answers to a key.
pub(crate) fn accept_key(key: &[u8]) -> [u8; 28] {
    let mut text = Vec::with_capacity(key.len() + GUID.len());
    text.extend_from_slice(key);
    text.extend_from_slice(GUID);
    let mut accept = [0; 28];
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &text);
    // 20 bytes are 28 in base64: it always fits.
    let written = BASE64.encode_slice(hash.as_ref(), &mut accept);
    debug_assert_eq!(written, Ok(28));
    accept
}

/// Whether a field belongs to the handshake over HTTP/1.1 only (RFC 8441 §5).
pub(crate) fn h1_only(name: Known) -> bool {
    matches!(name, Known::SecWebSocketKey | Known::SecWebSocketAccept)
}

/// Gives an accepted handshake the `Sec-WebSocket-Accept` its client over HTTP/1.1 waits for, if
/// the upstream, over HTTP/2, gave none. Does nothing to other responses.
pub(crate) fn complete(request: &Request, response: &mut Response) {
    if !is_opening(request) || response.status != SWITCHING {
        return;
    }
    if response.headers.has(Known::SecWebSocketAccept) {
        return;
    }
    if let Some(key) = request.headers.get(Known::SecWebSocketKey) {
        response.headers.append(Known::SecWebSocketAccept.text(), accept_key(key));
    }
}

/// A handshake as it goes to an upstream over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Opening {
    made: Option<[u8; 24]>,
    accept: [u8; 28],
}

impl Opening {
    /// Takes the client's key, or makes one where it has none because it came over HTTP/2.
    pub fn new(request: &Headers) -> Self {
        match request.get(Known::SecWebSocketKey) {
            Some(key) => Self { made: None, accept: accept_key(key) },
            None => {
                let mut nonce = [0; 16];
                fastrand::fill(&mut nonce);
                let mut key = [0; 24];
                let written = BASE64.encode_slice(nonce, &mut key);
                debug_assert_eq!(written, Ok(24));
                Self { made: Some(key), accept: accept_key(&key) }
            }
        }
    }

    /// The `Sec-WebSocket-Key` to write beside the request's fields, where they have none.
    pub fn key_to_write(&self) -> Option<&[u8]> {
        self.made.as_ref().map(|key| &key[..])
    }

    /// Whether the upstream's 101 answers this very handshake (RFC 6455 §4.1); other statuses need
    /// not. Takes the answer to a key of our own out: the client has not asked for it.
    pub fn verify(&self, response: &mut Response) -> bool {
        if response.status != SWITCHING {
            return true;
        }
        let mut accepts = response.headers.all(Known::SecWebSocketAccept);
        let good = accepts.next() == Some(&self.accept[..]) && accepts.next().is_none();
        drop(accepts);
        if self.made.is_some() {
            response.headers.remove(Known::SecWebSocketAccept);
        }
        good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handshake of RFC 6455 §1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn opening(fields: &[(&str, &str)]) -> Request {
        let mut request = Request { method: Method::Get, ..Request::default() };
        request.upgrade = Some(PROTOCOL.into());
        for (name, value) in fields {
            assert!(request.headers.append(name, value));
        }
        request
    }

    fn answer(status: u16, accept: Option<&[u8]>) -> Response {
        let mut response = Response::new(Status::new(status).unwrap());
        if let Some(accept) = accept {
            assert!(response.headers.append("Sec-WebSocket-Accept", accept));
        }
        response
    }

    #[test]
    fn the_example_of_the_rfc_holds() {
        assert_eq!(accept_key(KEY.as_bytes()), *ACCEPT);
    }

    #[test]
    fn openings_no_server_may_accept_are_refused() {
        let good = [("Sec-WebSocket-Key", KEY)];
        assert!(check(&opening(&good)).is_ok());
        assert!(check(&Request::default()).is_ok(), "no opening, nothing to check");
        let twice = [good[0], good[0]];
        for bad in [
            &[][..],
            &twice,
            &[("Sec-WebSocket-Key", "c2hvcnQ=")],
            &[("Sec-WebSocket-Key", "########################")],
        ] {
            let refusal = check(&opening(bad)).unwrap_err();
            assert_eq!(refusal.code.name, "request_malformed", "{bad:?}");
        }
        let mut post = opening(&good);
        post.method = Method::Post;
        assert!(check(&post).is_err());
    }

    #[test]
    fn a_client_over_http2_gets_a_key_made_and_never_sees_it() {
        let request = opening(&[("sec-websocket-version", "13")]);
        let opening = Opening::new(&request.headers);
        let key = opening.key_to_write().expect("no key came");
        assert!(is_key(key));
        assert_ne!(Opening::new(&request.headers).key_to_write(), Some(key), "keys differ");

        let mut response = answer(101, Some(&accept_key(key)));
        assert!(opening.verify(&mut response));
        assert!(!response.headers.has(Known::SecWebSocketAccept));
    }

    #[test]
    fn an_upstream_that_answers_another_handshake_is_found_out() {
        let request = opening(&[("Sec-WebSocket-Key", KEY)]);
        let opening = Opening::new(&request.headers);
        assert_eq!(opening.key_to_write(), None, "the client's key is sent");
        assert!(opening.verify(&mut answer(101, Some(ACCEPT))));
        assert!(!opening.verify(&mut answer(101, None)));
        assert!(!opening.verify(&mut answer(101, Some(b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="))));
        assert!(opening.verify(&mut answer(403, None)), "a refusal needs no answer to the key");
    }

    #[test]
    fn a_client_over_http1_gets_the_answer_an_upstream_over_http2_does_not_give() {
        let request = opening(&[("Sec-WebSocket-Key", KEY)]);
        let mut response = answer(101, None);
        complete(&request, &mut response);
        assert_eq!(response.headers.get(Known::SecWebSocketAccept), Some(ACCEPT));

        let mut refused = answer(403, None);
        complete(&request, &mut refused);
        assert!(refused.headers.is_empty());
    }
}
