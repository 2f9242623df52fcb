//! The breaker of an upstream, all cores together: where most requests fail, none is sent for a
//! while; then one, to see; and when that one goes well, the others come back little by little.
//! Callers get a quick answer instead of a slow one, and an upstream that is coming back is not
//! thrown down again.
//!
//! ```text
//! closed -- most fail --> open -- time --> half open -- it succeeds --> ramping -- time --> closed
//!                           ^--------- it fails ----------'                 |
//!                           ^------------------ most fail ------------------'
//! ```
//!
//! While all goes well a request costs one look at a number that nobody writes.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::Instant;
use snapshot::Breaker as Rules;

use super::window::{Window, second};
use crate::BreakerState;

/// The share that comes through at once when the ramp begins.
const RAMP_START: f64 = 0.1;

/// The breaker of an upstream.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// The [`State`]; zero while it is closed.
    word: AtomicU64,
    /// When it closed last, in nanoseconds: what began before says nothing about what is now.
    closed_at: AtomicU64,
    failures: Window,
    /// How often it opened, since the start.
    pub opened: AtomicU64,
    /// Requests it held back, since the start.
    pub refused: AtomicU64,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Lets all through.
    Closed,
    /// Lets a growing share through since this moment.
    Ramping(Instant),
    /// Lets none through until this moment.
    Open(Instant),
    /// Has let one through at this moment.
    HalfOpen(Instant),
}

impl State {
    const KIND_BITS: u32 = 2;

    /// The kind in the lowest bits, the moment above.
    const fn word(self) -> u64 {
        let (kind, moment) = match self {
            Self::Closed => return 0,
            Self::Ramping(from) => (1, from),
            Self::Open(until) => (2, until),
            Self::HalfOpen(since) => (3, since),
        };
        moment.as_nanos() << Self::KIND_BITS | kind
    }

    const fn of(word: u64) -> Self {
        let moment = Instant::from_nanos(word >> Self::KIND_BITS);
        match word & 3 {
            0 => Self::Closed,
            1 => Self::Ramping(moment),
            2 => Self::Open(moment),
            _ => Self::HalfOpen(moment),
        }
    }
}

/// What a request's end did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It opened.
    Opened,
    /// The one request went well.
    Closed,
}

/// Leave for one request to go to the upstream.
#[derive(Debug)]
pub(crate) struct Pass<'b> {
    breaker: &'b Breaker,
    rules: &'b Rules,
    at: Instant,
    /// For the one request of a half-open breaker: the state it stands for.
    probe: Option<u64>,
}

impl Breaker {
    /// Leave for a request, or how long to wait before the next. `draw` is a random number below 1.
    pub fn admit<'b>(
        &'b self,
        rules: &'b Rules,
        now: Instant,
        draw: impl FnOnce() -> f64,
    ) -> Result<Pass<'b>, Duration> {
        let pass = Pass { breaker: self, rules, at: now, probe: None };
        let word = self.word.load(Acquire);
        if word == State::Closed.word() || rules.failure_percent == 0 {
            return Ok(pass);
        }
        let admitted = match State::of(word) {
            State::Closed => Ok(pass),
            State::Ramping(from) => match ramp(from, rules, now) {
                None => {
                    self.turn(word, State::Closed);
                    Ok(pass)
                }
                Some(share) if draw() < share => Ok(pass),
                Some(_) => Err(Duration::ZERO),
            },
            State::Open(until) if now < until => Err(until.since(now)),
            // One that takes longer than this is not waited for.
            State::HalfOpen(since) if now.since(since) < rules.open => Err(Duration::ZERO),
            State::Open(_) | State::HalfOpen(_) => match self.turn(word, State::HalfOpen(now)) {
                Some(word) => Ok(Pass { probe: Some(word), ..pass }),
                None => Err(Duration::ZERO),
            },
        };
        if admitted.is_err() {
            self.refused.fetch_add(1, Relaxed);
        }
        admitted
    }

    /// What it does now, for operators.
    pub fn state(&self, rules: &Rules, now: Instant) -> BreakerState {
        match State::of(self.word.load(Acquire)) {
            _ if rules.failure_percent == 0 => BreakerState::Closed,
            State::Closed => BreakerState::Closed,
            State::Ramping(from) if ramp(from, rules, now).is_none() => BreakerState::Closed,
            State::Ramping(_) => BreakerState::Ramping,
            State::Open(until) if now < until => BreakerState::Open,
            State::Open(_) | State::HalfOpen(_) => BreakerState::HalfOpen,
        }
    }

    /// Goes from the state `word` to `next`; its word, unless another was quicker.
    fn turn(&self, word: u64, next: State) -> Option<u64> {
        let next = next.word();
        self.word.compare_exchange(word, next, AcqRel, Ordering::Relaxed).is_ok().then_some(next)
    }

    /// A request of a breaker that lets requests through failed: too many?
    fn failed(&self, pass: &Pass<'_>, requests: &Window, now: Instant) -> Option<Change> {
        let word = self.word.load(Acquire);
        let closed_at = self.closed_at.load(Acquire);
        let open = matches!(State::of(word), State::Open(_) | State::HalfOpen(_));
        let old = pass.at.as_nanos() < closed_at;
        if open || old || pass.rules.failure_percent == 0 {
            return None;
        }
        let second_now = second(now);
        self.failures.add(second_now);
        // The second it closed in has failures from before in it.
        let from = match closed_at {
            0 => 0,
            at => second(Instant::from_nanos(at)) + 1,
        };
        let failed = self.failures.sum_from(from, second_now);
        let all = requests.sum_from(from, second_now).max(failed);
        let percent = u64::from(pass.rules.failure_percent);
        if all < pass.rules.failure_requests || failed * 100 < all * percent {
            return None;
        }
        self.open(word, pass.rules, now)
    }

    fn open(&self, word: u64, rules: &Rules, now: Instant) -> Option<Change> {
        self.turn(word, State::Open(now.after(rules.open)))?;
        self.opened.fetch_add(1, Relaxed);
        Some(Change::Opened)
    }

    fn close(&self, word: u64, now: Instant) -> Option<Change> {
        self.closed_at.store(now.as_nanos(), Release);
        self.turn(word, State::Ramping(now)).map(|_| Change::Closed)
    }
}

impl Pass<'_> {
    /// Whether it is the one request of a half-open breaker.
    pub const fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// The request ended, and the upstream `failed` or did not. `requests` are those that were let
    /// through.
    pub fn ended(&mut self, failed: bool, requests: &Window, now: Instant) -> Option<Change> {
        match self.probe.take() {
            Some(word) if failed => self.breaker.open(word, self.rules, now),
            Some(word) => self.breaker.close(word, now),
            None if failed => self.breaker.failed(self, requests, now),
            None => None,
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // It told nothing: its caller left, or it got nowhere. The next request is the one.
        if let Some(word) = self.probe {
            self.breaker.turn(word, State::Open(self.at));
        }
    }
}

/// The share that comes through; none when it is all.
fn ramp(from: Instant, rules: &Rules, now: Instant) -> Option<f64> {
    let passed = now.since(from);
    let part = passed.as_secs_f64() / rules.ramp.as_secs_f64();
    (passed < rules.ramp).then_some(RAMP_START + (1.0 - RAMP_START) * part)
}

#[cfg(test)]
mod tests;
