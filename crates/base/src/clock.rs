//! Time as the gateway sees it: one clock, real in production, moved by hand in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment on the monotonic clock, in nanoseconds since the clock was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// A moment `nanos` nanoseconds after the clock's start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `by` later; stops at the end of time (584 years).
    pub const fn after(self, by: Duration) -> Self {
        let nanos = by.as_nanos();
        let nanos = if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 };
        Self(self.0.saturating_add(nanos))
    }
}

/// Where time comes from. Cheap to clone; every clone shows the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: std::time::Instant },
    Virtual { nanos: Arc<AtomicU64>, epoch: Duration },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System { start: std::time::Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`]; its wall time starts at `epoch` after
    /// 1970.
    pub fn fixed(epoch: Duration) -> Self {
        Self(Source::Virtual { nanos: Arc::new(AtomicU64::new(0)), epoch })
    }

    /// Now, monotonic.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System { start } => {
                Instant(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Virtual { nanos, .. } => Instant(nanos.load(Ordering::Acquire)),
        }
    }

    /// Now, as time since 1970-01-01 UTC.
    pub fn wall(&self) -> Duration {
        match &self.0 {
            Source::System { .. } => {
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
            }
            Source::Virtual { nanos, epoch } => {
                *epoch + Duration::from_nanos(nanos.load(Ordering::Acquire))
            }
        }
    }

    /// Moves a [`Clock::fixed`] clock forward; a system clock takes no orders.
    pub fn advance(&self, by: Duration) {
        if let Source::Virtual { nanos, .. } = &self.0 {
            let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            nanos.fetch_add(by, Ordering::AcqRel);
        }
    }
}
