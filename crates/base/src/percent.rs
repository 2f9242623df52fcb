//! Percent-encoding (RFC 3986 §2.1), undone.

/// `text` without percent-encoding. What is no escape stays as it is; what is not UTF-8 becomes
/// U+FFFD.
pub fn percent_decoded(text: &str) -> String {
    decoded(text, false)
}

/// The same of a query's or a form's text, where `+` is a space, too
/// (`application/x-www-form-urlencoded`, WHATWG URL §5.1).
pub fn form_decoded(text: &str) -> String {
    decoded(text, true)
}

fn decoded(text: &str, plus: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => match escaped(*high, *low) {
                Some(byte) => (byte, after),
                None => (b'%', tail),
            },
            (b'+', _) if plus => (b' ', tail),
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes)
        .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        for (text, plain, form) in [
            ("a", "a", "a"),
            ("a%20b+c", "a b+c", "a b c"),
            ("%E2%82%ac", "€", "€"),
            ("100%", "100%", "100%"),
            ("%4", "%4", "%4"),
            ("%zz%41", "%zzA", "%zzA"),
            ("%2541", "%41", "%41"),
            ("%ff", "\u{fffd}", "\u{fffd}"),
        ] {
            assert_eq!(
                (percent_decoded(text).as_str(), form_decoded(text).as_str()),
                (plain, form)
            );
        }
    }
}
