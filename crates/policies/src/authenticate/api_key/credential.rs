//! Takes API keys out of a request.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use policy::message::{Name, Request};

/// Most bytes of a key; what is longer is not hashed and known to nobody.
pub(super) const KEY_BYTES: usize = 512;

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No key.
    None,
    /// One key, perhaps more than once: its SHA-256.
    One([u8; 32]),
    /// Different keys.
    Several,
    /// Something too long for a key.
    TooLong,
}

impl Found {
    fn and(self, key: &[u8]) -> Self {
        if key.len() > KEY_BYTES {
            return if self == Self::None { Self::TooLong } else { Self::Several };
        }
        let hash = sha256(key);
        match self {
            Self::None => Self::One(hash),
            Self::One(other) if other == hash => self,
            _ => Self::Several,
        }
    }
}

/// Takes the keys out of `header` and out of the query's parameter `query`, and says what they
/// were. An empty value is no key.
pub(super) fn take(request: &mut Request, header: Option<&Name>, query: Option<&str>) -> Found {
    let mut found = Found::None;
    if let Some(name) = header {
        let values = request.headers.all(name);
        found = values.filter(|key| !key.is_empty()).fold(found, Found::and);
        request.headers.remove(name);
    }
    let (Some(name), Some(text)) = (query, &request.target.query) else { return found };
    if !text.split('&').any(|pair| parameter(pair).0 == name) {
        return found;
    }
    let mut kept = String::with_capacity(text.len());
    let mut first = true;
    for pair in text.split('&') {
        let (written, value) = parameter(pair);
        if written == name {
            let key = decoded(value);
            if !key.is_empty() {
                found = found.and(&key);
            }
        } else {
            if !std::mem::take(&mut first) {
                kept.push('&');
            }
            kept.push_str(pair);
        }
    }
    request.target.query = if first { None } else { Some(kept) };
    found
}

/// Name and value of a parameter, as written.
fn parameter(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

fn sha256(key: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest(&SHA256, key).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// The bytes that `value` stands for; as it is where its escapes are broken.
fn decoded(value: &str) -> Cow<'_, [u8]> {
    let bytes = value.as_bytes();
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => out.push((high << 4 | low) as u8),
                _ => return Cow::Borrowed(bytes),
            },
            byte => out.push(byte),
        }
    }
    Cow::Owned(out)
}

/// Whether `byte` stands for itself in a query, so that a name made of such has one spelling that
/// callers use.
pub(super) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_query(query: &str) -> (Found, Option<String>) {
        let mut request = Request::default();
        request.target.query = Some(query.into());
        let found = take(&mut request, None, Some("key"));
        (found, request.target.query)
    }

    #[test]
    fn a_key_is_taken_out_of_the_query_wherever_it_stands() {
        let one = Found::One(sha256(b"abc"));
        for (query, found, left) in [
            ("key=abc", one, None),
            ("key=abc&a=1", one, Some("a=1")),
            ("a=1&key=abc", one, Some("a=1")),
            ("a=1&key=abc&b=2", one, Some("a=1&b=2")),
            ("key=abc&key=abc", one, None),
            ("key=%61bc", one, None),
            ("key=abc&key=x", Found::Several, None),
            ("a=1&monkey=abc", Found::None, Some("a=1&monkey=abc")),
            ("key=", Found::None, None),
            ("key", Found::None, None),
            ("a=key", Found::None, Some("a=key")),
            ("", Found::None, Some("")),
            ("&&key=abc&&", one, Some("&&&")),
        ] {
            assert_eq!(from_query(query), (found, left.map(str::to_owned)), "{query}");
        }
    }

    #[test]
    fn a_key_is_taken_out_of_the_header() {
        let mut request = Request::default();
        request.headers.append("X-Api-Key", "abc");
        let name = Name::new("x-api-key").unwrap();
        assert_eq!(take(&mut request, Some(&name), None), Found::One(sha256(b"abc")));
        assert!(request.headers.is_empty());
        request.headers.append("x-api-key", "abc");
        request.headers.append("X-API-KEY", "abd");
        assert_eq!(take(&mut request, Some(&name), None), Found::Several);
        request.headers.append("x-api-key", "a".repeat(KEY_BYTES + 1));
        assert_eq!(take(&mut request, Some(&name), None), Found::TooLong);
        assert!(request.headers.is_empty());
    }

    #[test]
    fn header_and_query_must_agree() {
        let name = Name::new("x-api-key").unwrap();
        for (query, found) in [("key=abc", Found::One(sha256(b"abc"))), ("key=b", Found::Several)] {
            let mut request = Request::default();
            request.headers.append("x-api-key", "abc");
            request.target.query = Some(query.into());
            assert_eq!(take(&mut request, Some(&name), Some("key")), found);
            assert_eq!(request.target.query, None);
        }
    }
}
