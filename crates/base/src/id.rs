//! Ids: of a request (UUID version 7, RFC 9562), of a trace and a span (W3C Trace Context).

use std::fmt;
use std::time::Duration;

/// The id of a request: a version 7 UUID, so that ids sort by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

/// Where the dashes of a UUID stand.
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl RequestId {
    /// A new id for a request that came at `wall` (time since 1970).
    pub fn new(wall: Duration) -> Self {
        let millis = wall.as_millis() & 0xffff_ffff_ffff;
        let random = fastrand::u128(..);
        let low = (random & 0x3fff_ffff_ffff_ffff) | (0b10 << 62);
        let middle = 0x7000 | ((random >> 64) & 0xfff);
        Self((millis << 80) | (middle << 64) | low)
    }

    /// The id of this text: 36 characters, any UUID's usual form; none if it is anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 36 {
            return None;
        }
        let mut value = 0;
        for (at, byte) in text.iter().enumerate() {
            match (DASHES.contains(&at), byte) {
                (true, b'-') => {}
                (false, digit) => value = (value << 4) | u128::from(nibble(*digit)?),
                _ => return None,
            }
        }
        (value != 0).then_some(Self(value))
    }

    /// Whether there is none yet.
    pub const fn is_unset(self) -> bool {
        self.0 == 0
    }

    /// The id in its usual form, 36 ASCII characters.
    pub fn text(self) -> [u8; 36] {
        let mut digits = [0; 32];
        hex(self.0, &mut digits);
        let mut out = [b'-'; 36];
        let places = (0..36).filter(|at| !DASHES.contains(at));
        for (at, digit) in places.zip(digits) {
            out[at] = digit;
        }
        out
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

/// A trace's id; zero is no trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

impl TraceId {
    /// A new random id, never zero.
    pub fn random() -> Self {
        Self(fastrand::u128(1..))
    }

    /// The id as 32 lower-case hexadecimal digits.
    pub fn text(self) -> [u8; 32] {
        let mut out = [0; 32];
        hex(self.0, &mut out);
        out
    }
}

/// A span's id; zero is no span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

impl SpanId {
    /// A new random id, never zero.
    pub fn random() -> Self {
        Self(fastrand::u64(1..))
    }

    /// The id as 16 lower-case hexadecimal digits.
    pub fn text(self) -> [u8; 16] {
        let mut out = [0; 16];
        hex(u128::from(self.0), &mut out);
        out
    }
}

/// The value of a hexadecimal digit in either case.
const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes `value` in hexadecimal, filling `out` from the right.
fn hex(value: u128, out: &mut [u8]) {
    let mut rest = value;
    for digit in out.iter_mut().rev() {
        let nibble = (rest & 0xf) as u8;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        rest >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_version_7_uuid_that_starts_with_its_time() {
        let text = RequestId::new(Duration::from_millis(0x0192_3456_789a)).to_string();
        assert_eq!(&text[..13], "01923456-789a");
        assert_eq!(&text[14..15], "7", "version");
        assert!("89ab".contains(&text[19..20]), "variant of {text}");
    }

    #[test]
    fn a_request_id_is_read_back_and_nothing_else_is_read() {
        let id = RequestId::new(Duration::from_secs(1_700_000_000));
        assert_eq!(RequestId::parse(&id.text()), Some(id));
        let upper = b"0192345A-BCDE-7F00-8000-00000000000F";
        let lower = "0192345a-bcde-7f00-8000-00000000000f";
        assert_eq!(RequestId::parse(upper).map(|id| id.to_string()).as_deref(), Some(lower));
        for bad in [
            &b""[..],
            b"0192345abcde7f00800000000000000f",
            b"0192345a-bcde-7f00-8000-00000000000g",
            b"0192345a-bcde-7f00-8000000-00000000f",
            b"00000000-0000-0000-0000-000000000000",
            b"0192345a-bcde-7f00-8000-00000000000f0",
        ] {
            assert_eq!(RequestId::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn trace_and_span_ids_are_hexadecimal() {
        assert_eq!(&TraceId(0xabc).text(), b"00000000000000000000000000000abc");
        assert_eq!(&SpanId(0x1f).text(), b"000000000000001f");
    }
}
