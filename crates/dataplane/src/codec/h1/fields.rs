//! The fields of a message that are about the connection and the framing. They end here: what is
//! left goes on.

use policy::message::{Headers, Known};
use policy::{Code, codes};
use smallvec::SmallVec;

use crate::codec::trailers;

/// Names a `Connection` field may hold; nobody sends more in good faith.
const NAMED_MAX: usize = 32;

/// Bytes of a field name.
const NAME_MAX: usize = 256;

/// What a message's fields say about its connection and its framing.
#[derive(Debug, Default)]
pub(crate) struct Fields<'b> {
    /// `Host`.
    pub host: Option<&'b [u8]>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// `Connection: close`.
    pub close: bool,
    /// `Connection: keep-alive`.
    pub keep_alive: bool,
    /// `TE: trailers`.
    pub takes_trailers: bool,
    /// `Expect`.
    pub expect: Option<&'b [u8]>,
    upgrade: Option<&'b [u8]>,
    upgrade_named: bool,
    /// Fields that `Connection` names, to be removed.
    named: SmallVec<[&'b [u8]; 4]>,
}

/// Why fields can't be read.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The refusal it makes in a request.
    pub code: &'static Code,
    /// More.
    pub detail: &'static str,
}

impl<'b> Fields<'b> {
    /// Takes the fields of `head` apart: those of the connection are told, the others go into
    /// `headers`.
    pub fn read(
        head: &'b [u8],
        parsed: &[httparse::Header<'b>],
        headers: &mut Headers,
    ) -> Result<Self, Fault> {
        let mut fields = Self::default();
        let Some(first) = parsed.first() else { return Ok(fields) };
        let start = offset(head, first.name);
        let block = headers.add_block(head.get(start..).unwrap_or_default());
        for field in parsed {
            let known = Known::of(field.name.as_bytes());
            if known != Known::Other && fields.take(known, field.value)? {
                continue;
            }
            if field.name.len() > NAME_MAX {
                return Err(malformed("a field name is longer than 256 bytes"));
            }
            let name = offset(head, field.name) - start;
            let name = name..name + field.name.len();
            let value = match field.value {
                [] => name.end + 1,
                value => offset(head, value) - start,
            };
            headers.add_line(block, known, name, value..value + field.value.len());
        }
        if !fields.named.is_empty() {
            let named = &fields.named;
            headers.remove_where(|known, name| {
                !known.tells_where_from()
                    && named.iter().any(|gone| gone.eq_ignore_ascii_case(name))
            });
        }
        Ok(fields)
    }

    /// The trailers, but for those that must not come after a body (RFC 9110 §6.5.1) and those that
    /// the gateway trusts or sets itself.
    pub fn trailers(parsed: &[httparse::Header<'_>]) -> Headers {
        let mut headers = Headers::new();
        for field in parsed {
            if !trailers::is_barred(Known::of(field.name.as_bytes())) {
                headers.append(field.name, field.value);
            }
        }
        headers
    }

    /// The protocol to switch to, if one is asked for that can be carried: HTTP/2 and TLS can't,
    /// for the requests that follow would pass the gateway unread.
    pub fn upgrade_to(&self) -> Option<Box<str>> {
        let wanted = self.upgrade.filter(|_| self.upgrade_named)?;
        let first = list(wanted).next()?;
        let token = std::str::from_utf8(first).ok()?.to_ascii_lowercase();
        let name = token.split('/').next().unwrap_or_default();
        (!matches!(name, "h2c" | "h2" | "http" | "tls")).then(|| token.into())
    }

    /// Takes a known field if it is one of the connection.
    fn take(&mut self, known: Known, value: &'b [u8]) -> Result<bool, Fault> {
        match known {
            Known::Host => match self.host.replace(value) {
                Some(_) => {
                    return Err(Fault { code: &codes::HOST_INVALID, detail: "there are two Host" });
                }
                None => return Ok(true),
            },
            Known::ContentLength => {
                if self.length.replace(content_length(value)?).is_some() {
                    return Err(malformed("there are two Content-Length"));
                }
            }
            Known::TransferEncoding => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    let detail = "Transfer-Encoding is not exactly `chunked`";
                    return Err(Fault { code: &codes::TRANSFER_CODING_UNSUPPORTED, detail });
                }
                if std::mem::replace(&mut self.chunked, true) {
                    return Err(malformed("there are two Transfer-Encoding"));
                }
            }
            Known::Connection => self.connection(value)?,
            Known::Te => {
                self.takes_trailers |= list(value).any(|te| te.eq_ignore_ascii_case(b"trailers"));
            }
            Known::Expect => {
                if self.expect.replace(value).is_some() {
                    return Err(malformed("there are two Expect"));
                }
            }
            Known::Upgrade => self.upgrade = self.upgrade.or(Some(value)),
            Known::KeepAlive | Known::ProxyConnection | Known::Http2Settings | Known::Trailer => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn connection(&mut self, value: &'b [u8]) -> Result<(), Fault> {
        for token in list(value) {
            if token.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_named = true;
            } else if self.named.len() < NAMED_MAX {
                self.named.push(token);
            } else {
                return Err(malformed("Connection names too many fields"));
            }
        }
        Ok(())
    }
}

/// Digits, nothing else (RFC 9112 §6.2; a list of equal lengths is refused too).
fn content_length(value: &[u8]) -> Result<u64, Fault> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(malformed("Content-Length is not a number"));
    }
    let digits = std::str::from_utf8(value).unwrap_or_default();
    digits.parse().map_err(|_| malformed("Content-Length is too large"))
}

/// The elements of a comma-separated list, without empty ones.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Where `part`, a piece of `whole`, starts in it.
fn offset(whole: &[u8], part: impl AsRef<[u8]>) -> usize {
    (part.as_ref().as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

const fn malformed(detail: &'static str) -> Fault {
    Fault { code: &codes::REQUEST_MALFORMED, detail }
}
