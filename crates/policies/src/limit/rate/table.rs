//! Buckets by key, in memory that is bounded. A hit allocates nothing, but for the few that make a
//! shard grow. Knows no HTTP.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use super::bucket::{Level, Shape};

/// Most windows of one policy: what is held of a key.
pub(super) const WINDOWS: usize = 4;

/// Keys of a set: where a key may stand.
const WAYS: usize = 8;

/// Most sets of a shard.
const SETS: usize = 1024;

/// Shards of a table for many keys: what different cores ask for rarely meets.
const SHARDS: usize = 16;

/// Most keys a table holds. Beyond it, the fullest bucket of the same set makes place: whoever it
/// belongs to gets at most one burst more than is due.
#[cfg(test)]
pub(super) const KEYS: usize = SHARDS * SETS * WAYS;

/// Buckets by key.
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

/// Where some keys stand. What is looked at first stands together.
#[derive(Clone, Copy, Debug, Default)]
struct Set {
    /// Keyed hashes of the keys; nobody outside can find two with the same. Zero: none.
    keys: [u64; WAYS],
    /// When each window's bucket is full.
    full: [[u64; WINDOWS]; WAYS],
}

/// The outcome for the windows of a policy, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// None where a token was taken from each; otherwise the time until that can be.
    pub(super) wait: Option<u64>,
    /// How each stands now.
    pub(super) levels: [Level; WINDOWS],
}

impl Table {
    /// An empty table, for one key or for many.
    pub(super) fn new(many: bool) -> Self {
        let shards = if many { SHARDS } else { 1 };
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Takes a token at `now` from each bucket of `key`, or from none.
    pub(super) fn take(&self, key: impl Hash, shapes: &[Shape], now: u64) -> Outcome {
        let hash = self.hasher.hash_one(key).max(1);
        let shard = self.shards.get(hash as usize % SHARDS).or(self.shards.first());
        let Some(shard) = shard else { return Outcome::nothing() };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.full(hash, now).map_or(Outcome::nothing(), |full| take(full, shapes, now))
    }
}

impl Shard {
    /// What is held of `key`, or a place for it.
    fn full(&mut self, key: u64, now: u64) -> Option<&mut [u64; WINDOWS]> {
        if self.find(key).is_none() {
            self.place(key, now);
        }
        let (set, way) = self.find(key)?;
        self.sets.get_mut(set)?.full.get_mut(way)
    }

    /// The set and place of `key`.
    fn find(&self, key: u64) -> Option<(usize, usize)> {
        let number = self.set(key);
        let set = self.sets.get(number)?;
        set.keys.iter().position(|known| *known == key).map(|way| (number, way))
    }

    /// Makes a place for `key`: an empty one, one whose bucket is full, or, where the shard can't
    /// grow, that of the fullest.
    fn place(&mut self, key: u64, now: u64) {
        loop {
            let number = self.set(key);
            let grown = self.sets.len() >= SETS;
            let Some(set) = self.sets.get_mut(number) else {
                self.grow();
                continue;
            };
            let fullest =
                set.keys.iter_mut().zip(&mut set.full).min_by_key(|(_, full)| latest(full));
            let Some((known, full)) = fullest else { return };
            if grown || latest(full) <= now {
                *known = key;
                *full = [0; WINDOWS];
                return;
            }
            self.grow();
        }
    }

    /// The number of the set of `key`.
    fn set(&self, key: u64) -> usize {
        (key >> 8) as usize & self.sets.len().saturating_sub(1)
    }

    /// Twice as many sets, each key in its new one. What was in one set goes to two, so it fits.
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.sets);
        self.sets.resize((old.len() * 2).max(1), Set::default());
        for (key, full) in old.iter().flat_map(|set| set.keys.iter().zip(&set.full)) {
            let number = self.set(*key);
            let Some(set) = self.sets.get_mut(number).filter(|_| *key != 0) else { continue };
            let mut places = set.keys.iter_mut().zip(&mut set.full);
            if let Some((known, place)) = places.find(|(known, _)| **known == 0) {
                (*known, *place) = (*key, *full);
            }
        }
    }
}

