//! Finds API keys in a request, and takes them out.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use policy::Issued;
use policy::message::{Known, Name, Request};

/// Most bytes of a key; what is longer is not hashed and known to nobody.
pub(super) const KEY_BYTES: usize = 512;

/// Where keys stand.
#[derive(Debug)]
pub(super) struct Places {
    /// The header field.
    pub(super) header: Option<Name>,
    /// The query's parameter.
    pub(super) query: Option<String>,
    /// The cookie.
    pub(super) cookie: Option<String>,
}

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No key.
    None,
    /// One key, perhaps more than once.
    One(Shown),
    /// Different keys.
    Several,
    /// Something too long for a key.
    TooLong,
}

/// A key that a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its SHA-256.
    pub(super) sha256: [u8; 32],
    /// Whether Gateward made it.
    pub(super) issued: Issued,
}

impl Found {
    /// With one more; an empty one is none.
    fn and(self, key: &[u8]) -> Self {
        if key.is_empty() {
            return self;
        }
        if key.len() > KEY_BYTES {
            return if self == Self::None { Self::TooLong } else { Self::Several };
        }
        let shown = Shown { sha256: sha256(key), issued: Issued::of(key) };
        match self {
            Self::None => Self::One(shown),
            Self::One(other) if other == shown => self,
            _ => Self::Several,
        }
    }
}

impl Places {
    /// What keys `request` shows, wherever they stand.
    pub(super) fn find(&self, request: &Request) -> Found {
        let mut found = Found::None;
        if let Some(name) = &self.header {
            found = request.headers.all(name).fold(found, Found::and);
        }
        if let (Some(name), Some(text)) = (&self.query, &request.target.query) {
            let pairs = text.split('&').map(parameter);
            let keys = pairs.filter(|(written, _)| written == name).map(|(_, key)| decoded(key));
            found = keys.fold(found, |found, key| found.and(&key));
        }
        if let Some(name) = &self.cookie {
            let cookies = request.headers.all(Known::Cookie).flat_map(cookies);
            let keys = cookies.filter_map(|cookie| named(cookie, name));
            found = keys.fold(found, Found::and);
        }
        found
    }

    /// Takes out of `request` all that stands where keys do.
    pub(super) fn clear(&self, request: &mut Request) {
        if let Some(name) = &self.header {
            request.headers.remove(name);
        }
        if let (Some(name), Some(text)) = (&self.query, &request.target.query)
            && text.split('&').any(|pair| parameter(pair).0 == name)
        {
            let mut kept = String::with_capacity(text.len());
            let mut first = true;
            for pair in text.split('&').filter(|pair| parameter(pair).0 != name) {
                if !std::mem::take(&mut first) {
                    kept.push('&');
                }
                kept.push_str(pair);
            }
            request.target.query = if first { None } else { Some(kept) };
        }
        if let Some(name) = &self.cookie {
            clear_cookie(request, name);
        }
    }
}

/// Takes the cookies `name` out; the others stay, in one field.
fn clear_cookie(request: &mut Request, name: &str) {
    let mut kept = Vec::new();
    let mut any = false;
    for cookie in request.headers.all(Known::Cookie).flat_map(cookies) {
        if named(cookie, name).is_some() {
            any = true;
            continue;
        }
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(cookie);
    }
    if !any {
        return;
    }
    request.headers.remove(Known::Cookie);
    if !kept.is_empty() {
        request.headers.append_known(Known::Cookie, &kept);
    }
}

/// The cookies of a `Cookie` (RFC 6265 §4.2.1).
fn cookies(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty())
}

