//! What counts for one window of a limit, by one of three algorithms. No HTTP and no clock in here;
//! times are nanoseconds.

use super::bucket::Bucket;
use super::fixed::Fixed;
use super::sliding::Sliding;

/// Now, by two clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// By one that never jumps: what everything is counted by.
    pub(super) steady: u64,
    /// Since 1970: what windows are aligned by.
    pub(super) wall: u64,
}

impl Moment {
    /// The moment when the steady clock says `steady`, which is not before this one.
    pub(super) fn later(self, steady: u64) -> Self {
        let passed = steady.saturating_sub(self.steady);
        Self { steady: self.steady.max(steady), wall: self.wall.saturating_add(passed) }
    }
}

/// All that is kept of a key for one window. What it means is the algorithm's; all zeros is a key
/// that never came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// A moment, by the steady clock.
    pub(super) at: u64,
    /// How much was used.
    pub(super) used: u64,
}

/// What a window has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// What is left.
    pub(super) remaining: u64,
    /// Time until there is more; 0 where nothing is used.
    pub(super) next: u64,
}

/// An algorithm with its numbers.
pub(super) trait Algorithm {
    /// Time until `cost` fits; 0 where it does.
    fn wait(&self, state: State, now: Moment, cost: u64) -> u64;
    /// The state after `cost` was taken, whether it fitted or not.
    fn add(&self, state: State, now: Moment, cost: u64) -> State;
    /// The state after one that did not fit was counted all the same.
    fn add_refused(&self, state: State, now: Moment, cost: u64) -> State {
        self.add(state, now, cost)
    }
    /// The state after `cost` that was taken at `then` was given back.
    fn give_back(&self, state: State, then: Moment, now: Moment, cost: u64) -> State;
    /// How it stands.
    fn level(&self, state: State, now: Moment) -> Level;
    /// How much is lost by forgetting the state: about the time in which what is used comes back,
    /// 0 for a state that is like new.
    fn debt(&self, state: State, now: Moment) -> u64;
    /// A state that allows no more than either.
    fn stricter(&self, one: State, other: State, now: Moment) -> State;
}

/// One of the algorithms there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limiter {
    Bucket(Bucket),
    Fixed(Fixed),
    Sliding(Sliding),
}

impl Limiter {
    /// It, as what they have in common.
    pub(super) fn algorithm(&self) -> &dyn Algorithm {
        match self {
            Self::Bucket(bucket) => bucket,
            Self::Fixed(fixed) => fixed,
            Self::Sliding(sliding) => sliding,
        }
    }

    /// What states of the same meaning have in common.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Bucket(_) => "token_bucket",
            Self::Fixed(_) => "fixed_window",
            Self::Sliding(_) => "sliding_window",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    /// 2026-01-01, 12:00:00.25.
    const WALL: u64 = 1_767_268_800 * SECOND + SECOND / 4;

    fn at(nanos: u64) -> Moment {
        Moment { steady: SECOND + nanos, wall: WALL + nanos }
    }

    fn all(limit: u64, window: u64) -> [Limiter; 4] {
        [
            Limiter::Bucket(Bucket::new(limit, window, limit).unwrap()),
            Limiter::Fixed(Fixed { limit, window, aligned: false }),
            Limiter::Fixed(Fixed { limit, window, aligned: true }),
            Limiter::Sliding(Sliding { limit: limit as u32, window }),
        ]
    }