/// When all windows' buckets are full. By then nothing is lost by forgetting them.
fn latest(full: &[u64; WINDOWS]) -> u64 {
    full.iter().copied().max().unwrap_or_default()
}

/// Takes a token from each bucket, or from none.
fn take(full: &mut [u64; WINDOWS], shapes: &[Shape], now: u64) -> Outcome {
    let mut wait = None;
    let mut after = *full;
    for (shape, full) in shapes.iter().zip(&mut after) {
        match shape.take(*full, now) {
            Ok(then) => *full = then,
            Err(late) => wait = wait.max(Some(late)),
        }
    }
    if wait.is_none() {
        *full = after;
    }
    let mut levels = Outcome::nothing().levels;
    for ((shape, full), level) in shapes.iter().zip(full).zip(&mut levels) {
        *level = shape.level(*full, now);
    }
    Outcome { wait, levels }
}

impl Outcome {
    const fn nothing() -> Self {
        Self { wait: None, levels: [Level { remaining: 0, next: 0 }; WINDOWS] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn shape(limit: u64, seconds: u64) -> Shape {
        Shape::new(limit, seconds * SECOND, limit).unwrap()
    }

    #[test]
    fn keys_have_buckets_of_their_own() {
        let table = Table::new(true);
        let shapes = [shape(2, 1)];
        let passes = |key: &str| table.take(key, &shapes, SECOND).wait.is_none();
        assert_eq!([passes("a"), passes("a"), passes("a")], [true, true, false]);
        assert!(passes("b"));
    }

    #[test]
    fn several_windows_give_a_token_each_or_none_does() {
        let table = Table::new(true);
        let shapes = [shape(2, 1), shape(3, 60)];
        let take = |now| table.take("a", &shapes, now);
        assert_eq!(take(SECOND).wait, None);
        assert_eq!(take(SECOND).wait, None);
        let refused = take(SECOND);
        assert_eq!(refused.wait, Some(SECOND / 2));
        assert_eq!(refused.levels[1].remaining, 1, "the long window lost nothing");
        assert_eq!(take(2 * SECOND).wait, None);
        let refused = take(2 * SECOND);
        assert_eq!(refused.wait, Some(19 * SECOND), "the longest wait counts");
        assert_eq!(refused.levels[0].remaining, 1, "the short window lost nothing");
    }

    #[test]
    fn many_keys_take_bounded_memory_and_the_emptiest_buckets_stay() {
        let table = Table::new(true);
        let shapes = [shape(100, 60)];
        for _ in 0..100 {
            table.take("greedy", &shapes, SECOND);
        }
        for key in 0..KEYS * 2 {
            table.take(key, &shapes, SECOND);
        }
        let sets: usize = table.shards.iter().map(|shard| shard.lock().unwrap().sets.len()).sum();
        assert!(sets * WAYS <= KEYS, "{sets} sets");
        assert!(table.take("greedy", &shapes, SECOND).wait.is_some(), "it was forgotten");
    }

    #[test]
    fn growing_loses_no_key() {
        let table = Table::new(true);
        let shapes = [shape(1, 60)];
        for key in 0..2000 {
            assert_eq!(table.take(key, &shapes, SECOND).wait, None);
        }
        let forgotten = (0..2000).filter(|key| table.take(key, &shapes, SECOND).wait.is_none());
        assert_eq!(forgotten.count(), 0);
    }

    #[test]
    fn places_of_full_buckets_are_used_again() {
        let table = Table::new(false);
        let shapes = [shape(1, 1)];
        for key in 0..1000 {
            table.take(key, &shapes, (key + 1) * 2 * SECOND);
        }
        assert_eq!(table.shards[0].lock().unwrap().sets.len(), 1);
    }
}
