//! As much of the protobuf encoding as OTLP's traces need: a page instead of a code generator and
//! its runtime.

/// A message in the making. Fields are written in any order; those of default value are left out.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

/// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Message {
    /// The encoded message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// `bytes`, `string`.
    pub fn bytes(&mut self, field: u32, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        if !value.is_empty() {
            self.length(field, value.len());
            self.0.extend_from_slice(value);
        }
        self
    }

    /// `int64`, `bool`, an enum.
    pub fn number(&mut self, field: u32, value: u64) -> &mut Self {
        if value != 0 {
            self.set(field, value);
        }
        self
    }

    /// A number of a `oneof`, which is there even when it is zero.
    pub fn set(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, VARINT);
        self.varint(value);
        self
    }

    /// `fixed64`.
    pub fn fixed64(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// `fixed32`.
    pub fn fixed32(&mut self, field: u32, value: u32) -> &mut Self {
        self.tag(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A message within.
    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        write(&mut inner);
        self.length(field, inner.0.len());
        self.0.append(&mut inner.0);
        self
    }

    fn length(&mut self, field: u32, length: usize) {
        self.tag(field, BYTES);
        self.varint(length as u64);
    }

    fn tag(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the protobuf documentation, and each wire type.
    #[test]
    fn fields_are_encoded_as_protobuf_says() {
        let mut message = Message::default();
        message.number(1, 150).bytes(2, "testing").message(3, |inner| {
            inner.number(1, 150);
        });
        message.fixed64(4, 1).fixed32(16, 0x0102_0304).number(5, 0).set(6, 0).bytes(7, "");
        let expected = [
            &[0x08, 0x96, 0x01][..],
            b"\x12\x07testing",
            &[0x1a, 0x03, 0x08, 0x96, 0x01],
            &[0x21, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0x85, 0x01, 4, 3, 2, 1],
            &[0x30, 0x00],
        ];
        assert_eq!(message.finish(), expected.concat());
    }

    #[test]
    fn the_largest_number_takes_ten_bytes() {
        let mut message = Message::default();
        message.number(1, u64::MAX);
        let expected = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(message.finish(), expected);
    }
}
