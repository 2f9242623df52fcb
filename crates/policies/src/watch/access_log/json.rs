//! A line of JSON, written straight into the log's buffer: nothing is allocated.

use crate::digits;

/// A line while it is written. Keys are written with what stands before and after them: `,"key":`.
pub(super) struct Line<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
}

/// Most bytes of a text; the rest is cut off, so that a line is bounded whatever strangers send.
const TEXT_BYTES: usize = 4096;

impl<'b> Line<'b> {
    /// Starts a line at the end of `out`.
    pub(super) fn start(out: &'b mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Ends it.
    pub(super) fn end(self) {
        // The first key brought a comma along.
        match self.out.get_mut(self.start) {
            Some(first) => *first = b'{',
            None => self.out.push(b'{'),
        }
        self.out.extend_from_slice(b"}\n");
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str, text: &[u8]) {
        self.quoted(key, |out| escape(out, text.get(..TEXT_BYTES).unwrap_or(text)));
    }

    /// A text, written by `write`, which writes nothing that needs escaping.
    pub(super) fn quoted(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
    }

    /// A number.
    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.out.extend_from_slice(key.as_bytes());
        digits::write(self.out, number);
    }

    /// Milliseconds, with three places after the point.
    pub(super) fn millis(&mut self, key: &str, time: std::time::Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.number(key, micros / 1000);
        self.out.push(b'.');
        digits::write_padded(self.out, micros % 1000, 3);
    }

    /// True or false.
    pub(super) fn bool(&mut self, key: &str, value: bool) {
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A header field's values, joined by commas; nothing where there is none.
    pub(super) fn values<'v>(&mut self, key: &str, values: impl Iterator<Item = &'v [u8]>) {
        let mut room = TEXT_BYTES;
        let mut any = false;
        for value in values {
            let before: &[u8] = if any { b", " } else { key.as_bytes() };
            self.out.extend_from_slice(before);
            if !any {
                self.out.push(b'"');
            }
            any = true;
            let cut = value.get(..room).unwrap_or(value);
            room -= cut.len();
            escape(self.out, cut);
        }
        if any {
            self.out.push(b'"');
        }
    }
}

/// Writes `text` as the inside of a JSON string (RFC 8259 §7). What is not UTF-8 becomes U+FFFD.
pub(super) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    // Not `all`: looking at every byte lets the compiler look at many at once.
    if text.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        out.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
            let (plain, special) = rest.split_at(at);
            out.extend_from_slice(plain);
            let Some((byte, after)) = special.split_first() else { break };
            escape_byte(out, *byte);
            rest = after;
        }
        out.extend_from_slice(rest);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// ASCII that stands for itself.
const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte < 0x7f && byte != b'"' && byte != b'\\'
}

const fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f || byte == b'"' || byte == b'\\'
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        byte => {
            out.extend_from_slice(b"\\u00");
            for nibble in [byte >> 4, byte & 15] {
                out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_one_object() {
        let mut out = b"before\n".to_vec();
        let mut line = Line::start(&mut out);
        line.text(",\"a\":", b"x\"y\n");
        line.number(",\"b\":", 42);
        line.millis(",\"c\":", std::time::Duration::from_micros(1_007));
        line.bool(",\"d\":", false);
        line.values(",\"e\":", [&b"1"[..], b"2"].into_iter());
        line.values(",\"f\":", std::iter::empty());
        line.end();
        let expected = r#"{"a":"x\"y\n","b":42,"c":1.007,"d":false,"e":"1, 2"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("before\n{expected}\n"));
    }

    #[test]
    fn texts_are_cut_and_a_line_without_fields_is_an_object() {
        let mut out = Vec::new();
        let mut line = Line::start(&mut out);
        line.values(",\"e\":", [&[b'a'; 5000][..], b"b"].into_iter());
        line.end();
        assert!(out.len() < TEXT_BYTES + 20);
        out.clear();
        Line::start(&mut out).end();
        assert_eq!(out, b"{}\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_back_by_a_json_parser(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut out = vec![b'"'];
            escape(&mut out, &bytes);
            out.push(b'"');
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
            prop_assert!(!out.iter().any(|byte| *byte < b' '));
        }
    }
}
