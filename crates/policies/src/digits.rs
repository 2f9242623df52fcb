//! Numbers as text, without allocating.

use smallvec::SmallVec;

/// What bytes are written to.
pub(crate) trait Out {
    /// Writes `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl Out for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<const N: usize> Out for SmallVec<[u8; N]> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Writes `number` in decimal.
pub(crate) fn write(out: &mut impl Out, number: u64) {
    let (digits, start) = decimal(number);
    out.put(digits.get(start..).unwrap_or_default());
}

/// Writes `number` in decimal with zeros before it, so that it has `width` digits or more.
pub(crate) fn write_padded(out: &mut impl Out, number: u64, width: usize) {
    let (digits, start) = decimal(number);
    let start = start.min(digits.len().saturating_sub(width));
    out.put(digits.get(start..).unwrap_or_default());
}

/// The digits of `number`, at the end of 20 zeros, and where they start.
fn decimal(number: u64) -> ([u8; 20], usize) {
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    (digits, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for number in [0, 7, 10, 99, 100, 18_446_744_073_709_551_615] {
            let mut out = Vec::new();
            write(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
        let mut out = Vec::new();
        write_padded(&mut out, 7, 3);
        write_padded(&mut out, 1234, 3);
        assert_eq!(out, b"0071234");
    }
}