/// The value of `cookie` if it has this name.
fn named<'c>(cookie: &'c [u8], name: &str) -> Option<&'c [u8]> {
    let rest = cookie.strip_prefix(name.as_bytes())?.trim_ascii_start();
    match rest {
        [] => Some(rest),
        [b'=', value @ ..] => Some(value.trim_ascii()),
        _ => None,
    }
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

    fn places(header: Option<&str>, query: Option<&str>, cookie: Option<&str>) -> Places {
        Places {
            header: header.map(|name| Name::new(name).unwrap()),
            query: query.map(str::to_owned),
            cookie: cookie.map(str::to_owned),
        }
    }

    /// What is found, and then taken out so that nothing more is.
    fn take(request: &mut Request, places: &Places) -> Found {
        let found = places.find(request);
        places.clear(request);
        assert_eq!(places.find(request), Found::None, "{request:?}");
        found
    }

    fn one(key: &str) -> Found {
        let key = key.as_bytes();
        Found::One(Shown { sha256: sha256(key), issued: Issued::of(key) })
    }

    fn from_query(query: &str) -> (Found, Option<String>) {
        let mut request = Request::default();
        request.target.query = Some(query.into());
        let found = take(&mut request, &places(None, Some("key"), None));
        (found, request.target.query)
    }

    #[test]
    fn a_key_is_taken_out_of_the_query_wherever_it_stands() {
        let one = one("abc");
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
        let places = places(Some("x-api-key"), None, None);
        let mut request = Request::default();
        request.headers.append("X-Api-Key", "abc");
        assert_eq!(take(&mut request, &places), one("abc"));
        assert!(request.headers.is_empty());
        request.headers.append("x-api-key", "abc");
        request.headers.append("X-API-KEY", "abd");
        assert_eq!(take(&mut request, &places), Found::Several);
        request.headers.append("x-api-key", "a".repeat(KEY_BYTES + 1));
        assert_eq!(take(&mut request, &places), Found::TooLong);
        assert!(request.headers.is_empty());
    }

    #[test]
    fn a_key_is_taken_out_of_the_cookies_and_the_others_stay() {
        for (fields, found, left) in [
            (&["key=abc"][..], one("abc"), None),
            (&["a=1; key=abc; b=2"], one("abc"), Some("a=1; b=2")),
            (&["a=1", "key=abc", "b=2;c=3"], one("abc"), Some("a=1; b=2; c=3")),
            (&["key=abc; key=abc"], one("abc"), None),
            (&["key=abc", "key=x"], Found::Several, None),
            (&["key = abc ;a"], one("abc"), Some("a")),
            (&["monkey=abc; keys=abc"], Found::None, Some("monkey=abc; keys=abc")),
            (&["key=; key"], Found::None, None),
            (&["a=key=abc"], Found::None, Some("a=key=abc")),
        ] {
            let mut request = Request::default();
            fields.iter().for_each(|field| {
                request.headers.append("Cookie", field);
            });
            assert_eq!(take(&mut request, &places(None, None, Some("key"))), found, "{fields:?}");
            let rest = request.headers.get(Known::Cookie);
            assert_eq!(rest, left.map(str::as_bytes), "{fields:?}");
        }
    }

    /// Seen to fail: with the first place that has a key deciding, the second key got through
    /// unseen.
    #[test]
    #[allow(non_snake_case)]
    fn fa_E10_two_keys_are_none_in_whatever_places_and_order() {
        let places = places(Some("x-api-key"), Some("key"), Some("key"));
        let (good, other) = ("orange", "plum");
        for (first, second) in [(good, other), (other, good)] {
            for (header, query, cookie) in [
                (&[first, second][..], &[][..], &[][..]),
                (&[], &[first, second], &[]),
                (&[], &[], &[first, second]),
                (&[first], &[second], &[]),
                (&[first], &[], &[second]),
                (&[], &[first], &[second]),
                (&[first], &[first], &[second]),
            ] {
                let mut request = Request::default();
                header.iter().for_each(|key| {
                    request.headers.append("x-api-key", key);
                });
                let query: Vec<String> = query.iter().map(|key| format!("key={key}")).collect();
                request.target.query = Some(query.join("&"));
                cookie.iter().for_each(|key| {
                    request.headers.append("cookie", format!("key={key}"));
                });
                assert_eq!(take(&mut request, &places), Found::Several, "{request:?}");
            }
        }
    }

    #[test]
    fn the_same_key_in_all_places_is_one() {
        let mut request = Request::default();
        request.headers.append("x-api-key", "abc");
        request.headers.append("cookie", "key=abc");
        request.target.query = Some("key=abc".into());
        let places = places(Some("x-api-key"), Some("key"), Some("key"));
        assert_eq!(take(&mut request, &places), one("abc"));
        assert_eq!((request.target.query, request.headers.len()), (None, 0));
    }
}
