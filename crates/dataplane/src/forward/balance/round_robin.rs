//! In turn, by share: whoever's next turn is due earliest. Over any stretch each gets its share,
//! evenly spread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

/// Turns of members numbered from 0.
pub(super) enum RoundRobin {
    /// All have the same share: a counter will do.
    Even { next: usize, len: usize },
    /// When each member's next turn is due, and who that is.
    Uneven { due: BinaryHeap<Reverse<(u64, usize)>>, pace: Vec<u64> },
}

/// Time between two turns of a member with a share of one. Shares are below 2^20, so time lasts for
/// 2^24 turns of the rarest member at least; then it starts over.
const PACE: u64 = 1 << 40;

impl RoundRobin {
    /// Turns for members with these shares, all above zero. They start at a random place, so that
    /// cores and instances do not all start with the same endpoint.
    pub fn new(shares: Vec<u64>, rng: &mut Rng) -> Self {
        let even = shares.windows(2).all(|pair| pair.first() == pair.last());
        if even {
            let len = shares.len();
            return Self::Even { next: rng.usize(..len.max(1)), len };
        }
        let pace: Vec<u64> = shares.iter().map(|share| PACE / (*share).max(1)).collect();
        let start = rng.u64(..PACE);
        let first = |pace: u64| ((u128::from(pace) * u128::from(start)) / u128::from(PACE)) as u64;
        let due = pace.iter().enumerate().map(|(at, pace)| Reverse((first(*pace), at))).collect();
        Self::Uneven { due, pace }
    }

    /// Whose turn it is; none where there are no members.
    pub fn next(&mut self) -> Option<usize> {
        match self {
            Self::Even { len: 0, .. } => None,
            Self::Even { next, len } => {
                let turn = *next;
                *next = if turn + 1 < *len { turn + 1 } else { 0 };
                Some(turn)
            }
            Self::Uneven { due, pace } => {
                let mut earliest = due.peek_mut()?;
                let Reverse((at, member)) = *earliest;
                let then = at.wrapping_add(pace.get(member).copied().unwrap_or(PACE));
                *earliest = Reverse((then, member));
                Some(member)
            }
        }
    }
}
