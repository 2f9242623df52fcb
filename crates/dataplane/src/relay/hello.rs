//! The ClientHello of a TLS connection, read without taking part in the handshake: which server is
//! asked for (RFC 8446 §4.1.2, RFC 6066 §3). Strict and bounded; fed piece by piece, however the
//! client cut it into records and packets. With Encrypted Client Hello the name is the outer one.

use std::sync::Arc;

/// Longest handshake message taken, its header included.
const MESSAGE_MAX: usize = 16 << 10;

/// Most bytes read for it, headers of records included: whoever sends a byte a record is cut off
/// before this costs anything.
const BYTES_MAX: usize = 32 << 10;

/// Longest record (RFC 8446 §5.1).
const RECORD_MAX: usize = 1 << 14;

/// Bytes of a record's header.
const RECORD_HEADER: usize = 5;

/// Bytes of a handshake message's header.
const MESSAGE_HEADER: usize = 4;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;

/// What a connection's first bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// More are needed.
    Partial,
    /// A whole ClientHello that asks for this name, in lower case; or for none.
    Hello(Option<Arc<str>>),
    /// No ClientHello, for this reason.
    Wrong(&'static str),
}

/// Reads a ClientHello. Looks at every byte once.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Bytes of the connection that were looked at.
    looked_at: usize,
    /// Bytes left of the record that began.
    left: usize,
    /// The handshake message as far as it is there, without the records around it.
    message: Vec<u8>,
}

impl Reader {
    /// Looks at the connection's bytes so far, which begin as they did before.
    pub fn read(&mut self, bytes: &[u8]) -> Seen {
        match self.look(bytes) {
            Ok(seen) => seen,
            Err(what) => Seen::Wrong(what),
        }
    }

    fn look(&mut self, bytes: &[u8]) -> Result<Seen, &'static str> {
        loop {
            let rest = bytes.get(self.looked_at..).unwrap_or_default();
            if self.left == 0 {
                let Some(length) = record(rest)? else { break };
                self.looked_at += RECORD_HEADER;
                self.left = length;
                continue;
            }
            let piece = rest.get(..self.left.min(rest.len())).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            self.message.extend_from_slice(piece);
            self.looked_at += piece.len();
            self.left -= piece.len();
            if let Some(length) = message(&self.message)? {
                if self.message.len() + self.left > length {
                    return Err("something stands behind the ClientHello in its record");
                }
                if self.message.len() == length {
                    let body = self.message.get(MESSAGE_HEADER..).unwrap_or_default();
                    return server_name(body).map(Seen::Hello);
                }
            }
        }
        if bytes.len() >= BYTES_MAX {
            return Err("the ClientHello is in too many pieces");
        }
        Ok(Seen::Partial)
    }
}

/// The length of the record that begins here, once its header is there.
fn record(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    if bytes.first().is_some_and(|kind| *kind != HANDSHAKE) {
        return Err("this is no TLS handshake");
    }
    if bytes.get(1).is_some_and(|major| *major != 3) {
        return Err("this is no version of TLS");
    }
    let Some([_, _, _, high, low]) = bytes.get(..RECORD_HEADER) else { return Ok(None) };
    match usize::from(u16::from_be_bytes([*high, *low])) {
        0 => Err("a record of the handshake is empty"),
        length if length > RECORD_MAX => Err("a record is longer than records are"),
        length => Ok(Some(length)),
    }
}

/// The length of the message that begins here, its header included, once that is there.
fn message(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    if bytes.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err("the handshake does not start with a ClientHello");
    }
    let Some([_, high, middle, low]) = bytes.get(..MESSAGE_HEADER) else { return Ok(None) };
    let body = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
    if body + MESSAGE_HEADER > MESSAGE_MAX {
        return Err("the ClientHello is longer than 16 KiB");
    }
    Ok(Some(body + MESSAGE_HEADER))
}

/// A piece of a message, read from its front.
struct Piece<'m>(&'m [u8]);

/// The message's lengths contradict each other.
const BROKEN: &str = "the ClientHello is malformed";

impl<'m> Piece<'m> {
    fn take(&mut self, count: usize) -> Result<&'m [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BROKEN)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        self.take(1)?.first().copied().ok_or(BROKEN)
    }

    fn number(&mut self) -> Result<u16, &'static str> {
        match self.take(2)? {
            [high, low] => Ok(u16::from_be_bytes([*high, *low])),
            _ => Err(BROKEN),
        }
    }

    /// What stands behind a length of one byte.
    fn short(&mut self) -> Result<&'m [u8], &'static str> {
        let length = self.byte()?;
        self.take(length.into())
    }

    /// What stands behind a length of two bytes.
    fn long(&mut self) -> Result<Self, &'static str> {
        let length = self.number()?;
        self.take(length.into()).map(Self)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The name a ClientHello asks for.
fn server_name(body: &[u8]) -> Result<Option<Arc<str>>, &'static str> {
    let mut hello = Piece(body);
    let version = hello.number()?;
    hello.take(32)?;
    let session = hello.short()?;
    let ciphers = hello.long()?;
    let compression = hello.short()?;
    let odd = version >> 8 != 3
        || session.len() > 32
        || ciphers.is_empty()
        || ciphers.0.len() % 2 != 0
        || compression.is_empty();
    if odd {
        return Err(BROKEN);
    }
    if hello.is_empty() {
        // TLS 1.2 allows a ClientHello without extensions.
        return Ok(None);
    }
    let mut extensions = hello.long()?;
    if !hello.is_empty() {
        return Err(BROKEN);
    }
    let mut name = None;
    while !extensions.is_empty() {
        let kind = extensions.number()?;
        let content = extensions.long()?;
        if kind == SERVER_NAME && name.replace(host_name(content)?).is_some() {
            return Err("the ClientHello asks for a server twice");
        }
    }
    Ok(name)
}

/// The one name in a list of server names; another kind than host names was never defined.
fn host_name(mut content: Piece<'_>) -> Result<Arc<str>, &'static str> {
    let mut list = content.long()?;
    let kind = list.byte()?;
    let name = list.long()?;
    if kind != 0 || !list.is_empty() || !content.is_empty() {
        return Err("the ClientHello does not ask for one host name");
    }
    let name = std::str::from_utf8(name.0).ok().filter(|name| is_name(name));
    let name = name.ok_or("the name in the ClientHello is no host name")?;
    Ok(name.to_ascii_lowercase().into())
}

/// Labels of letters, digits, `-` and `_`, without a dot at the end.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
