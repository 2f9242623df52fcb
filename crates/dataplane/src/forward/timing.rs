//! Which timer a try has to fear, and when.

use std::time::Duration;

use base::Instant;
use policy::{Code, codes};

use super::replay::Progress;

/// The timers of one try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// From the request's last byte given away to the head of the response.
    pub first_byte: Duration,
    /// Between two pieces of the request that the endpoint takes.
    pub idle: Duration,
    /// When the try is over.
    pub try_by: Option<Instant>,
    /// When the exchange is over.
    pub total_by: Option<Instant>,
}

/// A timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The response did not start.
    FirstByte,
    /// The endpoint stopped taking the request.
    Idle,
    /// The try took too long.
    Try,
    /// The exchange took too long.
    Total,
}

impl Timer {
    /// What the caller is told.
    pub fn code(self) -> &'static Code {
        match self {
            Self::FirstByte | Self::Try => &codes::FIRST_BYTE_TIMEOUT,
            Self::Idle => &codes::UPSTREAM_IDLE_TIMEOUT,
            Self::Total => &codes::TOTAL_TIMEOUT,
        }
    }

    /// The setting it comes from.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::FirstByte => "timeouts.first_byte",
            Self::Idle => "timeouts.idle",
            Self::Try => "retry.per_try_timeout",
            Self::Total => "timeouts.total",
        }
    }
}

impl Timing {
    /// The next timer to fire and when, by how far the request's body has come. While the client
    /// has to send more, no timer of the endpoint's runs: the client has its own.
    pub fn due(&self, progress: Progress) -> Option<(Instant, Timer)> {
        let endpoint = match progress {
            Progress::Client => None,
            Progress::Endpoint(since) => Some((since.after(self.idle), Timer::Idle)),
            Progress::Done(since) => Some((since.after(self.first_byte), Timer::FirstByte)),
        };
        let own = self.try_by.map(|at| (at, Timer::Try));
        let total = self.total_by.map(|at| (at, Timer::Total));
        [total, own, endpoint].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_earliest_timer_that_runs_is_due() {
        let timing = |try_by: Option<u64>, total_by: Option<u64>| Timing {
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            try_by: try_by.map(at),
            total_by: total_by.map(at),
        };
        for (timing, progress, expected) in [
            (timing(None, None), Progress::Done(at(1)), Some((at(31), Timer::FirstByte))),
            (timing(None, None), Progress::Endpoint(at(1)), Some((at(61), Timer::Idle))),
            (timing(None, None), Progress::Client, None),
            (timing(None, Some(5)), Progress::Client, Some((at(5), Timer::Total))),
            (timing(Some(4), Some(5)), Progress::Done(at(1)), Some((at(4), Timer::Try))),
            (timing(Some(5), Some(5)), Progress::Done(at(1)), Some((at(5), Timer::Total))),
            (timing(Some(90), Some(99)), Progress::Done(at(1)), Some((at(31), Timer::FirstByte))),
        ] {
            assert_eq!(timing.due(progress), expected, "{timing:?} {progress:?}");
        }
    }
}
