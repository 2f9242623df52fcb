//! Labels of internationalised names (`xn--…`): whether they stand for one, and in the one way in
//! which it is written (RFC 3492, RFC 5891 §4.2.3.1). Who decodes `xn--example-` finds `example`,
//! another host than the one that was compared.

/// What such a label starts with.
const PREFIX: &str = "xn--";

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;

/// Whether a label can stand as it is: an ordinary one, or one that decodes to a label that is not
/// ASCII.
pub(super) fn is_label(label: &str) -> bool {
    match label.get(..PREFIX.len()) {
        Some(start) if start.eq_ignore_ascii_case(PREFIX) => {
            is_encoded(label.get(PREFIX.len()..).unwrap_or_default())
        }
        _ => true,
    }
}

/// Whether `text` decodes: each of its numbers stands for a character that is not ASCII and one
/// that exists.
fn is_encoded(text: &str) -> bool {
    let (plain, encoded) = text.rsplit_once('-').unwrap_or(("", text));
    if encoded.is_empty() || (plain.is_empty() && text.starts_with('-')) {
        return false;
    }
    let mut count = plain.len() as u32;
    let (mut code, mut place, mut bias) = (0x80_u32, 0_u32, 72);
    let mut digits = encoded.bytes();
    while digits.len() > 0 {
        let Some(delta) = number(&mut digits, bias) else { return false };
        let Some(new) = place.checked_add(delta) else { return false };
        count += 1;
        bias = adapt(delta, count, place == 0);
        let Some(next) = code.checked_add(new / count) else { return false };
        if char::from_u32(next).is_none_or(char::is_control) {
            return false;
        }
        code = next;
        place = new % count + 1;
    }
    true
}

/// A number of variable length (RFC 3492 §3.3).
fn number(digits: &mut std::str::Bytes<'_>, bias: u32) -> Option<u32> {
    let (mut value, mut weight, mut k) = (0_u32, 1_u32, BASE);
    loop {
        let digit = match digits.next()? {
            letter @ (b'a'..=b'z' | b'A'..=b'Z') => u32::from(letter.to_ascii_lowercase() - b'a'),
            digit @ b'0'..=b'9' => u32::from(digit - b'0') + 26,
            _ => return None,
        };
        value = value.checked_add(digit.checked_mul(weight)?)?;
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if digit < threshold {
            return Some(value);
        }
        weight = weight.checked_mul(BASE - threshold)?;
        k += BASE;
    }
}

/// How the next number is written (RFC 3492 §3.4).
fn adapt(delta: u32, count: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_stand_for_a_name_are_told_from_those_that_do_not() {
        for good in [
            "example",
            "a-b",
            "xn",
            "xn-a",
            "xn--bcher-kva",
            "XN--BCHER-KVA",
            "xn--mnchen-3ya",
            "xn--fiqs8s",
            "xn--80ak6aa92e",
            "xn--maana-pta",
            "xn--ls8h",
            "xn--d1acpjx3f",
            // RFC 3492 §7.1: (A), (C), (L).
            "xn--egbpdaj6bu4bxfgehfvwxn",
            "xn--ihqwctvzc91f659drss3x8bo0yb",
            "xn--3B-ww4c5e180e575a65lsy2b",
        ] {
            assert!(is_label(good), "{good}");
        }
        for bad in [
            "xn--",
            "xn--example-",
            "xn---",
            "xn--a",
            "xn--99999999",
            "xn--\u{e9}",
            "xn--bcher-kv",
            "xn--0000h",
            "xn--a_b",
        ] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
