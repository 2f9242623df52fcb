//! The texts of a request that are looked at, in every form that a server may read them in.

use std::borrow::Cow;

use serde_json::Value;

use crate::strict_json;

/// Deepest nesting of JSON whose strings are looked at one by one.
const DEPTH: u8 = 64;
/// How often escapes are undone: servers behind servers undo them once each.
const ROUNDS: usize = 2;

/// Calls `look` with `text`, and with what comes of it when escapes are undone, once and again.
/// True if it was true of one of them.
pub(super) fn forms(text: &str, plus: bool, look: &mut impl FnMut(&str) -> bool) -> bool {
    if look(text) {
        return true;
    }
    let mut text = Cow::Borrowed(text);
    for round in 0..ROUNDS {
        match unescaped(&text, plus && round == 0) {
            Some(next) if look(&next) => return true,
            Some(next) => text = next.into(),
            None => break,
        }
    }
    false
}

/// Looks at the names and values of a query or a form.
pub(super) fn pairs(text: &str, look: &mut impl FnMut(&str) -> bool) -> bool {
    text.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        forms(name, true, look) || forms(value, true, look)
    })
}

/// Looks at the names and texts of JSON; at all of it as one text where it is none.
pub(super) fn json(bytes: &[u8], look: &mut impl FnMut(&str) -> bool) -> bool {
    match strict_json::value(bytes, DEPTH) {
        Ok(value) => inner(&value, look),
        Err(_) => forms(&String::from_utf8_lossy(bytes), false, look),
    }
}

fn inner(value: &Value, look: &mut impl FnMut(&str) -> bool) -> bool {
    match value {
        Value::String(text) => forms(text, false, look),
        Value::Array(items) => items.iter().any(|item| inner(item, look)),
        Value::Object(members) => {
            members.iter().any(|(name, member)| forms(name, false, look) || inner(member, look))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `text` without `%41`, `%u0041`, `\u0041` and, with `plus`, `+`; none if it has none of them.
fn unescaped(text: &str, plus: bool) -> Option<String> {
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    let (mut rest, mut changed) = (text.as_bytes(), false);
    while let [first, tail @ ..] = rest {
        if let Some((c, used)) = escape(rest) {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = rest.get(used..).unwrap_or_default();
            changed = true;
            continue;
        }
        match (first, tail) {
            (b'%', [high, low, more @ ..]) if number(&[*high, *low]).is_some() => {
                bytes.extend(number(&[*high, *low]).and_then(|byte| u8::try_from(byte).ok()));
                rest = more;
                changed = true;
            }
            (b'+', more) if plus => {
                bytes.push(b' ');
                rest = more;
                changed = true;
            }
            (other, more) => {
                bytes.push(*other);
                rest = more;
            }
        }
    }
    changed.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The character that `%u0041` or `\u0041` at the front stands for, and its bytes.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    let (b"%u" | b"%U" | b"\\u", digits) = text.split_at_checked(2)? else { return None };
    let digits = digits.get(..4)?;
    Some((char::from_u32(number(digits)?)?, 6))
}

/// A number in hexadecimal digits, all of which are.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once_and_again() {
        for (text, plus, found) in [
            ("<a", false, "<a"),
            ("%3Ca", false, "<a"),
            ("%253Ca", false, "<a"),
            ("%u003ca", false, "<a"),
            ("\\u003Ca", false, "<a"),
            ("a+b", true, "a b"),
            ("%E2%82%AC", false, "€"),
        ] {
            assert!(forms(text, plus, &mut |form| form == found), "{text}");
        }
        for (text, found) in [("%25253Ca", "<a"), ("a+b", "a b"), ("100%", "100"), ("%zz", "")] {
            assert!(!forms(text, false, &mut |form| form == found), "{text}");
        }
    }

    #[test]
    fn names_and_texts_of_json_are_looked_at() {
        let body = br#"{"a":[{"b\u003c":1},"c"],"d":null}"#;
        for found in ["a", "b<", "c", "d"] {
            assert!(json(body, &mut |text| text == found), "{found}");
        }
        assert!(json(b"{broken <", &mut |text| text.contains('<')));
    }
}
