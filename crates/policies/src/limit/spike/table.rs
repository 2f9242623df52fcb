//! Who waits for their turn, by key: one line for each, first come, first served. Only the first of
//! a line has a timer; whoever is behind it is woken when the line moves up, also because somebody
//! left. Knows no HTTP. Times are nanoseconds on the monotonic clock.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use rustc_hash::FxBuildHasher;

use super::pace::Pace;

/// Shards of a table: what different cores ask for rarely meets.
const SHARDS: usize = 16;

/// Most keys that can be told apart.
pub(super) const KEYS_MAX: usize = 1 << 24;

/// Lines of a shard below which none is looked for that could go.
const FEW: usize = 64;

/// Time between two looks through a shard that is full, so that a flood pays for few of them.
const LOOK_EVERY: u64 = 100_000_000;

/// The line of those that there is no line for. No key's hash is expected to be this.
const SHARED: u64 = 0;

/// How a line moves, and how long lines may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub pace: Pace,
    /// Longest time one may have to wait.
    pub wait: u64,
    /// Most that wait in a line.
    pub queue: usize,
    /// Most that wait in all lines.
    pub all: usize,
    /// Most keys told apart.
    pub keys: usize,
}

/// Lines by keyed hashes of the keys; nobody outside can find two with the same.
#[derive(Debug)]
pub(super) struct Table {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    lines: HashMap<u64, Line, FxBuildHasher>,
    /// With as many lines as this, those that nothing is lost with go.
    look_at: usize,
    /// But not before this moment.
    look_after: u64,
}

/// A key's line.
#[derive(Debug, Default)]
struct Line {
    /// What those who went left behind.
    due: u64,
    /// Numbers given out.
    tickets: u64,
    /// Who waits, in order, by number.
    waiting: VecDeque<(u64, Waker)>,
}

/// What becomes of one who comes.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It goes.
    Goes,
    /// It waits, at this place.
    Waits(Place),
    /// It would wait for too long; so much later it would not.
    TooEarly(u64),
    /// There is no place to wait at; so much later there may be.
    Full(u64),
}

/// What becomes of one who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes.
    Goes,
    /// It is the first, and goes at this moment.
    At(u64),
    /// Others are before it. It is woken when it is the first.
    Behind,
}

/// A place in a line. Dropping it frees it, and the line moves up.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    pace: Pace,
    shard: usize,
    key: u64,
    ticket: u64,
}

impl Table {
    /// A table in which nobody waits.
    pub(super) fn new() -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// What becomes of one of `key` that comes now.
    pub(super) fn arrive(self: &Arc<Self>, key: impl Hash, limits: &Limits, now: u64) -> Arrival {
        let key = self.hasher.hash_one(key);
        let number = (key >> 32) as usize % SHARDS;
        let Some(mut shard) = self.shard(number) else { return Arrival::Full(0) };
        let key = shard.key(key, limits, now);
        let line = shard.lines.entry(key).or_default();
        let pace = limits.pace;
        line.due = pace.clamped(line.due, now);
        let before = line.waiting.len();
        let wait = pace.opens_after(line.due, now, before).saturating_sub(now);
        if before == 0 && wait == 0 {
            line.due = pace.gone(line.due, now, false);
            return Arrival::Goes;
        }
        if wait > limits.wait {
            return Arrival::TooEarly(wait - limits.wait);
        }
        if before >= limits.queue || !self.enter(before, limits.all) {
            return Arrival::Full(pace.opens(line.due).saturating_sub(now));
        }
        let ticket = line.tickets;
        line.tickets += 1;
        line.waiting.push_back((ticket, Waker::noop().clone()));
        Arrival::Waits(Place { table: self.clone(), pace, shard: number, key, ticket })
    }

    /// Takes one of `all` places, for a line in which `before` wait. No line may have more of them
    /// than are free: the longest one leaves half of them to others, and two leave a third.
    fn enter(&self, before: usize, all: usize) -> bool {
        let one_more = |waiting: usize| {
            let free = all.saturating_sub(waiting);
            (free > before).then_some(waiting + 1)
        };
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }

    fn shard(&self, number: usize) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(number)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// What the line for `key` is found by. Where there is none and no room for one, that is the
    /// line of all such keys.
    fn key(&mut self, key: u64, limits: &Limits, now: u64) -> u64 {
        let most = limits.keys.div_ceil(SHARDS);
        if self.lines.contains_key(&key) {
            return key;
        }
        if self.lines.len() >= self.look_at && now >= self.look_after {
            self.lines.retain(|_, line| !line.waiting.is_empty() || line.due > now);
            self.look_at = self.lines.len().saturating_mul(2).max(FEW).min(most);
            self.look_after = now.saturating_add(LOOK_EVERY);
        }
        if self.lines.len() < most { key } else { SHARED }
    }
}

impl Line {
    /// Where in it the owner of `ticket` stands.
    fn find(&self, ticket: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |(known, _)| *known).ok()
    }

    /// Takes out who stands at `place`. Gives the one who is now the first because of it.
    fn remove(&mut self, place: usize) -> Option<Waker> {
        self.waiting.remove(place)?;
        let (_, next) = self.waiting.front().filter(|_| place == 0)?;
        Some(next.clone())
    }
}

impl Place {
    /// What becomes of it now; if it goes on waiting, `waker` is woken when it is the first.
    pub(super) fn turn(&self, now: u64, waker: &Waker) -> Turn {
        let (turn, next) = self.turn_in_line(now, waker);
        wake(next);
        turn
    }

    fn turn_in_line(&self, now: u64, waker: &Waker) -> (Turn, Option<Waker>) {
        // It has no place only after it went.
        let Some(mut shard) = self.table.shard(self.shard) else { return (Turn::Goes, None) };
        let Some(line) = shard.lines.get_mut(&self.key) else { return (Turn::Goes, None) };
        let Some(place) = line.find(self.ticket) else { return (Turn::Goes, None) };
        let opens = self.pace.opens(line.due);
        if place == 0 && now >= opens {
            line.due = self.pace.gone(line.due, now, true);
            self.table.waiting.fetch_sub(1, Ordering::AcqRel);
            return (Turn::Goes, line.remove(place));
        }
        if let Some((_, known)) = line.waiting.get_mut(place) {
            known.clone_from(waker);
        }
        (if place == 0 { Turn::At(opens) } else { Turn::Behind }, None)
    }

    fn leave(&self) -> Option<Waker> {
        let mut shard = self.table.shard(self.shard)?;
        let line = shard.lines.get_mut(&self.key)?;
        let place = line.find(self.ticket)?;
        self.table.waiting.fetch_sub(1, Ordering::AcqRel);
        line.remove(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        wake(self.leave());
    }
}

/// Wakes whom it says. No lock is held then.
fn wake(next: Option<Waker>) {
    if let Some(next) = next {
        next.wake();
    }
}

#[cfg(test)]
mod tests;
