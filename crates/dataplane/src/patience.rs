//! How slow a peer may be with a body while it is waited for.

use std::time::Duration;

use base::Instant;

/// Patience with a peer that sends or takes a body. It lasts for a while and runs out while the
/// peer is waited for; what the peer moves gives some back, a second for as many bytes as it must
/// move in one. So a peer that keeps the rate can pause for all of it, and one that trickles can't
/// hold on for ever. Time in which we wait for somebody else costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    most: Duration,
    left: Duration,
    /// Since when it is waited for.
    since: Option<Instant>,
}

impl Patience {
    /// One that lasts `most`.
    pub const fn new(most: Duration) -> Self {
        Self { most, left: most, since: None }
    }

    /// The peer is waited for, from `now` on unless it was already. When patience ends.
    pub fn ends(&mut self, now: Instant) -> Instant {
        self.since.get_or_insert(now).after(self.left)
    }

    /// Whether the peer is waited for.
    pub const fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// The peer is not waited for any more.
    pub fn rest(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now().since(since));
        }
    }

    /// The peer moved this much, and must move `rate` bytes a second; 0: any.
    pub fn moved(&mut self, bytes: u64, rate: u64, now: impl FnOnce() -> Instant) {
        self.rest(now);
        let earned = match rate {
            0 => self.most,
            _ => Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate),
        };
        self.left = self.left.saturating_add(earned).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn whoever_keeps_the_rate_may_pause_for_all_of_it() {
        let mut patience = Patience::new(MINUTE);
        assert_eq!(patience.ends(at(0)), at(60));
        assert_eq!(patience.ends(at(30)), at(60), "it is waited for since then");
        patience.moved(60_000, 1000, || at(59));
        assert_eq!(patience.ends(at(100)), at(160));
    }

    #[test]
    fn whoever_trickles_uses_it_up() {
        let mut patience = Patience::new(MINUTE);
        let mut now = 0;
        while patience.ends(at(now)) > at(now + 1) {
            now += 1;
            patience.moved(100, 1000, || at(now));
        }
        assert_eq!(now, 66, "a tenth of the rate lasts a ninth longer");
    }

    #[test]
    fn time_in_which_others_are_waited_for_costs_nothing() {
        let mut patience = Patience::new(MINUTE);
        patience.ends(at(0));
        patience.rest(|| at(50));
        assert_eq!(patience.ends(at(1000)), at(1010));
    }

    #[test]
    fn where_any_rate_will_do_a_byte_is_enough() {
        let mut patience = Patience::new(MINUTE);
        patience.ends(at(0));
        patience.moved(1, 0, || at(59));
        assert_eq!(patience.ends(at(59)), at(119));
    }
}
