//! What a plain scalar is: YAML 1.2's core schema (§10.3.2), so `no`, `on`, `012` and `1:30` stay
//! what they look like.

use serde_json::Number;

use crate::fault::Fault;
use crate::tree::{Kind, Origin, Place, Text};

/// The value of the unquoted text `text`.
pub(super) fn resolve(text: &str, place: Place) -> Result<Kind, Fault> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => match number(text, place)? {
            Some(number) => Kind::Number(number),
            None => Kind::Text(Text { value: text.to_owned(), origin: Origin::Written }),
        },
    })
}

fn number(text: &str, place: Place) -> Result<Option<Number>, Fault> {
    if let Some(digits) = text.strip_prefix("0x") {
        return Ok(u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .map(Number::from));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return Ok(u64::from_str_radix(digits, 8)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .map(Number::from));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err(Fault::new(place, format!("`{text}` is not a number a document may hold"))
            .hint("if text is meant, put it in quotes"));
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = text.strip_prefix('+').unwrap_or(text);
        if let Ok(number) = whole.parse::<u64>() {
            return Ok(Some(number.into()));
        }
        if let Ok(number) = whole.parse::<i64>() {
            return Ok(Some(number.into()));
        }
    }
    Ok(is_float(unsigned).then(|| text.parse().ok().and_then(Number::from_f64)).flatten())
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(unsigned: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
        }
        None => (unsigned, None),
    };
    if exponent.is_some_and(|digit| digit.is_empty() || !digits(digit)) {
        return false;
    }
    match mantissa.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && whole.len() + part.len() > 0,
        None => !mantissa.is_empty() && digits(mantissa),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_core_schema_names_is_more_than_text() {
        for (text, kind) in [
            ("no", "text"),
            ("on", "text"),
            ("Yes", "text"),
            ("012", "12"),
            ("0o14", "12"),
            ("0xC", "12"),
            ("+12", "12"),
            ("-12", "-12"),
            ("1.5", "1.5"),
            ("1e3", "1000.0"),
            (".5", "0.5"),
            ("1:30", "text"),
            ("1_000", "text"),
            ("2024-01-01", "text"),
            ("0x+1", "text"),
            ("e5", "text"),
            (".", "text"),
            ("1.2.3", "text"),
            ("TRUE", "bool"),
            ("~", "null"),
        ] {
            let found = match resolve(text, Place::default()).unwrap() {
                Kind::Number(number) => number.to_string(),
                Kind::Bool(_) => "bool".into(),
                Kind::Null => "null".into(),
                _ => "text".into(),
            };
            assert_eq!(found, kind, "{text}");
        }
        assert!(resolve(".inf", Place::default()).is_err());
    }
}
