//! How fast an endpoint's answers come: an exponentially weighted moving average that jumps to
//! peaks at once and forgets them slowly ("peak EWMA"), so that an endpoint that got slow is
//! avoided before its queue grows.

use std::time::Duration;

use base::Instant;

/// How fast the average forgets: a peak is down to 37 % after this time.
const DECAY: Duration = Duration::from_secs(10);

/// The average of an endpoint nobody has asked yet: zero, so that it is tried soon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ewma {
    nanos: f64,
    at: Instant,
}

impl Ewma {
    /// The average with an answer that took `took` and ended `now`.
    #[must_use]
    pub fn with(self, took: Duration, now: Instant) -> Self {
        let took = took.as_nanos() as f64;
        if took > self.nanos {
            return Self { nanos: took, at: now };
        }
        let kept = self.kept(now);
        Self { nanos: self.nanos * kept + took * (1.0 - kept), at: now }
    }

    /// What a further request costs where `active` are running. Without answers it sinks, so that a
    /// slow endpoint is tried again. An endpoint that never answered is tried with one request, not
    /// with all.
    pub fn cost(self, active: f64, now: Instant) -> f64 {
        match self.nanos > 0.0 {
            true => self.nanos * self.kept(now) * (active + 1.0),
            false if active > 0.0 => f64::MAX,
            false => 0.0,
        }
    }

    fn kept(self, now: Instant) -> f64 {
        (-now.since(self.at).as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn it_jumps_to_peaks_and_forgets_them_slowly() {
        let fast = Ewma::default().with(Duration::from_millis(1), at(1));
        let slow = fast.with(Duration::from_millis(100), at(2));
        assert!(slow.cost(0.0, at(2)) >= 100e6, "the peak counts at once");
        let after = slow.with(Duration::from_millis(1), at(3));
        assert!(after.cost(0.0, at(3)) > 85e6, "one fast answer does not excuse it");
        let later = (4..60).fold(after, |ewma, s| ewma.with(Duration::from_millis(1), at(s)));
        assert!(later.cost(0.0, at(60)) < 2e6, "many do");
        assert!(slow.cost(0.0, at(60)) < 1e6, "so does time");
        assert!(slow.cost(1.0, at(2)) >= 200e6, "who is busy costs more");
    }

    #[test]
    fn who_never_answered_is_tried_with_one_request() {
        let (new, known) = (Ewma::default(), Ewma::default().with(Duration::from_secs(9), at(1)));
        assert!(new.cost(0.0, at(1)) < known.cost(0.0, at(1)));
        assert!(new.cost(1.0, at(1)) > known.cost(50.0, at(1)));
    }
}
