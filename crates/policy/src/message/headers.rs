//! Header fields: in the order they came, bytes untouched unless somebody changes them.

use std::borrow::Cow;
use std::fmt;

use super::Known;

/// The fields of a message, in one block of bytes. Names keep the case they came in and are
/// compared without it.
#[derive(Clone, Default)]
pub struct Headers {
    /// Where names and values stand. Only grows until [`Headers::clear`].
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Clone, Copy)]
struct Line {
    name_at: u32,
    value_at: u32,
    value_len: u32,
    name_len: u16,
    known: Known,
    /// `bytes` holds exactly `name: value\r\n` from `name_at` on, so that it can be copied as it
    /// stands.
    whole: bool,
}

/// A header name to look for: a token (RFC 9110 §5.6.2), in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    known: Known,
    text: Cow<'static, str>,
}

impl Name {
    /// A name the gateway knows.
    pub const fn known(known: Known) -> Self {
        Self { known, text: Cow::Borrowed(known.text()) }
    }

    /// Any name; none if `text` is not a token.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > 256 || !text.bytes().all(is_token) {
            return None;
        }
        let text = text.to_ascii_lowercase();
        Some(Self { known: Known::of(text.as_bytes()), text: Cow::Owned(text) })
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<Known> for Name {
    fn from(known: Known) -> Self {
        Self::known(known)
    }
}

/// The bytes of a token, one bit each.
const TOKEN: u128 = {
    let bytes = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bits = 0;
    let mut rest = bytes.as_slice();
    while let [byte, after @ ..] = rest {
        bits |= 1 << *byte;
        rest = after;
    }
    bits
};

/// True for the bytes of a token (RFC 9110 §5.6.2).
pub const fn is_token(byte: u8) -> bool {
    byte < 128 && TOKEN >> byte & 1 == 1
}

/// True for the bytes of a field value (RFC 9110 §5.5): visible, space, tab, and 0x80 up.
pub const fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

