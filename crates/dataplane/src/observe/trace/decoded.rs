//! Protobuf read back, for tests: by its wire format alone, so that it can disagree with the
//! encoder.

use std::collections::HashMap;

/// The fields of a message: number and value, in their order.
pub fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number without an end")
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let length = match tag & 7 {
            0 => {
                fields.push((tag >> 3, varint(&mut bytes).to_be_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            wire => panic!("wire type {wire}"),
        };
        let (value, rest) = bytes.split_at(length);
        fields.push((tag >> 3, value.to_vec()));
        bytes = rest;
    }
    fields
}

pub fn all(message: &[u8], field: u64) -> Vec<Vec<u8>> {
    fields(message).into_iter().filter(|(f, _)| *f == field).map(|(_, value)| value).collect()
}

pub fn one(message: &[u8], field: u64) -> Vec<u8> {
    all(message, field).into_iter().next().unwrap_or_default()
}

pub fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn attributes(message: &[u8], field: u64) -> HashMap<String, String> {
    let pairs = all(message, field);
    let pair = |pair: &Vec<u8>| {
        let any = one(pair, 2);
        let value = match fields(&any).first() {
            Some((1, value)) => text(value),
            Some((3, value)) => number(value).to_string(),
            other => panic!("{other:?}"),
        };
        (text(&one(pair, 1)), value)
    };
    pairs.iter().map(pair).collect()
}
