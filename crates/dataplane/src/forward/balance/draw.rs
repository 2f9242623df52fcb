//! Two drawn by share, and the better of them.
//!
//! Among equal shares the two are always different. Among unequal ones they are drawn independently
//! and may be the same: else a light endpoint would be one of the two far more often than its share
//! says.

use fastrand::Rng;

/// Members numbered from 0, to be drawn by their shares.
pub(super) struct Draw {
    /// The sum of the shares up to and with each member.
    up_to: Vec<u64>,
    /// Whether all have the same share.
    even: bool,
}

impl Draw {
    /// Members with these shares.
    pub fn new(shares: impl Iterator<Item = u64>) -> Self {
        let (mut sum, mut first, mut even, mut up_to) = (0, None, true, Vec::new());
        for share in shares {
            even &= *first.get_or_insert(share) == share;
            sum += share;
            up_to.push(sum);
        }
        Self { up_to, even }
    }

    /// A member drawn, or the other of two drawn where that has less load. `load` is asked with the
    /// member and its share, of which the average is 1.
    pub fn pick(&self, rng: &mut Rng, load: impl Fn(usize, f64) -> f64) -> Option<usize> {
        let total = *self.up_to.last()?;
        let count = self.up_to.len();
        let (one, other) = if self.even {
            let one = rng.usize(..count);
            let step = if count > 1 { rng.usize(1..count) } else { 0 };
            (one, (one + step) % count)
        } else {
            (self.at(rng.u64(..total.max(1))), self.at(rng.u64(..total.max(1))))
        };
        if one == other {
            return Some(one);
        }
        let load = |at: usize| {
            let share = if self.even { 1.0 } else { self.share(at, total) };
            load(at, share)
        };
        Some(if load(other) < load(one) { other } else { one })
    }

    fn at(&self, drawn: u64) -> usize {
        self.up_to.partition_point(|up_to| *up_to <= drawn)
    }

    fn share(&self, at: usize, total: u64) -> f64 {
        let end = self.up_to.get(at).copied().unwrap_or_default();
        let start = at.checked_sub(1).and_then(|at| self.up_to.get(at)).copied();
        let share = end.saturating_sub(start.unwrap_or_default());
        share as f64 * self.up_to.len() as f64 / total.max(1) as f64
    }
}
