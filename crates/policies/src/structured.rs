//! Structured fields (RFC 9651).

pub(crate) mod parse;
pub(crate) mod value;

use crate::digits::{self, Out};

/// `text` as a string: in quotes, and what a string can't hold as `-`.
pub(crate) fn string(text: &str) -> String {
    let plain = text.chars().map(|c| match c {
        '"' | '\\' => '-',
        ' '..='~' => c,
        _ => '-',
    });
    format!("\"{}\"", plain.collect::<String>())
}

/// Writes `number` as an integer; those beyond 15 digits as the largest there is.
pub(crate) fn write_integer(out: &mut impl Out, number: u64) {
    const LARGEST: u64 = 999_999_999_999_999;
    digits::write(out, number.min(LARGEST));
}

#[cfg(test)]
mod tests;
