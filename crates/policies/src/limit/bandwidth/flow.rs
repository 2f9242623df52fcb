//! Bytes a second, by token buckets of which all that is kept is the moment when they are full
//! again. Pieces are given their moments in the order they come, so that those who share a bucket
//! get equal parts of it. Times are nanoseconds on the monotonic clock.

use crate::limit::keyed::Entry;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Least and most bytes of a piece.
const PIECE: (u64, u64) = (512, 64 << 10);

/// A part of a second that a piece is worth, within those bounds: pieces that are worth more make
/// others wait, and smaller ones cost more.
const PIECES: u64 = 20;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// How many bytes go in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    rate: u64,
    /// Time in which an empty bucket becomes full.
    depth: u64,
}

/// What is kept of a key: when its buckets are full again, for both ways.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    up: u64,
    down: u64,
}

impl Flow {
    /// `rate` bytes a second, and `burst` at once. None where the rate is zero.
    pub(super) fn new(rate: u64, burst: u64) -> Option<Self> {
        let flow = Self { rate: Some(rate).filter(|rate| *rate > 0)?, depth: 0 };
        Some(Self { depth: flow.takes(burst), ..flow })
    }

    /// Bytes to send as one piece, at most.
    pub(super) fn piece(self) -> usize {
        let (least, most) = PIECE;
        (self.rate / PIECES).clamp(least, most) as usize
    }

    /// Time that so many bytes take.
    pub(super) fn takes(self, bytes: u64) -> u64 {
        let nanos = (u128::from(bytes) * u128::from(SECOND)).div_ceil(u128::from(self.rate.max(1)));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

impl Buckets {
    /// Takes so many bytes. Gives the moment when they may go.
    pub(super) fn take(&mut self, way: Way, flow: Flow, now: u64, bytes: u64) -> u64 {
        let full = self.full(way);
        *full = (*full).max(now).saturating_add(flow.takes(bytes));
        full.saturating_sub(flow.depth)
    }

    /// Gives back what was taken and did not go.
    pub(super) fn give_back(&mut self, way: Way, flow: Flow, bytes: u64) {
        let full = self.full(way);
        *full = full.saturating_sub(flow.takes(bytes));
    }

    const fn full(&mut self, way: Way) -> &mut u64 {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

impl Entry for Buckets {
    fn is_blank(&self, now: u64) -> bool {
        self.up.max(self.down) <= now
    }
}
