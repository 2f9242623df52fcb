//! What routes may ask of a request, read without allocating but for values that must be put
//! together first.

use policy::message::{Name, Request};
use smallvec::SmallVec;

/// Room for a value that is put together; longer ones spill.
type Joined = SmallVec<[u8; 256]>;

/// Hands the value of a header field to `use_it`. Of a field that came more than once, the values
/// joined by `, ` (RFC 9110 §5.3).
pub(super) fn with_header<R>(
    request: &Request,
    name: &Name,
    use_it: impl FnOnce(Option<&[u8]>) -> R,
) -> R {
    let mut values = request.headers.all(name);
    let Some(first) = values.next() else { return use_it(None) };
    let Some(second) = values.next() else { return use_it(Some(first)) };
    let mut joined = Joined::from_slice(first);
    for value in std::iter::once(second).chain(values) {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value);
    }
    use_it(Some(&joined))
}

/// Hands the value of the first query parameter of this name to `use_it`, unescaped as forms are:
/// `+` is a space.
pub(super) fn with_parameter<R>(
    request: &Request,
    name: &str,
    use_it: impl FnOnce(Option<&[u8]>) -> R,
) -> R {
    let query = request.target.query.as_deref().unwrap_or_default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !unescaped(key).eq(name.bytes()) {
            continue;
        }
        if !value.bytes().any(|byte| byte == b'%' || byte == b'+') {
            return use_it(Some(value.as_bytes()));
        }
        let value: Joined = unescaped(value).collect();
        return use_it(Some(&value));
    }
    use_it(None)
}

/// The bytes that an escaped text stands for; a `%` that starts no escape stands for itself.
fn unescaped(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'+' => Some(b' '),
            b'%' => match after
                .split_at_checked(2)
                .and_then(|(digits, after)| Some((crate::path::unescape(digits)?, after)))
            {
                Some((byte, after)) => {
                    rest = after;
                    Some(byte)
                }
                None => Some(b'%'),
            },
            byte => Some(*byte),
        }
    })
}
