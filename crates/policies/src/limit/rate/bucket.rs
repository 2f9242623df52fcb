//! Token buckets by the generic cell rate algorithm (GCRA): all that is kept of a bucket is the
//! moment when it is full again. No HTTP and no clock in here; times are nanoseconds.

/// A bucket's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Time in which a token comes back.
    interval: u64,
    /// Time in which an empty bucket becomes full.
    depth: u64,
}

/// What a bucket has to say after a request asked for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Tokens left.
    pub(super) remaining: u64,
    /// Time until there is one more.
    pub(super) next: u64,
}

impl Shape {
    /// A bucket of `burst` tokens of which `limit` come back in `window` nanoseconds. None where
    /// one of them is zero, or where tokens come back faster than one a nanosecond.
    pub(super) fn new(limit: u64, window: u64, burst: u64) -> Option<Self> {
        let interval = window.checked_div(limit).filter(|interval| *interval > 0)?;
        let depth = interval.checked_mul(burst).filter(|depth| *depth > 0)?;
        Some(Self { interval, depth })
    }

    /// Takes a token at `now` from a bucket that is full at `full`: when it is full then, or, where
    /// there is no token, an error with the time until there is one.
    pub(super) fn take(self, full: u64, now: u64) -> Result<u64, u64> {
        let after = full.max(now).saturating_add(self.interval);
        let late = after.saturating_sub(now.saturating_add(self.depth));
        if late == 0 { Ok(after) } else { Err(late) }
    }

    /// How a bucket stands at `now` that is full at `full`.
    pub(super) fn level(self, full: u64, now: u64) -> Level {
        let missing = full.saturating_sub(now);
        let left = self.depth.saturating_sub(missing);
        let remaining = left.checked_div(self.interval).unwrap_or_default();
        let next = match left.checked_rem(self.interval) {
            Some(part) if missing > 0 => self.interval - part,
            _ => 0,
        };
        Level { remaining, next }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_as_fast_as_tokens_come() {
        let shape = Shape::new(10, SECOND, 3).unwrap();
        let mut full = 0;
        let mut given = Vec::new();
        for tick in 0..20 {
            let now = SECOND + tick * SECOND / 20;
            if let Ok(after) = shape.take(full, now) {
                full = after;
                given.push(tick);
            }
        }
        assert_eq!(given, [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18]);
    }

    #[test]
    fn a_bucket_says_what_is_left_and_when_there_is_more() {
        let shape = Shape::new(4, SECOND, 4).unwrap();
        let full = shape.take(0, SECOND).unwrap();
        assert_eq!(shape.level(full, SECOND), Level { remaining: 3, next: SECOND / 4 });
        let later = SECOND + SECOND / 8;
        assert_eq!(shape.level(full, later), Level { remaining: 3, next: SECOND / 8 });
        assert_eq!(shape.level(full, 2 * SECOND), Level { remaining: 4, next: 0 });
        let empty = (0..3).fold(full, |full, _| shape.take(full, SECOND).unwrap());
        assert_eq!(shape.level(empty, SECOND), Level { remaining: 0, next: SECOND / 4 });
        assert_eq!(shape.take(empty, SECOND), Err(SECOND / 4));
    }

    #[test]
    fn a_shape_that_can_not_be_kept_is_none() {
        for (limit, window, burst) in
            [(0, SECOND, 1), (1, 0, 1), (1, SECOND, 0), (2 * SECOND, SECOND, 1), (1, u64::MAX, 2)]
        {
            assert_eq!(Shape::new(limit, window, burst), None);
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_came_back(
            limit in 1u64..1000,
            burst in 1u64..50,
            steps in proptest::collection::vec(0u64..SECOND / 50, 1..200),
        ) {
            let shape = Shape::new(limit, SECOND, burst).unwrap();
            let (mut full, mut now, mut given) = (0, SECOND, 0);
            for step in steps {
                now += step;
                if let Ok(after) = shape.take(full, now) {
                    full = after;
                    given += 1;
                }
                let back = (now - SECOND) / (SECOND / limit);
                prop_assert!(given <= burst + back, "{given} of {burst} and {back}");
                prop_assert!(shape.level(full, now).remaining <= burst);
            }
        }
    }
}
