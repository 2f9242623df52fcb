//! Fixed windows: so many in each, and all of them again when the next begins. Kept are the moment
//! it ends and how much of it is used.

use super::limiter::{Algorithm, Level, Moment, State};

/// A fixed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    /// What fits in one.
    pub(super) limit: u64,
    /// How long one is, not 0.
    pub(super) window: u64,
    /// Whether windows begin at multiples of their length since 1970 (UTC), and not with a key's
    /// first request.
    pub(super) aligned: bool,
}

impl Fixed {
    /// The window that is at `now`: another one where that of `state` is over.
    fn current(&self, state: State, now: Moment) -> State {
        let over = now.steady >= state.at;
        // Longer than a window can last: it was made when windows were longer.
        let foreign = state.at.saturating_sub(now.steady) > self.window;
        if !over && !foreign {
            return state;
        }
        let gone = if self.aligned { now.wall.checked_rem(self.window) } else { None };
        let left = self.window - gone.unwrap_or_default();
        State { at: now.steady.saturating_add(left), used: if over { 0 } else { state.used } }
    }
}

impl Algorithm for Fixed {
    fn wait(&self, state: State, now: Moment, cost: u64) -> u64 {
        let State { at, used } = self.current(state, now);
        if used.saturating_add(cost) <= self.limit { 0 } else { at.saturating_sub(now.steady) }
    }

    fn add(&self, state: State, now: Moment, cost: u64) -> State {
        let State { at, used } = self.current(state, now);
        State { at, used: used.saturating_add(cost) }
    }

    fn give_back(&self, state: State, then: Moment, now: Moment, cost: u64) -> State {
        let State { at, used } = self.current(state, now);
        let taken_here = then.steady >= at.saturating_sub(self.window);
        State { at, used: if taken_here { used.saturating_sub(cost) } else { used } }
    }

    fn level(&self, state: State, now: Moment) -> Level {
        let State { at, used } = self.current(state, now);
        let next = if used > 0 { at.saturating_sub(now.steady) } else { 0 };
        Level { remaining: self.limit.saturating_sub(used), next }
    }

    fn debt(&self, state: State, now: Moment) -> u64 {
        let parts = u128::from(self.current(state, now).used) * u128::from(self.window);
        let time = parts.checked_div(self.limit.into()).unwrap_or_default();
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    fn stricter(&self, one: State, other: State, now: Moment) -> State {
        let (one, other) = (self.current(one, now), self.current(other, now));
        State { at: one.at.max(other.at), used: one.used.max(other.used) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn passes(fixed: Fixed, state: &mut State, now: Moment) -> bool {
        let fits = fixed.wait(*state, now, 1) == 0;
        *state = if fits { fixed.add(*state, now, 1) } else { *state };
        fits
    }

    #[test]
    fn a_window_begins_with_the_first_request_or_with_the_clock() {
        // 12:00:40 on the clock.
        let at = |after: u64| Moment {
            steady: (5 + after) * SECOND,
            wall: (1_767_268_840 + after) * SECOND,
        };
        for (aligned, over) in [(false, 60), (true, 20)] {
            let fixed = Fixed { limit: 2, window: 60 * SECOND, aligned };
            let mut state = State::default();
            assert!(passes(fixed, &mut state, at(0)) && passes(fixed, &mut state, at(1)));
            assert_eq!(fixed.wait(state, at(2), 1), (over - 2) * SECOND);
            assert!(!passes(fixed, &mut state, at(over - 1)), "aligned: {aligned}");
            assert!(passes(fixed, &mut state, at(over)), "aligned: {aligned}");
        }
    }

    #[test]
    fn a_window_that_became_shorter_ends_as_soon_as_a_short_one_does() {
        let long = Fixed { limit: 1, window: 3600 * SECOND, aligned: false };
        let now = Moment { steady: SECOND, wall: 0 };
        let state = long.add(State::default(), now, 1);
        let short = Fixed { window: SECOND, ..long };
        assert_eq!(short.wait(state, now, 1), SECOND);
    }
}
