//! Reads structured fields (RFC 9651 §4.2). What is not exactly one is none.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::value::{Bare, Item, Member, Params};

/// Base64 as the algorithm of RFC 9651 §4.2.7 takes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A dictionary: in the order its names first came, each with its last value.
pub(crate) fn dictionary(field: &[u8]) -> Option<Vec<(String, Member)>> {
    let mut input = Input::new(field)?;
    let mut members = Vec::new();
    while !input.is_at_end() {
        let name = input.key()?;
        let member = match input.take(b'=') {
            true => input.member()?,
            false => Member::Item(Item { value: Bare::Boolean(true), params: input.params()? }),
        };
        put(&mut members, name, member);
        input.comma()?;
    }
    Some(members)
}

/// A list.
pub(crate) fn list(field: &[u8]) -> Option<Vec<Member>> {
    let mut input = Input::new(field)?;
    let mut members = Vec::new();
    while !input.is_at_end() {
        members.push(input.member()?);
        input.comma()?;
    }
    Some(members)
}

/// An item.
pub(crate) fn item(field: &[u8]) -> Option<Item> {
    let mut input = Input::new(field)?;
    let item = input.item()?;
    input.is_at_end().then_some(item)
}

/// Puts `value` under `name`, in place of what was there.
fn put<T>(all: &mut Vec<(String, T)>, name: String, value: T) {
    match all.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => all.push((name, value)),
    }
}

/// What is still to be read.
struct Input<'f>(&'f [u8]);

impl<'f> Input<'f> {
    /// The field, without the spaces around it; none if it is not ASCII.
    fn new(field: &'f [u8]) -> Option<Self> {
        if !field.is_ascii() {
            return None;
        }
        let mut input = Self(field);
        input.spaces();
        while let [rest @ .., b' '] = input.0 {
            input.0 = rest;
        }
        Some(input)
    }

    const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Takes `byte` if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        if is {
            self.next();
        }
        is
    }

    /// Takes bytes as long as they are `of` a kind.
    fn run(&mut self, of: impl Fn(u8) -> bool) -> &'f [u8] {
        let end = self.0.iter().position(|byte| !of(*byte)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at_checked(end).unwrap_or((self.0, &[]));
        self.0 = rest;
        run
    }

    fn spaces(&mut self) {
        self.run(|byte| byte == b' ');
    }

    /// What stands between the members of a list; nothing at its end.
    fn comma(&mut self) -> Option<()> {
        let blank = |byte| matches!(byte, b' ' | b'\t');
        self.run(blank);
        if self.is_at_end() {
            return Some(());
        }
        self.take(b',').then_some(())?;
        self.run(blank);
        (!self.is_at_end()).then_some(())
    }

    fn key(&mut self) -> Option<String> {
        self.peek().filter(|first| first.is_ascii_lowercase() || *first == b'*')?;
        let run = self.run(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'_' | b'-' | b'.' | b'*')
        });
        String::from_utf8(run.to_vec()).ok()
    }

    fn params(&mut self) -> Option<Params> {
        let mut params = Params::new();
        while self.take(b';') {
            self.spaces();
            let name = self.key()?;
            let value = if self.take(b'=') { self.bare()? } else { Bare::Boolean(true) };
            put(&mut params, name, value);
        }
        Some(params)
    }

    fn item(&mut self) -> Option<Item> {
        Some(Item { value: self.bare()?, params: self.params()? })
    }

    fn member(&mut self) -> Option<Member> {
        if !self.take(b'(') {
            return self.item().map(Member::Item);
        }
        let mut items = Vec::new();
        loop {
            self.spaces();
            if self.take(b')') {
                return Some(Member::Inner(items, self.params()?));
            }
            items.push(self.item()?);
            matches!(self.peek()?, b' ' | b')').then_some(())?;
        }
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string().map(Bare::String),
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => {
                let token = |byte| policy::message::is_token(byte) || matches!(byte, b':' | b'/');
                String::from_utf8(self.run(token).to_vec()).ok().map(Bare::Token)
            }
            b':' => self.bytes(),
            b'?' => self.boolean(),
            b'@' => {
                self.next();
                match self.number()? {
                    Bare::Integer(seconds) => Some(Bare::Date(seconds)),
                    _ => None,
                }
            }
            b'%' => self.display(),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Bare> {
        let sign = if self.take(b'-') { -1 } else { 1 };
        let whole = self.run(|byte| byte.is_ascii_digit());
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<i64>().ok();
        if !self.take(b'.') {
            return (whole.len() <= 15).then(|| number(whole))?.map(|it| Bare::Integer(sign * it));
        }
        let fraction = self.run(|byte| byte.is_ascii_digit());
        if whole.len() > 12 || !(1..=3).contains(&fraction.len()) {
            return None;
        }
        let thousandths = number(fraction)? * 10_i64.pow(3 - fraction.len() as u32);
        Some(Bare::Decimal(sign * (number(whole)? * 1_000 + thousandths)))
    }

    fn string(&mut self) -> Option<String> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(text),
                b'\\' => {
                    let escaped = self.next().filter(|byte| matches!(byte, b'"' | b'\\'))?;
                    text.push(char::from(escaped));
                }
                byte @ b' '..=b'~' => text.push(char::from(byte)),
                _ => return None,
            }
        }
    }

    fn bytes(&mut self) -> Option<Bare> {
        self.next();
        let run = self.run(|byte| byte != b':');
        self.take(b':').then_some(())?;
        BASE64.decode(run).ok().map(Bare::Bytes)
    }

    fn boolean(&mut self) -> Option<Bare> {
        self.next();
        match self.next()? {
            b'0' => Some(Bare::Boolean(false)),
            b'1' => Some(Bare::Boolean(true)),
            _ => None,
        }
    }

    fn display(&mut self) -> Option<Bare> {
        self.next();
        self.take(b'"').then_some(())?;
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(bytes).ok().map(Bare::Display),
                b'%' => {
                    let mut digit = || match self.next()? {
                        byte @ (b'0'..=b'9' | b'a'..=b'f') => char::from(byte).to_digit(16),
                        _ => None,
                    };
                    bytes.push((digit()? << 4 | digit()?) as u8);
                }
                byte @ b' '..=b'~' => bytes.push(byte),
                _ => return None,
            }
        }
    }
}
