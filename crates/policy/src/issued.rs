//! Keys as Gateward issues them: `gw_`, 32 random letters and digits, `_`, six of a checksum. The
//! prefix lets scanners find keys that leaked, the checksum lets them, and the gateway, tell a key
//! from something that only looks like one.

/// What they start with.
const PREFIX: &str = "gw_";
/// Random characters: 190 bits.
const RANDOM: usize = 32;
/// Characters of the checksum: 62⁶ is more than 2³².
const CHECK: usize = 6;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a text says about being a key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issued {
    /// It is one.
    Yes,
    /// It has the prefix, but not all the rest: nobody was ever given it.
    Broken,
    /// It is something else.
    Other,
}

impl Issued {
    /// Looks at `key`.
    pub fn of(key: &[u8]) -> Self {
        let Some(rest) = key.strip_prefix(PREFIX.as_bytes()) else { return Self::Other };
        let (Some(random), Some(check)) = (rest.get(..RANDOM), rest.get(RANDOM..)) else {
            return Self::Broken;
        };
        let whole = random.iter().all(u8::is_ascii_alphanumeric);
        match check.strip_prefix(b"_") {
            Some(check) if whole && check == checksum(random) => Self::Yes,
            _ => Self::Broken,
        }
    }
}

/// A new key, from bytes that nobody can guess.
pub fn issue(mut random: impl FnMut() -> u8) -> String {
    let mut key = String::from(PREFIX);
    // Every digit as likely as any other: what is beyond the last multiple of 62 is drawn again.
    let mut draw = || loop {
        let byte = random();
        if let (0..248, Some(digit)) = (byte, DIGITS.get(usize::from(byte % 62))) {
            return char::from(*digit);
        }
    };
    key.extend((0..RANDOM).map(|_| draw()));
    let check = checksum(key.as_bytes().get(PREFIX.len()..).unwrap_or_default());
    key.push('_');
    key.extend(check.map(char::from));
    key
}

/// The CRC-32 of the random part, in base 62.
fn checksum(random: &[u8]) -> [u8; CHECK] {
    let mut rest = crc32(random);
    let mut out = [0; CHECK];
    for digit in out.iter_mut().rev() {
        *digit = DIGITS.get(rest as usize % 62).copied().unwrap_or_default();
        rest /= 62;
    }
    out
}

/// CRC-32 as zip, gzip and Ethernet have it.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |crc, byte| {
        let at = (crc as u8 ^ byte) as usize;
        TABLE.get(at).copied().unwrap_or_default() ^ (crc >> 8)
    })
}

#[allow(clippy::indexing_slicing, reason = "runs while this is compiled, never after")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut number = 0;
    while number < 256 {
        let mut crc = number as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[number] = crc;
        number += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of every catalogue of CRCs.
    #[test]
    fn the_checksum_is_the_crc_32_that_everyone_has() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        // Python: zlib.crc32(b"0" * 32) in base 62.
        assert_eq!(&checksum(&[b'0'; 32]), b"2wjyrI");
    }

    #[test]
    fn what_was_issued_is_known_and_one_wrong_letter_is_seen() {
        let mut next = 0_u8;
        let key = issue(|| {
            next = next.wrapping_mul(73).wrapping_add(41);
            next
        });
        assert_eq!(key.len(), PREFIX.len() + RANDOM + 1 + CHECK);
        assert_eq!(Issued::of(key.as_bytes()), Issued::Yes, "{key}");
        for at in PREFIX.len()..key.len() {
            let mut wrong = key.clone().into_bytes();
            wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(Issued::of(&wrong), Issued::Broken, "at {at}");
        }
        for cut in PREFIX.len()..key.len() {
            assert_eq!(Issued::of(&key.as_bytes()[..cut]), Issued::Broken);
        }
        let more = format!("{key}0");
        assert_eq!(Issued::of(more.as_bytes()), Issued::Broken);
        for other in ["", "gw", "GW_x", "sk_live_1", "orange"] {
            assert_eq!(Issued::of(other.as_bytes()), Issued::Other, "{other}");
        }
    }

    #[test]
    fn digits_come_evenly() {
        let mut bytes = (0..=255_u8).cycle();
        let mut counts = [0; 128];
        for _ in 0..62 {
            let key = issue(|| bytes.next().unwrap_or_default());
            key.as_bytes()[3..35].iter().for_each(|digit| counts[usize::from(*digit)] += 1);
        }
        assert!(DIGITS.iter().all(|digit| counts[usize::from(*digit)] == 32), "{counts:?}");
    }
}
