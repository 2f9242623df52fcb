//! The settings of `spike`, and what may be wrong with them.

use std::time::Duration;

use base::{Pointer, Problem, Problems, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::pace::Pace;
use super::table::Limits;
use crate::limit::by::{Missing, Written};
use crate::limit::keyed::KEYS_MAX;

/// Longest that a request may have to wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Most requests that may wait at once; each holds its connection.
const WAITING_MAX: usize = 1 << 20;

/// At which pace requests go on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Spike")]
pub(super) struct Settings {
    /// Requests that go on in a window, evenly.
    #[schemars(range(min = 1))]
    limit: u64,
    /// The window.
    window: Span,
    /// Requests that may go on at once where none came before.
    #[serde(default = "burst")]
    #[schemars(range(min = 1))]
    burst: u64,
    /// Longest that a request may have to wait, at most a minute; what would wait longer is
    /// refused.
    #[serde(default = "wait")]
    wait: Span,
    /// Requests of one key that may wait.
    #[serde(default = "queue")]
    #[schemars(range(min = 1, max = WAITING_MAX))]
    queue: usize,
    /// Requests of all keys that may wait.
    #[serde(default = "queue_all")]
    #[schemars(range(min = 1, max = WAITING_MAX))]
    queue_all: usize,
    /// Whose pace it is.
    #[serde(default)]
    pub(super) by: Written,
    /// What becomes of requests without the key that `by` names.
    #[serde(default)]
    pub(super) missing: Missing,
    /// Keys that are told apart, at most; of more, some share a line.
    #[serde(default = "keys")]
    #[schemars(range(min = 1, max = KEYS_MAX))]
    keys: usize,
}

fn burst() -> u64 {
    1
}

const fn wait() -> Span {
    Span::secs(1)
}

fn queue() -> usize {
    100
}

fn queue_all() -> usize {
    10_000
}

fn keys() -> usize {
    131_072
}

impl Settings {
    /// The same as what limits are counted by.
    pub(super) fn limits(&self, at: &Pointer) -> Result<Limits, Problems> {
        let mut problems = Problems::new();
        let mut check = |good: bool, key: &str, what: &str, hint: &str| {
            if !good {
                problems.push(Problem::new(&at.key(key), what).hint(hint));
            }
        };
        let window = u64::try_from(self.window.get().as_nanos()).unwrap_or(u64::MAX);
        let wait = self.wait.get();
        let within = |number: usize, most: usize| (1..=most).contains(&number);
        let hint = "to keep everyone out use the ip policy or remove the route";
        check(self.limit > 0, "limit", "a limit of 0 lets nothing through", hint);
        check(window > 0, "window", "a window has to last", "write a duration, as in 1s or 1m");
        let hint = "leave `burst` out to allow no two requests at once";
        check(self.burst > 0, "burst", "a burst of 0 lets nothing through", hint);
        let hint = "write a minute at most, or 0s for nobody to wait";
        check(wait <= WAIT_MAX, "wait", "no caller waits so long", hint);
        let places = "write 1 to 1048576; `wait: 0s` is for nobody to wait";
        let bad = "so many requests can't wait";
        check(within(self.queue, WAITING_MAX), "queue", bad, places);
        check(within(self.queue_all, WAITING_MAX), "queue_all", bad, places);
        let hint = "write 1 to 16777216, or leave it out";
        check(within(self.keys, KEYS_MAX), "keys", "so many keys can't be told apart", hint);
        if !problems.is_empty() {
            return Err(problems);
        }
        let Some(pace) = Pace::new(self.limit, window, self.burst) else {
            let what = "limit, window and burst are too large to be counted";
            let hint = "write a limit of one a nanosecond at most, and a burst worth 500 years";
            return Err(vec![Problem::new(&at.key("limit"), what).hint(hint)]);
        };
        Ok(Limits {
            pace,
            wait: u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX),
            queue: self.queue,
            all: self.queue_all,
            keys: self.keys,
        })
    }
}
