//! Counts of the last ten seconds, shared by all cores.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base::Instant;

/// How far back it counts.
const SECONDS: usize = 10;

/// The second a moment is in.
pub(crate) const fn second(now: Instant) -> u64 {
    now.as_nanos() / 1_000_000_000
}

/// A count for each of the last ten seconds: the second in the upper half, the count in the lower.
#[derive(Debug, Default)]
pub(crate) struct Window([AtomicU64; SECONDS]);

impl Window {
    fn slot(&self, second: u64) -> Option<&AtomicU64> {
        self.0.get(second as usize % SECONDS)
    }

    /// Counts one.
    pub fn add(&self, second: u64) {
        let Some(slot) = self.slot(second) else { return };
        let mut now = slot.load(Relaxed);
        loop {
            let next = if now >> 32 == second & 0xffff_ffff { now + 1 } else { (second << 32) | 1 };
            match slot.compare_exchange_weak(now, next, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// The count of one second.
    pub fn at(&self, second: u64) -> u64 {
        let value = self.slot(second).map_or(0, |slot| slot.load(Relaxed));
        if value >> 32 == second & 0xffff_ffff { value & 0xffff_ffff } else { 0 }
    }

    /// The count of the ten seconds up to and with this one.
    pub fn sum(&self, second: u64) -> u64 {
        self.sum_from(0, second)
    }

    /// The same, leaving out what was before the second `from`.
    pub fn sum_from(&self, from: u64, second: u64) -> u64 {
        let first = second.saturating_sub(SECONDS as u64 - 1).max(from);
        (first..=second).map(|second| self.at(second)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_seconds_are_counted_and_older_ones_forgotten() {
        let window = Window::default();
        (0..30).for_each(|second| window.add(second));
        assert_eq!(window.sum(29), 10);
        assert_eq!(window.sum(35), 4, "nothing came since");
        assert_eq!(window.sum_from(28, 29), 2);
        assert_eq!(window.sum(60), 0);
        assert_eq!((window.at(29), window.at(19)), (1, 0));
    }
}
