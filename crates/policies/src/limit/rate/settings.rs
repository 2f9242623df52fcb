//! The settings of `rate`, and what may be wrong with them.

use base::{Pointer, Problem, Problems, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::bucket::Bucket;
use super::fixed::Fixed;
use super::limiter::Limiter;
use super::sliding::Sliding;
use super::table::{KEYS_MAX, WINDOWS};
use crate::limit::by::{Missing, Written};
use crate::limit::charge::Cost;
use crate::limit::report::Profile;

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
    /// How requests are counted.
    #[serde(default)]
    algorithm: Algorithm,
    /// Whether a fixed window begins with the clock, and not with a key's first request.
    #[serde(default)]
    aligned: bool,
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
    /// A name: policies with the same one count together.
    #[serde(default)]
    pub(super) bucket: Option<String>,
    /// What a request costs: a number, or an expression in CEL that gives one; 1 unless said.
    #[serde(default)]
    pub(super) cost: Cost,
    /// An expression in CEL that says what the request cost once there is a response; what `cost`
    /// took is corrected by it.
    #[serde(default)]
    pub(super) settle: Option<String>,
    /// Whether requests that are refused count, too.
    #[serde(default)]
    pub(super) count_rejected: bool,
    /// How answers tell what is left.
    #[serde(default)]
    pub(super) headers: Profile,
    /// Keys that are told apart, at most; of more, some share a limit.
    #[serde(default = "keys")]
    #[schemars(range(min = 1, max = KEYS_MAX))]
    pub(super) keys: usize,
}

fn keys() -> usize {
    131_072
}

/// How requests are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RateAlgorithm")]
pub(super) enum Algorithm {
    /// A bucket of `burst` tokens, of which `limit` come back in a window, evenly.
    #[default]
    TokenBucket,
    /// What came in the last window's length, estimated from this window and the one before.
    SlidingWindow,
    /// What came since the window began.
    FixedWindow,
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
    /// How requests are counted.
    #[serde(default)]
    algorithm: Algorithm,
    /// Whether a fixed window begins with the clock, and not with a key's first request.
    #[serde(default)]
    aligned: bool,
}

impl Settings {
    /// The windows and what they limit by.
    pub(super) fn windows(&self, at: &Pointer) -> Result<Vec<(Window, Limiter)>, Problems> {
        let form = "write `limit: 100, window: 1m`, or a list of `windows`";
        let one = |what: &str| Err(vec![Problem::new(at, what).hint(form)]);
        let short = self.limit.is_some() || self.window.is_some() || self.burst.is_some();
        let how = self.algorithm != Algorithm::default() || self.aligned;
        match (&self.windows, self.limit, self.window) {
            (Some(_), ..) if short => one(
                "`windows` stands beside `limit`, `window` or `burst`; which counts is not clear",
            ),
            (Some(_), ..) if how => {
                let what = "`windows` stands beside `algorithm` or `aligned`";
                Err(vec![Problem::new(at, what).hint("write them within each window")])
            }
            (Some(windows), ..) => all(windows, &at.key("windows")),
            (None, Some(limit), Some(window)) => {
                let Self { burst, algorithm, aligned, .. } = *self;
                let window = Window { limit, window, burst, algorithm, aligned };
                window.limiter(at).map(|limiter| vec![limiter])
            }
            (None, None, _) => one("no `limit` is given"),
            (None, Some(_), None) => one("no `window` is given"),
        }
    }

    /// What is wrong with what is neither a window nor a key.
    pub(super) fn problems(&self, at: &Pointer) -> Problems {
        let mut problems = Problems::new();
        if self.keys == 0 || self.keys > KEYS_MAX {
            let what = format!("{} keys can't be told apart", self.keys);
            let hint = format!("write 1 to {KEYS_MAX}, or leave it out");
            problems.push(Problem::new(&at.key("keys"), what).hint(hint));
        }
        if self.bucket.as_ref().is_some_and(|name| name.trim().is_empty()) {
            let problem = Problem::new(&at.key("bucket"), "the bucket has no name");
            problems.push(problem.hint("name it, or leave `bucket` out"));
        }
        problems
    }
}

/// The limiters of several windows.
fn all(windows: &[Window], at: &Pointer) -> Result<Vec<(Window, Limiter)>, Problems> {
    if windows.is_empty() || windows.len() > WINDOWS {
        let what = format!("{} windows are given, not 1 to {WINDOWS}", windows.len());
        let form = "write `limit: 100, window: 1m`, or a list of `windows`";
        return Err(vec![Problem::new(at, what).hint(form)]);
    }
    let mut limiters = Vec::new();
    let mut problems = Problems::new();
    for (number, window) in windows.iter().enumerate() {
        match window.limiter(&at.index(number)) {
            Ok(limiter) => limiters.push(limiter),
            Err(bad) => problems.extend(bad),
        }
    }
    if problems.is_empty() { Ok(limiters) } else { Err(problems) }
}

/// A day, in nanoseconds.
const DAY: u64 = 86_400_000_000_000;

impl Window {
    fn limiter(&self, at: &Pointer) -> Result<(Self, Limiter), Problems> {
        let wrong = |key: &str, what: &str, hint: &str| {
            Err(vec![Problem::new(&at.key(key), what).hint(hint)])
        };
        let burst = self.burst.unwrap_or(self.limit);
        let window = u64::try_from(self.window.get().as_nanos()).unwrap_or(u64::MAX);
        if self.limit == 0 {
            let hint = "to keep everyone out use the ip policy or remove the route";
            return wrong("limit", "a limit of 0 lets nothing through", hint);
        }
        if window == 0 {
            let hint = "write a duration, as in 1s or 1m";
            return wrong("window", "a window of no time counts nothing", hint);
        }
        if burst == 0 {
            let hint = "leave `burst` out, or write 1 to allow no two requests at once";
            return wrong("burst", "a burst of 0 lets nothing through", hint);
        }
        if self.burst.is_some() && self.algorithm != Algorithm::TokenBucket {
            let hint = "leave `burst` out, or write `algorithm: token_bucket`";
            return wrong("burst", "only a token bucket has a burst", hint);
        }
        if self.aligned && self.algorithm != Algorithm::FixedWindow {
            let hint = "leave `aligned` out, or write `algorithm: fixed_window`";
            return wrong("aligned", "only a fixed window can begin with the clock", hint);
        }
        if self.aligned && !DAY.is_multiple_of(window) {
            let hint = "write one that fits a whole number of times, as in 1m, 15m, 1h or 1d";
            return wrong("window", "a day is no multiple of this window", hint);
        }
        let limit = self.limit;
        let limiter = match self.algorithm {
            Algorithm::TokenBucket => Bucket::new(limit, window, burst).map(Limiter::Bucket),
            Algorithm::FixedWindow => {
                Some(Limiter::Fixed(Fixed { limit, window, aligned: self.aligned }))
            }
            Algorithm::SlidingWindow => {
                u32::try_from(limit).ok().map(|limit| Limiter::Sliding(Sliding { limit, window }))
            }
        };
        let Some(limiter) = limiter else {
            let hint = "token buckets keep limits up to one a nanosecond and bursts worth up to \
                        500 years, sliding windows limits up to 4,294,967,295";
            return wrong("limit", "limit, window and burst are too large to be counted", hint);
        };
        Ok((*self, limiter))
    }
}
