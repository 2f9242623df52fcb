//! States by key, in memory that is bounded. A hit allocates nothing, but for the few that make a
//! shard grow. Knows no HTTP.
//!
//! Where there are more keys than fit, one makes place for another, and whoever comes without a
//! place begins with the strictest of what made place before (as in the space-saving algorithm of
//! Metwally and others): nobody gets free by a flood of other keys.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::limiter::{Level, Limiter, Moment, State};

/// Most windows of one policy: what is held of a key.
pub(super) const WINDOWS: usize = 4;

/// Keys of a set: where a key may stand.
const WAYS: usize = 8;

/// Shards of a table for many keys: what different cores ask for rarely meets.
const SHARDS: usize = 16;

/// Most keys a table can be told to hold.
pub(super) const KEYS_MAX: usize = 1 << 24;

/// States by key.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    /// A power of two of them, or none.
    sets: Vec<Set>,
}

/// One key's states, by window.
type States = [State; WINDOWS];

/// Where some keys stand. What is looked at first stands together, in a cache line of its own, and
/// so does a key's state.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set {
    /// Keyed hashes of the keys; nobody outside can find two with the same. Zero: none.
    keys: [u64; WAYS],
    /// Their states.
    states: [States; WAYS],
    /// What those who made place leave to whoever comes.
    floor: States,
}

/// What a policy limits by.
#[derive(Debug)]
pub(super) struct Limits {
    /// For each window, at most [`WINDOWS`].
    pub(super) limiters: Vec<Limiter>,
    /// Most sets of a shard: a power of two.
    sets: usize,
    /// Whether what is refused counts, too.
    count_rejected: bool,
}

/// A key's place in a table: what is left of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hashed(u64);

/// The outcome for the windows of a policy, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// None where it was taken from each; otherwise the time until that can be.
    pub(super) wait: Option<u64>,
    /// How each stands now.
    pub(super) levels: [Level; WINDOWS],
}

impl Limits {
    /// Limits by these, at most [`WINDOWS`], with room for at least `keys`.
    pub(super) fn new(limiters: Vec<Limiter>, keys: usize, count_rejected: bool) -> Self {
        let sets = keys.min(KEYS_MAX).div_ceil(SHARDS * WAYS).next_power_of_two();
        Self { limiters, sets, count_rejected }
    }

    /// How much is lost by forgetting `states`; 0 where that is nothing.
    fn debt(&self, states: &States, now: Moment) -> u64 {
        let each = self.limiters.iter().zip(states);
        let debt = each.map(|(limiter, state)| limiter.algorithm().debt(*state, now));
        debt.max().unwrap_or_default()
    }

    /// Takes `cost` from each of `states`, or from none.
    fn take(&self, states: &mut States, now: Moment, cost: u64) -> Outcome {
        let each = self.limiters.iter().zip(&*states);
        let wait = each.map(|(limiter, state)| limiter.algorithm().wait(*state, now, cost)).max();
        let wait = wait.filter(|wait| *wait > 0);
        let mut levels = Outcome::nothing().levels;
        for ((limiter, state), level) in self.limiters.iter().zip(states).zip(&mut levels) {
            let algorithm = limiter.algorithm();
            *state = match wait {
                None => algorithm.add(*state, now, cost),
                Some(_) if self.count_rejected => algorithm.add_refused(*state, now, cost),
                Some(_) => *state,
            };
            *level = algorithm.level(*state, now);
        }
        Outcome { wait, levels }
    }
}

impl Table {
    /// An empty table, for one key or for many.
    pub(super) fn new(many: bool) -> Self {
        let shards = if many { SHARDS } else { 1 };
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Where `key` stands.
    pub(super) fn hash(&self, key: impl Hash) -> Hashed {
        Hashed(self.hasher.hash_one(key).max(1))
    }

    /// Takes `cost` at `now` from each window of `key`, or from none.
    pub(super) fn take(&self, key: Hashed, limits: &Limits, now: Moment, cost: u64) -> Outcome {
        let Some(mut shard) = self.shard(key) else { return Outcome::nothing() };
        let states = shard.states(key.0, limits, now);
        states.map_or(Outcome::nothing(), |states| limits.take(states, now, cost))
    }

    /// Corrects what was taken of `key` at `then` from `taken` to `due`.
    pub(super) fn settle(
        &self,
        key: Hashed,
        limits: &Limits,
        (then, now): (Moment, Moment),
        (taken, due): (u64, u64),
    ) {
        let Some(mut shard) = self.shard(key) else { return };
        let Some(states) = shard.states(key.0, limits, now) else { return };
        for (limiter, state) in limits.limiters.iter().zip(states) {
            let algorithm = limiter.algorithm();
            *state = match due.checked_sub(taken) {
                Some(more) => algorithm.add(*state, now, more),
                None => algorithm.give_back(*state, then, now, taken - due),
            };
        }
    }

    fn shard(&self, key: Hashed) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shards.get(key.0 as usize % SHARDS).or(self.shards.first())?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// The states of `key`, or a place for them.
    fn states(&mut self, key: u64, limits: &Limits, now: Moment) -> Option<&mut States> {
        if self.find(key).is_none() {
            self.place(key, limits, now);
        }
        let (set, way) = self.find(key)?;
        self.sets.get_mut(set)?.states.get_mut(way)
    }

    /// The set and place of `key`.
    fn find(&self, key: u64) -> Option<(usize, usize)> {
        let number = self.set(key);
        let set = self.sets.get(number)?;
        set.keys.iter().position(|known| *known == key).map(|way| (number, way))
    }

    /// Makes a place for `key`: an empty one, one of whom nothing is lost, or, where the shard
    /// can't grow, that of whom least is.
    fn place(&mut self, key: u64, limits: &Limits, now: Moment) {
        loop {
            let number = self.set(key);
            let grown = self.sets.len() >= limits.sets;
            let Some(set) = self.sets.get_mut(number) else {
                self.grow();
                continue;
            };
            let places = set.keys.iter_mut().zip(&mut set.states);
            let least = places.min_by_key(|(_, states)| limits.debt(states, now));
            let Some((known, states)) = least else { return };
            let live = limits.debt(states, now) > 0;
            if live && !grown {
                self.grow();
                continue;
            }
            if live {
                let left = limits.limiters.iter().zip(&mut set.floor).zip(&*states);
                for ((limiter, floor), state) in left {
                    *floor = limiter.algorithm().stricter(*floor, *state, now);
                }
            }
            *known = key;
            *states = set.floor;
            return;
        }
    }

    /// The number of the set of `key`.
    fn set(&self, key: u64) -> usize {
        (key >> 8) as usize & self.sets.len().saturating_sub(1)
    }

    /// Twice as many sets, each key in its new one. What was in one set goes to two, so it fits.
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.sets);
        let floors = old.iter().map(|set| set.floor).cycle();
        self.sets = vec![Set::default(); (old.len() * 2).max(1)];
        for (set, floor) in self.sets.iter_mut().zip(floors) {
            set.floor = floor;
        }
        for (key, states) in old.iter().flat_map(|set| set.keys.iter().zip(&set.states)) {
            let number = self.set(*key);
            let Some(set) = self.sets.get_mut(number).filter(|_| *key != 0) else { continue };
            let mut places = set.keys.iter_mut().zip(&mut set.states);
            if let Some((known, place)) = places.find(|(known, _)| **known == 0) {
                (*known, *place) = (*key, *states);
            }
        }
    }
}

impl Outcome {
    const fn nothing() -> Self {
        Self { wait: None, levels: [Level { remaining: 0, next: 0 }; WINDOWS] }
    }
}

#[cfg(test)]
mod tests;
