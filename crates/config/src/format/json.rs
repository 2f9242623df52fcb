//! JSON (RFC 8259), strictly: nothing after the value, no key twice, no comments, no trailing
//! commas.

use serde_json::Number;

use super::{empty, too_deep};
use crate::fault::{Fault, Faults};
use crate::tree::{DEPTH_MAX, Kind, Members, Node, Place};

pub(super) fn parse(file: u32, text: &str, faults: &mut Faults) -> Result<Node, Fault> {
    let mut reader = Reader { file, text, at: 0, faults };
    reader.space();
    if reader.at == text.len() {
        return Err(empty(file));
    }
    let node = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(Fault::new(reader.here(), "the document has ended, but here is more text")
            .hint("a JSON file holds one value; remove what follows it"));
    }
    Ok(node)
}

struct Reader<'a> {
    file: u32,
    text: &'a str,
    at: usize,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn place(&self, start: usize) -> Place {
        Place::new(self.file, start, self.at)
    }

    /// The character at hand.
    fn here(&self) -> Place {
        let next = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        Place::new(self.file, self.at, self.at + next)
    }

    /// The fault of finding something else than `wanted`.
    fn unexpected(&self, wanted: &str) -> Fault {
        let rest = &self.text[self.at..];
        let Some(found) = rest.chars().next() else {
            return Fault::new(self.here(), format!("the file ends where {wanted} should be"));
        };
        let fault = Fault::new(self.here(), format!("`{found}` stands where {wanted} should be"));
        match found {
            '/' | '#' => fault.hint("JSON has no comments; YAML and TOML have"),
            '\'' => fault.hint("JSON's quotes are double: \"…\""),
            '}' | ']' => fault.hint("remove the comma before it, or close what is open"),
            _ => fault,
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH_MAX {
            return Err(too_deep(self.here()));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => Kind::Map(self.map(depth)?),
            Some(b'[') => Kind::List(self.list(depth)?),
            Some(b'"') => {
                let text = self.string()?;
                return Ok(Node::text(self.place(start), text));
            }
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Node { place: self.place(start), kind })
    }

    fn map(&mut self, depth: usize) -> Result<Vec<crate::tree::Entry>, Fault> {
        let mut members = Members::default();
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Vec::new());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let start = self.at;
            let key = self.string()?;
            let place = self.place(start);
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            self.space();
            let value = self.value(depth + 1)?;
            members.put(key, place, value, self.faults);
            if self.closed_by(b'}', "`,` or `}`")? {
                return Ok(members.finish());
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.closed_by(b']', "`,` or `]`")? {
                return Ok(items);
            }
        }
    }

    /// Steps over the comma after an item, or over the bracket that ends them all (true).
    fn closed_by(&mut self, bracket: u8, wanted: &str) -> Result<bool, Fault> {
        self.space();
        let found = self.peek();
        if found != Some(b',') && found != Some(bracket) {
            return Err(self.unexpected(wanted));
        }
        self.at += 1;
        self.space();
        Ok(found == Some(bracket))
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(b'\n') | None => {
                    return Err(Fault::new(
                        Place::new(self.file, start, start + 1),
                        "this text is not closed on its line",
                    )
                    .hint("close it with `\"`; a line break is written \\n"));
                }
                Some(byte) if byte < b' ' => {
                    return Err(Fault::new(
                        self.here(),
                        "a control character stands in a text as it is",
                    )
                    .hint("write it as an escape: a tab is \\t"));
                }
                Some(_) => self.at += 1,
            }
            // An escape of a character of several bytes must not end inside of it.
            while !self.text.is_char_boundary(self.at.min(self.text.len())) {
                self.at += 1;
            }
            self.at = self.at.min(self.text.len());
        }
        self.at += 1;
        serde_json::from_str(&self.text[start..self.at]).map_err(|_| {
            Fault::new(self.place(start), "this text has an escape that JSON does not know")
                .hint("JSON knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX")
        })
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let start = self.at;
        while let Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        serde_json::from_str(text)
            .map_err(|_| Fault::new(self.place(start), format!("`{text}` is not a JSON number")))
    }

    fn word(&mut self) -> Result<Kind, Fault> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let kind = match &rest[..end] {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            "" => return Err(self.unexpected("a value")),
            word => {
                let place = Place::new(self.file, self.at, self.at + end);
                return Err(Fault::new(place, format!("`{word}` is not a JSON value"))
                    .hint(format!("text stands in double quotes: \"{word}\"")));
            }
        };
        self.at += end;
        Ok(kind)
    }
}
