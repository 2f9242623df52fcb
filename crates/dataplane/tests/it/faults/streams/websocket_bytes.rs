//! Frames (RFC 6455 §5.2): every kind a client may send, and those it must not.

/// A frame: its first byte (FIN, reserved bits, opcode), and what it says, masked or not.
fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(bit | short as u8),
        middle @ 126..=0xffff => {
            bytes.push(bit | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(bit | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| bytes.extend(mask)).unwrap_or_default();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const MASK: Option<[u8; 4]> = Some([0x12, 0, 0xff, 0x9a]);

/// A conversation as a client that keeps to the rules leads it: all opcodes, all lengths of a
/// length, messages in fragments with pings between, and at its end this status.
pub fn proper(close: u16) -> Vec<u8> {
    let mut all = Vec::new();
    for length in [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 200_000] {
        let payload: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        all.extend(frame(FIN | BINARY, &payload, MASK));
        all.extend(frame(FIN | TEXT, &vec![b'x'; length], MASK));
        all.extend(frame(FIN | BINARY, &payload, Some([0; 4])));
    }
    for (first, payload) in [
        (TEXT, "Καλη"),
        (FIN | PING, "between"),
        (0, "μέρα"),
        (FIN | PONG, ""),
        (FIN, "!"),
        (FIN | PING, ""),
    ] {
        all.extend(frame(first, payload.as_bytes(), MASK));
    }
    // One message in many fragments, empty ones among them.
    all.extend(frame(BINARY, b"", MASK));
    (0..300).for_each(|n| all.extend(frame(0, &vec![n as u8; n % 3], MASK)));
    all.extend(frame(FIN, b"", MASK));
    let reason = [&close.to_be_bytes()[..], b"enough"].concat();
    all.extend(frame(FIN | CLOSE, &reason, MASK));
    all
}

/// Conversations that break a rule each, by what they do. Whoever looks into frames ends them; a
/// tunnel does not look.
pub fn improper() -> Vec<(&'static str, Vec<u8>)> {
    let flood = [frame(TEXT, b"a", MASK), frame(0, b"", MASK).repeat(20_000)].concat();
    vec![
        ("not masked", frame(FIN | TEXT, b"hello", None)),
        ("reserved bits", frame(FIN | 0x70 | TEXT, b"hello", MASK)),
        ("reserved opcodes", [frame(FIN | 3, b"", MASK), frame(FIN | 0xf, b"x", MASK)].concat()),
        ("a ping longer than 125", frame(FIN | PING, &[0; 126], MASK)),
        ("a ping in fragments", [frame(PING, b"a", MASK), frame(FIN, b"b", MASK)].concat()),
        ("a continuation of nothing", frame(FIN, b"x", MASK)),
        ("fragments without end", flood),
        ("text that is none", frame(FIN | TEXT, b"\xff\xc0\x80", MASK)),
        ("a close of one byte", frame(FIN | CLOSE, b"x", MASK)),
        ("a status nobody may send", frame(FIN | CLOSE, &1005_u16.to_be_bytes(), MASK)),
        ("a length that is never sent", [&[FIN | BINARY, 0xff][..], &[0x7f; 8], b"mask"].concat()),
        ("no frame at all", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
    ]
}
