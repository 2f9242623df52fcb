//! Sliding windows: what was used in the window before counts by the part of it that is still
//! within a window's length, as if it had come evenly. Kept are the moment the window ends, and
//! what was used in it and in the one before.

use super::limiter::{Algorithm, Level, Moment, State};

/// A sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sliding {
    /// What fits in one.
    pub(super) limit: u32,
    /// How long one is, not 0.
    pub(super) window: u64,
}

/// A state, taken apart.
#[derive(Clone, Copy)]
struct Windows {
    end: u64,
    before: u32,
    current: u32,
}

impl From<Windows> for State {
    fn from(Windows { end, before, current }: Windows) -> Self {
        Self { at: end, used: u64::from(before) << 32 | u64::from(current) }
    }
}

impl Sliding {
    /// The windows at `now`.
    fn windows(&self, state: State, now: Moment) -> Windows {
        let (before, current) = ((state.used >> 32) as u32, state.used as u32);
        let (now, end) = (now.steady, state.at);
        let next = now.saturating_add(self.window);
        if now >= end.saturating_add(self.window) {
            Windows { end: next, before: 0, current: 0 }
        } else if now >= end {
            Windows { end: end.saturating_add(self.window), before: current, current: 0 }
        } else {
            // An end that is further away was made when windows were longer.
            Windows { end: end.min(next), before, current }
        }
    }

    /// What is used at `now`, in parts of which a window's length makes one.
    fn used(&self, Windows { end, before, current }: Windows, now: Moment) -> u128 {
        let left = u128::from(end.saturating_sub(now.steady));
        u128::from(before) * left + self.parts(current)
    }

    fn parts(&self, count: impl Into<u128>) -> u128 {
        count.into() * u128::from(self.window)
    }
}

impl Algorithm for Sliding {
    fn wait(&self, state: State, now: Moment, cost: u64) -> u64 {
        let windows = self.windows(state, now);
        let cost = u128::from(cost);
        let room = self.parts(self.limit);
        if self.used(windows, now).saturating_add(self.parts(cost)) <= room {
            return 0;
        }
        let Windows { end, before, current } = windows;
        let next_end = end.saturating_add(self.window);
        // How long before a window's end `used` of the one before it leaves room for `wanted`.
        let fits = |used: u32, wanted: u128| {
            let left = room.checked_sub(self.parts(wanted))?;
            Some(u64::try_from(left.checked_div(used.into())?).unwrap_or(u64::MAX))
        };
        let when = match (fits(before, u128::from(current) + cost), fits(current, cost)) {
            (Some(left), _) => end.saturating_sub(left),
            (None, Some(left)) => next_end.saturating_sub(left).max(end),
            (None, None) => next_end,
        };
        when.saturating_sub(now.steady).max(1)
    }

    fn add(&self, state: State, now: Moment, cost: u64) -> State {
        let windows = self.windows(state, now);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        Windows { current: windows.current.saturating_add(cost), ..windows }.into()
    }

    fn give_back(&self, state: State, then: Moment, now: Moment, cost: u64) -> State {
        let mut windows = self.windows(state, now);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let start = windows.end.saturating_sub(self.window);
        if then.steady >= start {
            windows.current = windows.current.saturating_sub(cost);
        } else if then.steady >= start.saturating_sub(self.window) {
            windows.before = windows.before.saturating_sub(cost);
        }
        windows.into()
    }

    fn level(&self, state: State, now: Moment) -> Level {
        let windows = self.windows(state, now);
        let left = self.parts(self.limit).saturating_sub(self.used(windows, now));
        let remaining = left.checked_div(self.window.into()).unwrap_or_default() as u64;
        let used = remaining < u64::from(self.limit);
        Level { remaining, next: if used { self.wait(state, now, remaining + 1) } else { 0 } }
    }

    fn debt(&self, state: State, now: Moment) -> u64 {
        let used = self.used(self.windows(state, now), now);
        let time = used.checked_div(self.limit.into()).unwrap_or_default();
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    fn stricter(&self, one: State, other: State, now: Moment) -> State {
        let (one, other) = (self.windows(one, now), self.windows(other, now));
        Windows {
            end: one.end.max(other.end),
            before: one.before.max(other.before),
            current: one.current.max(other.current),
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(tenths: u64) -> Moment {
        Moment { steady: SECOND + tenths * SECOND / 10, wall: 0 }
    }

    #[test]
    fn what_was_used_before_counts_less_and_less() {
        let sliding = Sliding { limit: 10, window: SECOND };
        let state = sliding.add(State::default(), at(0), 10);
        let left = |tenths| sliding.level(state, at(tenths)).remaining;
        let seen: Vec<u64> = [0, 9, 10, 11, 15, 19, 20].into_iter().map(left).collect();
        assert_eq!(seen, [0, 0, 0, 1, 5, 9, 10]);
    }

    #[test]
    fn the_wait_reaches_into_the_window_after() {
        let sliding = Sliding { limit: 10, window: SECOND };
        let state = sliding.add(State::default(), at(0), 10);
        assert_eq!(sliding.wait(state, at(3), 1), SECOND * 8 / 10, "at 1.1 s a tenth is gone");
        assert_eq!(sliding.wait(state, at(12), 5), SECOND * 3 / 10, "at 1.5 s the half");
    }
}
