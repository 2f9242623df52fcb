//! The retry budget of an upstream, all cores together: retries are at most a share of the requests
//! of the last 10 s, and a few each second whatever the traffic. So retries help where a few
//! requests fail, and add no load where all do.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base::Instant;

use super::window::{Window, second};

/// Requests and retries of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    requests: Window,
    retries: Window,
    /// Retries since the start.
    pub retried: AtomicU64,
    /// Retries refused since the start.
    pub exhausted: AtomicU64,
}

impl Budget {
    /// A request was let in.
    pub fn request(&self, now: Instant) {
        self.requests.add(second(now));
    }

    /// The requests that were let in, second by second.
    pub const fn requests(&self) -> &Window {
        &self.requests
    }

    /// Takes a retry out of the budget; false where there is none left.
    pub fn retry(&self, now: Instant, percent: u8, floor: u32) -> bool {
        let now = second(now);
        let share = self.requests.sum(now) * u64::from(percent) / 100;
        let allowed = self.retries.sum(now) < share || self.retries.at(now) < u64::from(floor);
        if allowed {
            self.retries.add(now);
            self.retried.fetch_add(1, Relaxed);
        } else {
            self.exhausted.fetch_add(1, Relaxed);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn retries(budget: &Budget, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| budget.retry(now, 20, 10)).count()
    }

    #[test]
    fn without_traffic_there_is_the_floor_each_second() {
        let budget = Budget::default();
        assert_eq!(retries(&budget, at(100), 1_000), 10);
        assert_eq!(retries(&budget, at(101), 1_000), 10);
        assert_eq!(budget.retried.load(Relaxed), 20);
        assert_eq!(budget.exhausted.load(Relaxed), 1_980);
    }

    #[test]
    fn retries_are_a_share_of_the_requests_of_ten_seconds() {
        let budget = Budget::default();
        (0..1_000).for_each(|_| budget.request(at(50)));
        assert_eq!(retries(&budget, at(51), 1_000), 200, "a fifth of 1000");
        assert_eq!(retries(&budget, at(52), 1_000), 10, "what is left is the floor");
        assert_eq!(retries(&budget, at(61), 1_000), 10, "the requests are forgotten");
    }

    #[test]
    fn a_failing_upstream_sees_at_most_a_fifth_more_and_ten_a_second() {
        let budget = Budget::default();
        let mut tried = 0;
        for second in 0..60 {
            for _ in 0..1_000 {
                budget.request(at(second));
                tried += retries(&budget, at(second), 1);
            }
        }
        assert!(tried <= 60 * (200 + 10), "{tried}");
        assert!(tried >= 60 * 190, "{tried}: the budget can be used");
    }
}