    fn take(limiter: &Limiter, state: &mut State, now: Moment, cost: u64) -> Result<(), u64> {
        let wait = limiter.algorithm().wait(*state, now, cost);
        if wait > 0 {
            return Err(wait);
        }
        *state = limiter.algorithm().add(*state, now, cost);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_has_to_wait_exactly_as_long_as_is_said() {
        for limiter in all(4, SECOND) {
            let mut state = State::default();
            for step in [0, 10, 20, 500_000_000] {
                assert_eq!(take(&limiter, &mut state, at(step), 1), Ok(()), "{limiter:?}");
            }
            let wait = take(&limiter, &mut state, at(600_000_000), 4).unwrap_err();
            let later = 600_000_000 + wait;
            assert_eq!(take(&limiter, &mut state, at(later - 1), 4), Err(1), "{limiter:?}");
            assert_eq!(take(&limiter, &mut state, at(later), 4), Ok(()), "{limiter:?}");
        }
    }

    #[test]
    fn what_can_never_fit_never_does() {
        for limiter in all(4, SECOND) {
            let mut state = State::default();
            for step in 0..40 {
                let taken = take(&limiter, &mut state, at(step * SECOND / 7), 5);
                assert!(taken.is_err_and(|wait| wait > 0), "{limiter:?}");
            }
        }
    }

    #[test]
    fn what_costs_nothing_passes_until_there_is_a_debt() {
        for limiter in all(4, SECOND) {
            let mut state = State::default();
            assert_eq!(take(&limiter, &mut state, at(0), 4), Ok(()));
            assert_eq!(take(&limiter, &mut state, at(0), 0), Ok(()), "{limiter:?}");
            state = limiter.algorithm().add(state, at(0), 3);
            assert!(take(&limiter, &mut state, at(0), 0).is_err(), "{limiter:?}");
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        for limiter in all(4, SECOND) {
            let mut state = State::default();
            assert_eq!(take(&limiter, &mut state, at(0), 4), Ok(()));
            let algorithm = limiter.algorithm();
            state = algorithm.give_back(state, at(0), at(10), 3);
            assert_eq!(algorithm.level(state, at(10)).remaining, 3, "{limiter:?}");
            state = algorithm.give_back(state, at(0), at(20), 100);
            assert_eq!(algorithm.level(state, at(20)).remaining, 4, "{limiter:?}: never more");
            state = algorithm.add(State::default(), at(5 * SECOND), 4);
            state = algorithm.give_back(state, at(0), at(5 * SECOND), 4);
            if !matches!(limiter, Limiter::Bucket(_)) {
                let left = algorithm.level(state, at(5 * SECOND)).remaining;
                assert_eq!(left, 0, "{limiter:?}: it is another window's");
            }
        }
    }

    proptest! {
        /// What is said of a state is true of it: what remains fits, one more does not and has to
        /// wait, and in any stretch as long as a window at most twice the limit passes.
        #[test]
        fn levels_and_bounds_hold_whatever_comes(
            limit in 1u64..40,
            steps in proptest::collection::vec((0u64..SECOND / 3, 0u64..5), 1..120),
        ) {
            for limiter in all(limit, SECOND) {
                let algorithm = limiter.algorithm();
                let (mut state, mut now, mut passed) = (State::default(), 0, Vec::new());
                for (step, cost) in &steps {
                    now += step;
                    if take(&limiter, &mut state, at(now), *cost).is_ok() {
                        passed.push((now, *cost));
                    }
                    let level = algorithm.level(state, at(now));
                    prop_assert!(level.remaining <= limit);
                    prop_assert_eq!(algorithm.wait(state, at(now), level.remaining), 0);
                    let more = algorithm.wait(state, at(now), level.remaining + 1);
                    prop_assert!(more > 0, "{:?}", limiter);
                    if level.remaining < limit {
                        prop_assert_eq!(level.next, more, "{:?}", limiter);
                    }
                    let recent = passed.iter().filter(|(when, _)| when + SECOND > now);
                    let sum: u64 = recent.map(|(_, cost)| cost).sum();
                    prop_assert!(sum <= 2 * limit, "{limiter:?}: {sum} of {limit}");
                    let is_new = |now| algorithm.debt(state, at(now)) == 0;
                    prop_assert!(!is_new(now) || level.remaining == limit, "{:?}", limiter);
                    prop_assert!(is_new(now + 2 * SECOND), "{:?}", limiter);
                }
            }
        }

        /// Of two states, the stricter one never allows what one of them does not.
        #[test]
        fn the_stricter_of_two_allows_no_more_than_either(
            first in proptest::collection::vec((0u64..SECOND / 3, 0u64..5), 0..20),
            second in proptest::collection::vec((0u64..SECOND / 3, 0u64..5), 0..20),
            gap in 0u64..SECOND * 2,
            later in proptest::collection::vec(0u64..SECOND / 2, 1..8),
        ) {
            for limiter in all(10, SECOND) {
                let algorithm = limiter.algorithm();
                let run = |steps: &[(u64, u64)]| {
                    let (mut state, mut now) = (State::default(), 0);
                    for (step, cost) in steps {
                        now += step;
                        let _ = take(&limiter, &mut state, at(now), *cost);
                    }
                    (state, now)
                };
                let ((one, ended), (other, also)) = (run(&first), run(&second));
                let mut now = ended.max(also) + gap;
                let stricter = algorithm.stricter(one, other, at(now));
                for step in &later {
                    let strict = algorithm.level(stricter, at(now)).remaining;
                    let least = [one, other].map(|state| algorithm.level(state, at(now)).remaining);
                    prop_assert!(least.iter().all(|left| strict <= *left), "{:?}", limiter);
                    now += step;
                }
            }
        }
    }
}
