//! What structured fields are made of, and how it is written (RFC 9651 §3 and §4.1).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A bare item (RFC 9651 §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// An integer of up to 15 digits.
    Integer(i64),
    /// A decimal, in thousandths.
    Decimal(i64),
    /// A string of printable ASCII.
    String(String),
    /// A token.
    Token(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// True or false.
    Boolean(bool),
    /// A moment, in seconds since 1970.
    Date(i64),
    /// A string of Unicode.
    Display(String),
}

/// Parameters, in order, each name once.
pub(crate) type Params = Vec<(String, Bare)>;

/// An item with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Itself.
    pub value: Bare,
    /// What is said of it.
    pub params: Params,
}

/// A member of a list or of a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// An item.
    Item(Item),
    /// Several, and what is said of them together.
    Inner(Vec<Item>, Params),
}

/// The value of the parameter `name`.
pub(crate) fn param<'p>(params: &'p Params, name: &str) -> Option<&'p Bare> {
    params.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

impl Bare {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Integer(number) => out.push_str(&number.to_string()),
            Self::Decimal(thousandths) => decimal(*thousandths, out),
            Self::String(text) => quoted(text, out),
            Self::Token(text) => out.push_str(text),
            Self::Bytes(bytes) => {
                out.push(':');
                BASE64_STANDARD.encode_string(bytes, out);
                out.push(':');
            }
            Self::Boolean(is) => out.push_str(if *is { "?1" } else { "?0" }),
            Self::Date(seconds) => {
                out.push('@');
                out.push_str(&seconds.to_string());
            }
            Self::Display(text) => display(text, out),
        }
    }
}

fn decimal(thousandths: i64, out: &mut String) {
    if thousandths < 0 {
        out.push('-');
    }
    let all = thousandths.unsigned_abs();
    let fraction = format!("{:03}", all % 1_000);
    let fraction = fraction.trim_end_matches('0');
    let fraction = if fraction.is_empty() { "0" } else { fraction };
    out.push_str(&(all / 1_000).to_string());
    out.push('.');
    out.push_str(fraction);
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn display(text: &str, out: &mut String) {
    out.push_str("%\"");
    for byte in text.bytes() {
        match byte {
            b'%' | b'"' | ..0x20 | 0x7f.. => {
                let digit = |of: u8| char::from_digit(u32::from(of), 16).unwrap_or('0');
                out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
            byte => out.push(char::from(byte)),
        }
    }
    out.push('"');
}

/// Writes parameters.
pub(crate) fn write_params(params: &Params, out: &mut String) {
    for (name, value) in params {
        out.push(';');
        out.push_str(name);
        if *value != Bare::Boolean(true) {
            out.push('=');
            value.write(out);
        }
    }
}

impl Item {
    /// Writes it.
    pub fn write(&self, out: &mut String) {
        self.value.write(out);
        write_params(&self.params, out);
    }
}

/// Writes an inner list.
pub(crate) fn write_inner(items: &[Item], params: &Params, out: &mut String) {
    out.push('(');
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            out.push(' ');
        }
        item.write(out);
    }
    out.push(')');
    write_params(params, out);
}

impl Member {
    /// Writes it.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Item(item) => item.write(out),
            Self::Inner(items, params) => write_inner(items, params, out),
        }
    }
}

/// Writes a list.
pub(crate) fn write_list(members: &[Member], out: &mut String) {
    for (number, member) in members.iter().enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        member.write(out);
    }
}

/// Writes a dictionary.
pub(crate) fn write_dictionary(members: &[(String, Member)], out: &mut String) {
    for (number, (name, member)) in members.iter().enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
        match member {
            Member::Item(Item { value: Bare::Boolean(true), params }) => write_params(params, out),
            member => {
                out.push('=');
                member.write(out);
            }
        }
    }
}
