//! Sizes in bytes as people write them: `512`, `64KiB`, `10MiB`, `1GiB`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes, written as a plain number or with a unit `KiB`, `MiB`, `GiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a size; write a number of bytes or a unit KiB, MiB or GiB, as in 64KiB"
            )
        };
        let (number, scale) = UNITS
            .iter()
            .find_map(|(unit, scale)| text.strip_suffix(unit).map(|n| (n, *scale)))
            .unwrap_or((text, 1));
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale)) {
            Some((unit, scale)) if *scale > 1 => write!(f, "{}{unit}", self.0 / scale),
            _ => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(n) => Ok(Self(n)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "format": "gateward-size",
            "minimum": 0,
            "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$",
            "description": "A size: a number of bytes, or with a unit, as in 64KiB, 10MiB."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_what_people_write() {
        for (text, bytes, printed) in [
            ("512", 512, "512"),
            ("64KiB", 65_536, "64KiB"),
            ("10MiB", 10_485_760, "10MiB"),
            ("1024", 1024, "1KiB"),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap(), ByteSize(bytes));
            assert_eq!(ByteSize(bytes).to_string(), printed);
        }
        for text in ["", "KiB", "1.5MiB", "-1", "10MB", "99999999999GiB99"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text} was taken for a size");
        }
    }
}
