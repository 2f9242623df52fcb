//! W3C Trace Context: `traceparent` and `tracestate`, read strictly.

use base::{SpanId, TraceId};
use policy::message::{Headers, Known};

/// What a caller says of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub span: SpanId,
    /// Whether it records.
    pub sampled: bool,
}

/// The caller's trace; none where it sent none, several or one that is malformed.
pub(crate) fn parent(headers: &Headers) -> Option<Parent> {
    let mut sent = headers.all(Known::TraceParent);
    let only = sent.next()?;
    if sent.next().is_some() {
        return None;
    }
    parse(only)
}

/// Reads `version-trace-span-flags` (§3.2). Versions to come may say more after the flags.
fn parse(value: &[u8]) -> Option<Parent> {
    let (head, rest) = value.split_at_checked(55)?;
    let version = hex(head.get(..2)?)?;
    let dashes = [2, 35, 52].iter().all(|at| head.get(*at) == Some(&b'-'));
    let ends = if version == 0 { rest.is_empty() } else { rest.first().is_none_or(|b| *b == b'-') };
    if version == 0xff || !dashes || !ends {
        return None;
    }
    let trace = hex(head.get(3..35)?)?;
    let span = u64::try_from(hex(head.get(36..52)?)?).ok()?;
    let flags = hex(head.get(53..)?)?;
    let valid = trace != 0 && span != 0;
    valid.then_some(Parent { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
}

/// A number in lower-case hexadecimal.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((value << 4) | u128::from(nibble))
    })
}

/// The `traceparent` for whoever is called.
pub(crate) fn format(trace: TraceId, span: SpanId, sampled: bool) -> [u8; 55] {
    let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let (trace, span) = (trace.text(), span.text());
    let places = out.iter_mut().skip(3).zip(trace);
    places.for_each(|(place, digit)| *place = digit);
    let places = out.iter_mut().skip(36).zip(span);
    places.for_each(|(place, digit)| *place = digit);
    if let Some(last) = out.last_mut() {
        *last = if sampled { b'1' } else { b'0' };
    }
    out
}

/// Most members of a `tracestate` (§3.3.1.1).
const MEMBERS_MAX: usize = 32;

/// Whether these fields are a `tracestate` (§3.3): `key=value` members, in one field or several.
pub(crate) fn is_state<'v>(fields: impl Iterator<Item = &'v [u8]>) -> bool {
    let mut members = fields
        .flat_map(|field| field.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty());
    let all = members.by_ref().take(MEMBERS_MAX).all(|member| {
        let equals = member.iter().position(|b| *b == b'=');
        let parts = equals.and_then(|at| Some((member.get(..at)?, member.get(at + 1..)?)));
        parts.is_some_and(|(key, value)| is_key(key) && is_value(value))
    });
    all && members.next().is_none()
}

fn is_key(key: &[u8]) -> bool {
    let plain = |b: &u8| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'*' | b'/')
    };
    let starts = |key: &[u8]| {
        key.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && key.iter().all(plain)
    };
    match key.iter().position(|b| *b == b'@') {
        None => starts(key) && key.len() <= 256,
        Some(at) => {
            let (tenant, system) = (key.get(..at), key.get(at + 1..));
            tenant.is_some_and(|tenant| starts(tenant) && tenant.len() <= 241)
                && system.is_some_and(|system| starts(system) && system.len() <= 14)
        }
    }
}

fn is_value(value: &[u8]) -> bool {
    let visible = |b: &u8| (b' '..=b'~').contains(b) && !matches!(b, b',' | b'=');
    (1..=256).contains(&value.len()) && value.iter().all(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_traceparent_is_read_strictly() {
        let good = format!("00-{TRACE}-{SPAN}-01");
        let ids =
            (TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), SpanId(0xb7ad_6b71_6920_3331));
        for (value, sampled) in [
            (good.clone(), Some(true)),
            (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
            (format!("00-{TRACE}-{SPAN}-03"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01-what"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-01.what"), None),
            (format!("00-{TRACE}-{SPAN}-01-"), None),
            (format!("00-{TRACE}-{SPAN}-0"), None),
            (format!("00-{TRACE}-{SPAN}-0x"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("0-{TRACE}-{SPAN}-001"), None),
            (format!("00_{TRACE}-{SPAN}-01"), None),
            (good.to_uppercase(), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!(" {good}"), None),
            (String::new(), None),
        ] {
            let expected = sampled.map(|sampled| Parent { trace: ids.0, span: ids.1, sampled });
            assert_eq!(parse(value.as_bytes()), expected, "{value:?}");
        }
        assert_eq!(format(ids.0, ids.1, true), good.as_bytes());
    }

    #[test]
    fn two_traceparents_are_none() {
        let mut headers = Headers::new();
        let one = format!("00-{TRACE}-{SPAN}-01");
        headers.append("TraceParent", &one);
        assert!(parent(&headers).is_some());
        headers.append("traceparent", &one);
        assert_eq!(parent(&headers), None);
    }

    #[test]
    fn a_tracestate_is_a_list_of_members() {
        let member = |key: &str, value: &str| format!("{key}={value}");
        for (value, good) in [
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE".to_owned(), true),
            ("a=1 , b=2,,".to_owned(), true),
            ("tenant@system=x y!".to_owned(), true),
            (member(&"k".repeat(256), &"v".repeat(256)), true),
            (vec!["a=1"; 32].join(","), true),
            (vec!["a=1"; 33].join(","), false),
            (member(&"k".repeat(257), "v"), false),
            (member("k", &"v".repeat(257)), false),
            ("A=1".to_owned(), false),
            ("a".to_owned(), false),
            ("a=".to_owned(), false),
            ("=1".to_owned(), false),
            ("a=b=c".to_owned(), false),
            ("a=\u{1}".to_owned(), false),
            ("@system=1".to_owned(), false),
            ("tenant@asystemtoolong=1".to_owned(), true),
            ("tenant@asystemmuchtoolong=1".to_owned(), false),
        ] {
            assert_eq!(is_state([value.as_bytes()].into_iter()), good, "{value:?}");
        }
        assert!(is_state([&b"a=1"[..], b"b=2"].into_iter()), "several fields are one list");
    }
}
