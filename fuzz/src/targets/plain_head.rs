//! A head of HTTP/1 read a second time, as plainly as the RFC has it: the model that the codec is
//! held against.

use policy::message::{Headers, is_token, is_value};

/// A head, taken apart.
pub struct PlainHead<'h> {
    /// The first line.
    pub start: &'h [u8],
    /// Names, in lower case, and values.
    pub fields: Vec<(Vec<u8>, &'h [u8])>,
}

/// Fields that are about the connection and end at the gateway, always.
const CONNECTION: &[&[u8]] = &[
    b"connection",
    b"content-length",
    b"expect",
    b"host",
    b"http2-settings",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

/// Fields that `Connection` can't take away.
const KEPT: &[&[u8]] = &[
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
    b"x-real-ip",
];

impl<'h> PlainHead<'h> {
    /// Takes `head` apart; panics where it has anything that two readers could read differently.
    pub fn read(head: &'h [u8]) -> Self {
        let lines = head.strip_suffix(b"\r\n\r\n").expect("a head ends in an empty line");
        let mut lines = split(lines);
        let start = lines.remove(0);
        assert!(start.iter().all(|b| is_value(*b)), "a control character in the first line");
        let fields = lines.into_iter().map(field).collect();
        Self { start, fields }
    }

    /// The values of `name`.
    pub fn all(&self, name: &[u8]) -> Vec<&'h [u8]> {
        let named = self.fields.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| *value).collect()
    }

    /// The body's length, as the fields have it; panics where they have it in two ways.
    pub fn length(&self) -> Length {
        let lengths = self.all(b"content-length");
        let codings = self.all(b"transfer-encoding");
        assert!(lengths.len() + codings.len() <= 1, "the body is delimited in two ways");
        if let [coding] = *codings {
            assert!(
                coding.eq_ignore_ascii_case(b"chunked"),
                "a transfer coding that is not chunked"
            );
            return Length::Chunked;
        }
        let Some(length) = lengths.first() else { return Length::None };
        assert!(length.iter().all(u8::is_ascii_digit), "a length that is no number");
        let text = str::from_utf8(length).expect("digits");
        Length::Bytes(text.parse().expect("a length that a number holds"))
    }

    /// The fields that go on.
    pub fn going_on(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let named = self.all(b"connection").join(&b","[..]).to_ascii_lowercase();
        let named: Vec<&[u8]> = named.split(|b| *b == b',').map(<[u8]>::trim_ascii).collect();
        let goes_on = |name: &[u8]| {
            !CONNECTION.contains(&name) && (KEPT.contains(&name) || !named.contains(&name))
        };
        let fields = self.fields.iter().filter(|(name, _)| goes_on(name));
        fields.map(|(name, value)| (name.clone(), value.to_vec())).collect()
    }
}

/// How long a head says its body is.
#[derive(Debug, PartialEq, Eq)]
pub enum Length {
    /// It does not.
    None,
    /// So many bytes.
    Bytes(u64),
    /// In chunks.
    Chunked,
}

/// Names, in lower case, and values.
pub fn fields(headers: &Headers) -> Vec<(Vec<u8>, Vec<u8>)> {
    headers.iter().map(|(_, name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect()
}

/// The lines between CR LF.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&bytes[..end]);
        bytes = &bytes[end + 2..];
    }
    lines.push(bytes);
    lines
}

fn field(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let colon = line.iter().position(|b| *b == b':').expect("a line without a colon");
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    assert!(!name.is_empty() && name.iter().all(|b| is_token(*b)), "a name that is no token");
    assert!(value.iter().all(|b| is_value(*b)), "a control character in a value");
    (name.to_ascii_lowercase(), trim(value))
}

/// Without spaces and tabs around.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
