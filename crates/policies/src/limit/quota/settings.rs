//! The settings of `quota`, and what may be wrong with them.

use base::{ByteSize, Pointer, Problem, Problems, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::period::{Calendar, Unit};
use crate::limit::by::{Missing, Written};
use crate::limit::charge::Cost;
use crate::limit::report::Profile;
use crate::mode::Mode;
use crate::zones;

/// How much may be used in a long while.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Quota")]
pub(super) struct Settings {
    /// Calls, or bytes (as in `10GiB`), that may be used in the window.
    pub(super) limit: ByteSize,
    /// The window: one of the calendar, or the last so many days or hours, as in `30d`.
    window: Window,
    /// The day of the month that a window of a month begins with.
    #[schemars(range(min = 1, max = 31))]
    starts: Option<i8>,
    /// The time zone of the calendar, by its IANA name; UTC unless said.
    zone: Option<String>,
    /// What is counted.
    #[serde(default)]
    pub(super) count: What,
    /// What a call costs: a number, or an expression in CEL that gives one; 1 unless said.
    #[serde(default)]
    pub(super) cost: Option<Cost>,
    /// How much more than the limit passes, in percent of it.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub(super) grace: u8,
    /// The percent of the limit from which on the log warns, once for each key and window.
    #[schemars(range(min = 1, max = 100))]
    pub(super) warn_at: Option<u8>,
    /// Whether what is over the limit is refused, or only said.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Whose requests are counted together.
    #[serde(default = "application")]
    #[schemars(default)]
    pub(super) by: Written,
    /// What becomes of requests without the key that `by` names.
    #[serde(default)]
    pub(super) missing: Missing,
    /// A name: policies with the same one count together.
    pub(super) bucket: Option<String>,
    /// How answers tell what is left.
    #[serde(default)]
    pub(super) headers: Profile,
    /// Keys that are told apart, at most; of more, some share a limit.
    #[serde(default = "keys")]
    #[schemars(range(min = 1, max = KEYS_MAX))]
    pub(super) keys: usize,
}

/// Most keys that can be asked for.
const KEYS_MAX: usize = 1 << 24;

fn application() -> Written {
    Written::Application
}

fn keys() -> usize {
    131_072
}

/// A window: `hour`, `day`, `week`, `month`, `year`, or a length as in `30d`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "String")]
#[schemars(rename = "QuotaWindow", with = "String")]
enum Window {
    /// One of the calendar.
    Calendar(Unit),
    /// The last while.
    Rolling(Span),
    /// Neither.
    Unknown(String),
}

impl From<String> for Window {
    fn from(text: String) -> Self {
        match &*text {
            "hour" => Self::Calendar(Unit::Hour),
            "day" => Self::Calendar(Unit::Day),
            "week" => Self::Calendar(Unit::Week),
            "month" => Self::Calendar(Unit::Month),
            "year" => Self::Calendar(Unit::Year),
            _ => text.parse().map_or(Self::Unknown(text), Self::Rolling),
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "QuotaCount")]
pub(super) enum What {
    /// Calls.
    #[default]
    Calls,
    /// Bytes of bodies, of requests and responses.
    Bytes,
    /// Bytes of requests' bodies.
    RequestBytes,
    /// Bytes of responses' bodies.
    ResponseBytes,
}

impl What {
    /// Its name.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Bytes => "bytes",
            Self::RequestBytes => "request_bytes",
            Self::ResponseBytes => "response_bytes",
        }
    }
}

impl Settings {
    /// How time is divided, with words for it that mean the same to every process.
    pub(super) fn calendar(&self, at: &Pointer) -> Result<(Calendar, String), Problems> {
        let mut problems = Problems::new();
        let mut wrong = |key: &str, what: String, hint: &str| {
            problems.push(Problem::new(&at.key(key), what).hint(hint));
        };
        let day = self.starts.unwrap_or(1);
        if !(1..=31).contains(&day) {
            wrong("starts", format!("no month has a day {day}"), "write 1 to 31");
        }
        let monthly = matches!(self.window, Window::Calendar(Unit::Month));
        if self.starts.is_some() && !monthly {
            let hint = "leave `starts` out, or write `window: month`";
            wrong("starts", "only a month can start with another day".to_owned(), hint);
        }
        let made = match &self.window {
            Window::Unknown(text) => {
                let hint = "write hour, day, week, month or year, or a length as in 30d";
                wrong("window", format!("`{text}` is no window"), hint);
                None
            }
            Window::Rolling(span) => {
                if let Some(zone) = &self.zone {
                    let what = format!("a window of {span} is the same in `{zone}` as anywhere");
                    wrong("zone", what, "leave `zone` out, or write a window of the calendar");
                }
                let length = span.get().as_secs();
                if length < 60 || span.get().subsec_nanos() > 0 {
                    let hint = "write whole seconds, at least a minute; `rate` is for less";
                    wrong("window", format!("{span} is too short for a quota"), hint);
                }
                Some((Calendar::Even { length }, format!("last {length}s")))
            }
            Window::Calendar(unit) => {
                let name = self.zone.as_deref().unwrap_or("UTC");
                let zone = zones::find(name, &at.key("zone"), &mut problems);
                let words = format!("{unit:?} from {day} in {name}").to_lowercase();
                zone.map(|zone| (Calendar::Civil { unit: *unit, zone, day }, words))
            }
        };
        made.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// What is wrong with what is neither a window nor a key.
    pub(super) fn problems(&self, at: &Pointer) -> Problems {
        let mut problems = Problems::new();
        let mut wrong = |key: &str, what: &str, hint: &str| {
            problems.push(Problem::new(&at.key(key), what).hint(hint));
        };
        if self.limit.0 == 0 {
            let hint = "to keep everyone out use the ip policy or remove the route";
            wrong("limit", "a limit of 0 lets nothing through", hint);
        }
        if self.grace > 100 {
            wrong("grace", "more than twice the limit is no grace", "write 0 to 100 percent");
        }
        if self.warn_at.is_some_and(|percent| percent == 0 || percent > 100) {
            wrong("warn_at", "the limit has 1 to 100 percent", "write 80, or leave it out");
        }
        if self.keys == 0 || self.keys > KEYS_MAX {
            let hint = "write 1 to 16777216, or leave it out";
            wrong("keys", "so many keys can't be told apart", hint);
        }
        if self.bucket.as_ref().is_some_and(|name| name.trim().is_empty()) {
            wrong("bucket", "the bucket has no name", "name it, or leave `bucket` out");
        }
        if self.cost.is_some() && self.count != What::Calls {
            let hint = "leave `cost` out, or count calls";
            wrong("cost", "bytes cost what they are", hint);
        }
        problems
    }
}
