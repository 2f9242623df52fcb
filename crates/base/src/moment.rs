//! Points in time as people write them: `2027-01-31`, `2027-01-31T18:00:00+01:00`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time, from 1970 on: a day, which stands for its first moment in UTC, or a time as RFC
/// 3339 writes it. Kept in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Seconds since 1970.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The time since 1970.
    pub const fn get(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// The moment that far from 1970, its part of a second left out.
    pub const fn since_1970(time: Duration) -> Self {
        Self(time.as_secs())
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = match text.parse::<Date>() {
            // A day has ten characters; what is longer is a time, and needs its zone.
            Ok(date) if text.len() == 10 => TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)),
            _ => text.parse::<Timestamp>(),
        };
        let seconds = time.ok().and_then(|time| u64::try_from(time.as_second()).ok());
        seconds.map(Self).ok_or_else(|| {
            format!(
                "`{text}` is not a point in time; write a day or a time with its zone, as in \
                 2027-01-31 or 2027-01-31T18:00:00Z"
            )
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|at| Timestamp::from_second(at).ok()) {
            Some(time) => time.fmt(f),
            None => write!(f, "{} s", self.0),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a point in time such as 2027-01-31 or 2027-01-31T18:00:00Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "gateward-moment",
            "description": "A point in time: a day, as 2027-01-31, which means its first moment in \
                            UTC, or a time with its zone, as 2027-01-31T18:00:00Z."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_what_people_write() {
        for (text, seconds, printed) in [
            ("1970-01-01", 0, "1970-01-01T00:00:00Z"),
            ("2027-01-31", 1_801_353_600, "2027-01-31T00:00:00Z"),
            ("2027-01-31T18:00:00Z", 1_801_418_400, "2027-01-31T18:00:00Z"),
            ("2027-01-31T18:00:00+01:00", 1_801_414_800, "2027-01-31T17:00:00Z"),
            ("2027-01-31T18:00:00.75Z", 1_801_418_400, "2027-01-31T18:00:00Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.as_secs(), seconds, "{text}");
            assert_eq!(moment.to_string(), printed);
            assert_eq!(printed.parse(), Ok(moment));
        }
    }

    #[test]
    fn refuses_what_is_no_point_in_time() {
        for text in [
            "",
            "2027",
            "2027-02-30",
            "2027-01-31T18:00",
            "2027-01-31T18:00:00",
            "1969-12-31",
            "1801353600",
            "20270131",
            "tomorrow",
            "2027-01-31T18:00:00[Europe/Berlin]",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text} was taken for a point in time");
        }
    }
}
