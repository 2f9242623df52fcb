//! Token buckets by the generic cell rate algorithm (GCRA): all that is kept of a bucket is the
//! moment when it is full again.

use super::limiter::{Algorithm, Level, Moment, State};

/// A bucket's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Time in which a token comes back.
    interval: u64,
    /// Time in which an empty bucket becomes full.
    depth: u64,
}

impl Bucket {
    /// A bucket of `burst` tokens of which `limit` come back in `window` nanoseconds. None where
    /// one of them is zero, or where tokens come back faster than one a nanosecond.
    pub(super) fn new(limit: u64, window: u64, burst: u64) -> Option<Self> {
        let interval = window.checked_div(limit).filter(|interval| *interval > 0)?;
        let depth = interval.checked_mul(burst).filter(|depth| *depth > 0)?;
        Some(Self { interval, depth })
    }
}

impl Algorithm for Bucket {
    fn wait(&self, state: State, now: Moment, cost: u64) -> u64 {
        let full = self.add(state, now, cost).at;
        full.saturating_sub(now.steady.saturating_add(self.depth))
    }

    fn add(&self, state: State, now: Moment, cost: u64) -> State {
        let taken = self.interval.saturating_mul(cost);
        State { at: state.at.max(now.steady).saturating_add(taken), ..state }
    }

    /// The bucket is empty then, whatever it was.
    fn add_refused(&self, state: State, now: Moment, cost: u64) -> State {
        let empty = now.steady.saturating_add(self.depth).max(state.at);
        State { at: self.add(state, now, cost).at.min(empty), ..state }
    }

    fn give_back(&self, state: State, _: Moment, _: Moment, cost: u64) -> State {
        State { at: state.at.saturating_sub(self.interval.saturating_mul(cost)), ..state }
    }

    fn level(&self, state: State, now: Moment) -> Level {
        let missing = state.at.saturating_sub(now.steady);
        let left = self.depth.saturating_sub(missing);
        let remaining = left.checked_div(self.interval).unwrap_or_default();
        let debt = missing.saturating_sub(self.depth);
        let next = match left.checked_rem(self.interval) {
            Some(part) if missing > 0 => (self.interval - part).saturating_add(debt),
            _ => 0,
        };
        Level { remaining, next }
    }

    fn debt(&self, state: State, now: Moment) -> u64 {
        state.at.saturating_sub(now.steady)
    }

    fn stricter(&self, one: State, other: State, _: Moment) -> State {
        State { at: one.at.max(other.at), used: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(steady: u64) -> Moment {
        Moment { steady, wall: 0 }
    }

    fn take(bucket: Bucket, state: State, now: u64) -> Result<State, u64> {
        match bucket.wait(state, at(now), 1) {
            0 => Ok(bucket.add(state, at(now), 1)),
            wait => Err(wait),
        }
    }

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_as_fast_as_tokens_come() {
        let bucket = Bucket::new(10, SECOND, 3).unwrap();
        let mut state = State::default();
        let mut given = Vec::new();
        for tick in 0..20 {
            if let Ok(after) = take(bucket, state, SECOND + tick * SECOND / 20) {
                state = after;
                given.push(tick);
            }
        }
        assert_eq!(given, [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18]);
    }

    #[test]
    fn a_bucket_says_what_is_left_and_when_there_is_more() {
        let bucket = Bucket::new(4, SECOND, 4).unwrap();
        let state = take(bucket, State::default(), SECOND).unwrap();
        let level = |state, now| bucket.level(state, at(now));
        assert_eq!(level(state, SECOND), Level { remaining: 3, next: SECOND / 4 });
        let later = SECOND + SECOND / 8;
        assert_eq!(level(state, later), Level { remaining: 3, next: SECOND / 8 });
        assert_eq!(level(state, 2 * SECOND), Level { remaining: 4, next: 0 });
        let empty = (0..3).fold(state, |state, _| take(bucket, state, SECOND).unwrap());
        assert_eq!(level(empty, SECOND), Level { remaining: 0, next: SECOND / 4 });
        assert_eq!(take(bucket, empty, SECOND), Err(SECOND / 4));
        let debt = bucket.add(empty, at(SECOND), 2);
        assert_eq!(level(debt, SECOND), Level { remaining: 0, next: SECOND * 3 / 4 });
    }

    #[test]
    fn one_that_is_refused_empties_the_bucket_and_makes_no_debt() {
        let bucket = Bucket::new(4, SECOND, 4).unwrap();
        let empty = bucket.add(State::default(), at(SECOND), 4);
        let later = SECOND + SECOND / 8;
        let state = (0..9).fold(empty, |state, _| bucket.add_refused(state, at(later), 1));
        assert_eq!(take(bucket, state, later), Err(SECOND / 4));
    }

    #[test]
    fn a_shape_that_can_not_be_kept_is_none() {
        for (limit, window, burst) in
            [(0, SECOND, 1), (1, 0, 1), (1, SECOND, 0), (2 * SECOND, SECOND, 1), (1, u64::MAX, 2)]
        {
            assert_eq!(Bucket::new(limit, window, burst), None);
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_came_back(
            limit in 1u64..1000,
            burst in 1u64..50,
            steps in proptest::collection::vec(0u64..SECOND / 50, 1..200),
        ) {
            let bucket = Bucket::new(limit, SECOND, burst).unwrap();
            let (mut state, mut now, mut given) = (State::default(), SECOND, 0);
            for step in steps {
                now += step;
                if let Ok(after) = take(bucket, state, now) {
                    state = after;
                    given += 1;
                }
                let back = (now - SECOND) / (SECOND / limit);
                prop_assert!(given <= burst + back, "{given} of {burst} and {back}");
                prop_assert!(bucket.level(state, at(now)).remaining <= burst);
            }
        }
    }
}
