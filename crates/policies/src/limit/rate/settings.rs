//! The settings of `rate`, and what may be wrong with them.

use base::{Pointer, Problem, Problems, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::bucket::Shape;
use super::table::WINDOWS;
use crate::limit::by::{Missing, Written};

/// How many requests may come in a window: either `limit` and `window`, or `windows`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rate")]
pub(super) struct Settings {
    /// Requests that may come in the window.
    #[serde(default)]
    limit: Option<u64>,
    /// The window.
    #[serde(default)]
    window: Option<Span>,
    /// Requests that may come at once; as many as `limit` unless said.
    #[serde(default)]
    burst: Option<u64>,
    /// Several windows, all of which must have room; at most four.
    #[serde(default)]
    #[schemars(length(min = 1, max = 4))]
    windows: Option<Vec<Window>>,
    /// Whose requests are counted together.
    #[serde(default)]
    pub(super) by: Written,
    /// What becomes of requests without the key that `by` names.
    #[serde(default)]
    pub(super) missing: Missing,
    /// How answers tell what is left.
    #[serde(default)]
    pub(super) headers: Profile,
}

/// How answers tell what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RateHeaders")]
pub(super) enum Profile {
    /// `RateLimit-Policy` and `RateLimit`, every window of them.
    #[default]
    Ietf,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, in seconds, of the
    /// window that has the least left.
    Legacy,
    /// Both.
    Both,
    /// Not at all. Refusals still say `Retry-After`.
    None,
}

/// A window.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RateWindow")]
pub(super) struct Window {
    /// Requests that may come in it.
    #[schemars(range(min = 1))]
    pub(super) limit: u64,
    /// How long it is.
    pub(super) window: Span,
    /// Requests that may come at once; as many as `limit` unless said.
    #[serde(default)]
    #[schemars(range(min = 1))]
    burst: Option<u64>,
}

impl Settings {
    /// The windows and their buckets' shapes.
    pub(super) fn windows(&self, at: &Pointer) -> Result<Vec<(Window, Shape)>, Problems> {
        let form = "write `limit: 100, window: 1m`, or a list of `windows`";
        let one = |what: &str| Err(vec![Problem::new(at, what).hint(form)]);
        let short = self.limit.is_some() || self.window.is_some() || self.burst.is_some();
        match (&self.windows, self.limit, self.window) {
            (Some(_), ..) if short => one(
                "`windows` stands beside `limit`, `window` or `burst`; which counts is not clear",
            ),
            (Some(windows), ..) => {
                let at = at.key("windows");
                if windows.is_empty() || windows.len() > WINDOWS {
                    let what = format!("{} windows are given, not 1 to {WINDOWS}", windows.len());
                    return Err(vec![Problem::new(&at, what).hint(form)]);
                }
                let mut shaped = Vec::new();
                let mut problems = Problems::new();
                for (number, window) in windows.iter().enumerate() {
                    match window.shape(&at.index(number)) {
                        Ok(shape) => shaped.push(shape),
                        Err(bad) => problems.extend(bad),
                    }
                }
                if problems.is_empty() { Ok(shaped) } else { Err(problems) }
            }
            (None, Some(limit), Some(window)) => {
                let window = Window { limit, window, burst: self.burst };
                window.shape(at).map(|shaped| vec![shaped])
            }
            (None, None, _) => one("no `limit` is given"),
            (None, Some(_), None) => one("no `window` is given"),
        }
    }
}

impl Window {
    fn shape(&self, at: &Pointer) -> Result<(Self, Shape), Problems> {
        let wrong = |key: &str, what: &str, hint: &str| {
            Err(vec![Problem::new(&at.key(key), what).hint(hint)])
        };
        let burst = self.burst.unwrap_or(self.limit);
        let nanos = u64::try_from(self.window.get().as_nanos()).unwrap_or(u64::MAX);
        match (self.limit, nanos, burst) {
            (0, ..) => wrong(
                "limit",
                "a limit of 0 lets nothing through",
                "to keep everyone out use the ip policy or remove the route",
            ),
            (_, 0, _) => wrong(
                "window",
                "a window of no time counts nothing",
                "write a duration, as in 1s or 1m",
            ),
            (.., 0) => wrong(
                "burst",
                "a burst of 0 lets nothing through",
                "leave `burst` out, or write 1 to allow no two requests at once",
            ),
            (limit, nanos, burst) => match Shape::new(limit, nanos, burst) {
                Some(shape) => Ok((*self, shape)),
                None => wrong(
                    "limit",
                    "limit, window and burst are too large to be counted",
                    "limits up to one a nanosecond and bursts worth up to 500 years are kept",
                ),
            },
        }
    }
}
