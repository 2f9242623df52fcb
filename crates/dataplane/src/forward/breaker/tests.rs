//! The breaker alone, by a clock of numbers.

use super::*;

const RULES: Rules = Rules {
    connections: 1,
    pending: 1,
    running: 1,
    failure_percent: 50,
    failure_requests: 20,
    open: Duration::from_secs(10),
    ramp: Duration::from_secs(10),
};

fn at(seconds: f64) -> Instant {
    Instant::from_nanos((seconds * 1e9) as u64)
}

/// A breaker, and the requests it let through.
#[derive(Default)]
struct Bench {
    breaker: Breaker,
    requests: Window,
}

impl Bench {
    fn admit(&self, now: Instant, drawn: f64) -> Result<Pass<'_>, Duration> {
        let pass = self.breaker.admit(&RULES, now, || drawn)?;
        self.requests.add(second(now));
        Ok(pass)
    }

    /// A request that is let through and fails, or does not.
    fn send(&self, failed: bool, now: Instant) -> Option<Change> {
        self.admit(now, 0.0).expect("it is let through").ended(failed, &self.requests, now)
    }

    fn is_open(&self, now: Instant) -> bool {
        self.breaker.state(&RULES, now) == BreakerState::Open
    }

    /// Opens it at this moment.
    fn opened(now: Instant) -> Self {
        let bench = Self::default();
        for _ in 0..20 {
            bench.send(true, now);
        }
        assert!(bench.is_open(now));
        bench
    }

    /// Of a hundred requests, spread over what can be drawn, those let through.
    fn share(&self, now: Instant) -> usize {
        (0..100).filter(|draw| self.admit(now, f64::from(*draw) / 100.0).is_ok()).count()
    }
}

#[test]
fn it_opens_when_half_of_at_least_twenty_requests_of_ten_seconds_failed() {
    for (good, bad, spread, expected) in [
        (0, 19, 0.1, false),
        (0, 20, 0.1, true),
        (10, 10, 0.1, true),
        (11, 10, 0.1, false),
        (1_000, 400, 0.001, false),
        (0, 40, 0.9, false),
    ] {
        let bench = Bench::default();
        let mut now = 5.0;
        for _ in 0..good {
            bench.send(false, at(now));
        }
        for _ in 0..bad {
            now += spread;
            bench.send(true, at(now));
            assert!(!bench.is_open(at(now)) || expected, "{good} {bad}");
        }
        assert_eq!(bench.is_open(at(now)), expected, "{good} good, {bad} bad");
    }
}

#[test]
fn an_open_one_lets_none_through_until_its_time_is_over_and_then_one() {
    let bench = Bench::opened(at(5.0));
    assert_eq!(bench.admit(at(6.0), 0.0).err(), Some(Duration::from_secs(9)));
    assert_eq!(bench.share(at(14.99)), 0);
    let probe = bench.admit(at(15.0), 0.99).expect("the one");
    assert!(probe.is_probe());
    assert_eq!(bench.share(at(15.0)), 0, "one is enough");
    assert_eq!(bench.breaker.refused.load(Relaxed), 201);
}

#[test]
fn the_one_decides() {
    let bench = Bench::opened(at(5.0));
    assert_eq!(bench.send(true, at(15.0)), Some(Change::Opened));
    assert_eq!(bench.share(at(24.99)), 0, "ten seconds again");
    assert_eq!(bench.send(false, at(25.0)), Some(Change::Closed));
    assert_eq!(bench.breaker.state(&RULES, at(25.0)), BreakerState::Ramping);
    assert_eq!(bench.breaker.opened.load(Relaxed), 2);
}

#[test]
fn one_that_tells_nothing_is_followed_by_another() {
    let bench = Bench::opened(at(5.0));
    drop(bench.admit(at(15.0), 0.0));
    assert!(bench.admit(at(15.0), 0.0).expect("the next").is_probe(), "its caller left");
    let mut slow = bench.admit(at(16.0), 0.0).expect("the one");
    assert_eq!(bench.share(at(25.99)), 0);
    let mut next = bench.admit(at(26.0), 0.0).expect("not waited for");
    assert_eq!(slow.ended(true, &bench.requests, at(27.0)), None, "it is not the one any more");
    assert_eq!(next.ended(false, &bench.requests, at(27.0)), Some(Change::Closed));
}

#[test]
fn the_others_come_back_in_a_straight_line() {
    let bench = Bench::opened(at(5.0));
    bench.send(false, at(15.0));
    for (now, share) in [(15.0, 10), (20.0, 55), (22.5, 78), (24.9, 100)] {
        let let_through = bench.share(at(now));
        assert!(let_through.abs_diff(share) <= 1, "{let_through} at {now}");
    }
    assert_eq!(bench.share(at(25.0)), 100);
    assert_eq!(bench.breaker.word.load(Relaxed), 0, "closed: one look is enough again");
}

#[test]
fn one_that_comes_back_and_fails_again_opens_again() {
    let bench = Bench::opened(at(5.0));
    bench.send(false, at(15.0));
    (0..19).for_each(|_| assert_eq!(bench.send(true, at(17.0)), None, "too few yet"));
    assert_eq!(bench.send(true, at(17.0)), Some(Change::Opened));
}

#[test]
fn what_began_before_it_closed_says_nothing() {
    let bench = Bench::default();
    let mut old: Vec<_> = (0..100).map(|_| bench.admit(at(5.0), 0.0).unwrap()).collect();
    for _ in 0..100 {
        bench.send(true, at(5.0));
    }
    assert!(bench.is_open(at(5.0)));
    assert_eq!(old.pop().unwrap().ended(true, &bench.requests, at(6.0)), None, "open already");
    bench.send(false, at(15.0));
    for mut straggler in old {
        assert_eq!(straggler.ended(true, &bench.requests, at(26.0)), None);
    }
}

#[test]
fn it_can_be_turned_off() {
    let bench = Bench::opened(at(5.0));
    let rules = Rules { failure_percent: 0, ..RULES };
    let mut pass = bench.breaker.admit(&rules, at(6.0), || 0.99).expect("off");
    assert_eq!(pass.ended(true, &bench.requests, at(6.0)), None);
    assert_eq!(bench.breaker.state(&rules, at(6.0)), BreakerState::Closed);
}
