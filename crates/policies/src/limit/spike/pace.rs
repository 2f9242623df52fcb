//! An even pace, by the generic cell rate algorithm (GCRA). Knows no keys and no queue. Times are
//! nanoseconds on the monotonic clock.

/// How late a timer may be without slowing the pace: those behind come closer by as much. The
/// runtime's timers tick in milliseconds.
const LATE: u64 = 5_000_000;

/// A pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Time from one to the next.
    interval: u64,
    /// How much earlier one may come where nobody came before: the burst's room.
    ahead: u64,
}

impl Pace {
    /// `limit` in `window` nanoseconds, of which `burst` may come at once. None where one of them
    /// is zero, or where they come faster than one a nanosecond.
    pub(super) fn new(limit: u64, window: u64, burst: u64) -> Option<Self> {
        let interval = window.checked_div(limit).filter(|interval| *interval > 0)?;
        let ahead = interval.checked_mul(burst.checked_sub(1)?)?;
        Some(Self { interval, ahead })
    }

    /// When the next one may go, after those who left `due` behind.
    pub(super) const fn opens(self, due: u64) -> u64 {
        due.saturating_sub(self.ahead)
    }

    /// When one may go that has `before` others before it.
    pub(super) fn opens_after(self, due: u64, now: u64, before: usize) -> u64 {
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        let behind = self.interval.saturating_mul(before);
        self.opens(due).saturating_add(behind).max(now)
    }

    /// What one that goes at `now` leaves behind. One that waited may be late by a timer's tick.
    pub(super) fn gone(self, due: u64, now: u64, waited: bool) -> u64 {
        let late = if waited { LATE } else { 0 };
        due.max(now.saturating_sub(late)).saturating_add(self.interval)
    }

    /// `due`, where it was left behind by this pace; as much as this pace can owe, where a slower
    /// one did before a reload.
    pub(super) fn clamped(self, due: u64, now: u64) -> u64 {
        due.min(now.saturating_add(self.ahead).saturating_add(self.interval))
    }
}