impl Headers {
    /// No fields.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), lines: Vec::new() }
    }

    /// Forgets all fields, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    /// Becomes the same as `other`, in the memory it has.
    pub fn copy_from(&mut self, other: &Self) {
        self.clear();
        self.bytes.extend_from_slice(&other.bytes);
        self.lines.extend_from_slice(&other.lines);
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.lines.capacity() * size_of::<Line>()
    }

    /// The first value of `name`.
    pub fn get<'n>(&self, name: impl Into<Key<'n>>) -> Option<&[u8]> {
        let key = name.into();
        self.lines.iter().find(|line| self.is(line, &key)).map(|line| self.value(line))
    }

    /// All values of `name`, in order.
    pub fn all<'s, 'n: 's>(&'s self, name: impl Into<Key<'n>>) -> impl Iterator<Item = &'s [u8]> {
        let key = name.into();
        self.lines.iter().filter(move |line| self.is(line, &key)).map(|line| self.value(line))
    }

    /// Whether there is a field `name`.
    pub fn has<'n>(&self, name: impl Into<Key<'n>>) -> bool {
        let key = name.into();
        self.lines.iter().any(|line| self.is(line, &key))
    }

    /// Every field: which known name it is, its name as it came, its value.
    pub fn iter(&self) -> impl Iterator<Item = (Known, &[u8], &[u8])> {
        self.lines.iter().map(|line| (line.known, self.name(line), self.value(line)))
    }

    /// Adds a field after the others. `name` must be a token and `value` hold no control bytes:
    /// what does not is left out, so that nothing written here can end a line early. True if it was
    /// added.
    pub fn append(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> bool {
        let (name, value) = (name.as_ref(), value.as_ref());
        let fits = !name.is_empty()
            && name.iter().all(|b| is_token(*b))
            // Not `all`: looking at every byte lets the compiler look at many at once.
            && value.iter().fold(true, |good, b| good & is_value(*b))
            && self.bytes.len() + name.len() + value.len() < u32::MAX as usize - 4;
        let Ok(name_len) = u16::try_from(name.len()) else { return false };
        if !fits {
            return false;
        }
        self.push(name, name_len, Known::of(name), value);
        true
    }

    /// Adds a field of a name the gateway knows after the others: [`Headers::append`] without a
    /// look at the name. [`Known::Other`] is no name, and is not added.
    pub fn append_known(&mut self, known: Known, value: impl AsRef<[u8]>) -> bool {
        let (name, value) = (known.text().as_bytes(), value.as_ref());
        let fits = known != Known::Other
            && value.iter().fold(true, |good, b| good & is_value(*b))
            && self.bytes.len() + name.len() + value.len() < u32::MAX as usize - 4;
        if fits {
            self.push(name, name.len() as u16, known, value);
        }
        fits
    }

    /// Adds a line that was looked at.
    fn push(&mut self, name: &[u8], name_len: u16, known: Known, value: &[u8]) {
        self.bytes.reserve(name.len() + value.len() + 4);
        let name_at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(b": ");
        let value_at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
        let value_len = value.len() as u32;
        self.lines.push(Line { name_at, value_at, value_len, name_len, known, whole: true });
    }

    /// Puts one field in place of all of this name.
    pub fn set(&mut self, name: &Name, value: impl AsRef<[u8]>) -> bool {
        self.remove(name);
        self.append(name.as_str(), value)
    }

    /// Puts one field in place of all of this known name.
    pub fn set_known(&mut self, name: Known, value: impl AsRef<[u8]>) -> bool {
        self.remove(name);
        self.append_known(name, value)
    }

    /// Removes all fields of `name`; true if there was one.
    pub fn remove<'n>(&mut self, name: impl Into<Key<'n>>) -> bool {
        let key = name.into();
        self.remove_where(|known, name| key.matches(known, name))
    }

    /// Removes the fields for whose name `unwanted` is true; true if there was one.
    pub fn remove_where(&mut self, mut unwanted: impl FnMut(Known, &[u8]) -> bool) -> bool {
        let before = self.lines.len();
        let bytes = &self.bytes;
        self.lines.retain(|line| {
            !unwanted(line.known, slice(bytes, line.name_at, u32::from(line.name_len)))
        });
        self.lines.len() < before
    }

    /// Takes a block of checked HTTP/1 field lines and gives its place, for [`Headers::add_line`].
    pub fn add_block(&mut self, block: &[u8]) -> u32 {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(block);
        at
    }

    /// Adds a field that stands in a block added before: `name` and `value` are ranges from the
    /// block's start. The codec has checked that they hold a token and a value, and which known
    /// name it is.
    pub fn add_line(
        &mut self,
        block: u32,
        known: Known,
        name: std::ops::Range<usize>,
        value: std::ops::Range<usize>,
    ) {
        let name_at = block + name.start as u32;
        let value_at = block + value.start as u32;
        let name_len = name.len() as u16;
        let value_len = value.len() as u32;
        let after = slice(&self.bytes, name_at + u32::from(name_len), 2) == b": "
            && slice(&self.bytes, value_at + value_len, 2) == b"\r\n";
        let whole = after && value_at == name_at + u32::from(name_len) + 2;
        self.lines.push(Line { name_at, value_at, value_len, name_len, known, whole });
    }

    /// Writes all fields as HTTP/1 field lines. What nobody changed is copied as it stands,
    /// neighbours at once.
    pub fn write_lines(&self, out: &mut Vec<u8>) {
        let mut run: Option<(u32, u32)> = None;
        for line in &self.lines {
            let end = line.value_at + line.value_len + 2;
            run = match run {
                Some((start, stop)) if line.whole && stop == line.name_at => Some((start, end)),
                earlier => {
                    if let Some((start, stop)) = earlier {
                        out.extend_from_slice(slice(&self.bytes, start, stop - start));
                    }
                    if line.whole {
                        Some((line.name_at, end))
                    } else {
                        out.extend_from_slice(self.name(line));
                        out.extend_from_slice(b": ");
                        out.extend_from_slice(self.value(line));
                        out.extend_from_slice(b"\r\n");
                        None
                    }
                }
            };
        }
        if let Some((start, stop)) = run {
            out.extend_from_slice(slice(&self.bytes, start, stop - start));
        }
    }

    fn is(&self, line: &Line, key: &Key<'_>) -> bool {
        match key {
            Key::Known(wanted) => line.known == *wanted,
            Key::Other(wanted) => {
                line.known == Known::Other
                    && usize::from(line.name_len) == wanted.text.len()
                    && self.name(line).eq_ignore_ascii_case(wanted.text.as_bytes())
            }
        }
    }

    fn name(&self, line: &Line) -> &[u8] {
        slice(&self.bytes, line.name_at, u32::from(line.name_len))
    }

    fn value(&self, line: &Line) -> &[u8] {
        slice(&self.bytes, line.value_at, line.value_len)
    }
}

/// What a lookup is made with: a [`Known`] name or a [`Name`].
#[derive(Clone, Copy, Debug)]
pub enum Key<'n> {
    /// A known name.
    Known(Known),
    /// Any other.
    Other(&'n Name),
}

impl Key<'_> {
    fn matches(&self, known: Known, name: &[u8]) -> bool {
        match self {
            Self::Known(wanted) => *wanted == known,
            Self::Other(wanted) => {
                known == Known::Other && name.eq_ignore_ascii_case(wanted.text.as_bytes())
            }
        }
    }
}

impl From<Known> for Key<'_> {
    fn from(known: Known) -> Self {
        Self::Known(known)
    }
}

impl<'n> From<&'n Name> for Key<'n> {
    fn from(name: &'n Name) -> Self {
        match name.known {
            Known::Other => Self::Other(name),
            known => Self::Known(known),
        }
    }
}

/// `len` bytes from `at`; what is not there is empty. Lines only ever point inside.
fn slice(bytes: &[u8], at: u32, len: u32) -> &[u8] {
    bytes.get(at as usize..at as usize + len as usize).unwrap_or_default()
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        f.debug_map()
            .entries(self.iter().map(|(_, name, value)| (text(name), text(value))))
            .finish()
    }
}

#[cfg(test)]
mod tests;
