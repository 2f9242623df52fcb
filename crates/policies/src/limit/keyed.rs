//! What limits keep of each key: told apart by hash, no more keys than allowed, and nothing of
//! those that nothing is known of any more. Times are nanoseconds on the monotonic clock.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxBuildHasher;

/// Shards: what different cores ask for rarely meets.
pub(in crate::limit) const SHARDS: usize = 16;

/// Most keys that can be told apart.
pub(in crate::limit) const KEYS_MAX: usize = 1 << 24;

/// Entries of a shard below which none is looked for that could go.
const FEW: usize = 64;

/// Time between two looks through a shard that is full, so that a flood pays for few of them.
const LOOK_EVERY: u64 = 100_000_000;

/// The entry of those that there is no entry for. No key's hash is expected to be this.
const SHARED: u64 = 0;

/// What is kept of a key.
pub(in crate::limit) trait Entry: Default {
    /// Whether it is as good as a new one.
    fn is_blank(&self, now: u64) -> bool;
}

/// Entries by keyed hashes of the keys; nobody outside can find two with the same.
#[derive(Debug)]
pub(in crate::limit) struct Keyed<E> {
    shards: [Mutex<Shard<E>>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard<E> {
    entries: HashMap<u64, E, FxBuildHasher>,
    /// With as many entries as this, the blank ones go.
    look_at: usize,
    /// But not before this moment.
    look_after: u64,
}

/// Where an entry is found.
#[derive(Clone, Copy, Debug)]
pub(in crate::limit) struct Spot {
    shard: usize,
    name: u64,
}

impl<E: Entry> Default for Keyed<E> {
    fn default() -> Self {
        let shard = || Mutex::new(Shard { entries: HashMap::default(), look_at: 0, look_after: 0 });
        Self { shards: std::array::from_fn(|_| shard()), hasher: RandomState::new() }
    }
}

impl<E: Entry> Keyed<E> {
    /// What `key` is told apart by.
    pub(in crate::limit) fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Looks at the entry for the key of this hash, which is made where there is none. With more
    /// than `most` keys, newcomers share one. Gives what `look` gives, and where the entry is.
    pub(in crate::limit) fn open<R>(
        &self,
        hash: u64,
        most: usize,
        now: u64,
        look: impl FnOnce(&mut E) -> R,
    ) -> Option<(R, Spot)> {
        let number = (hash >> 32) as usize % SHARDS;
        let mut shard = self.shard(number)?;
        let name = shard.name(hash, most.div_ceil(SHARDS), now);
        let found = look(shard.entries.entry(name).or_default());
        Some((found, Spot { shard: number, name }))
    }

    /// Looks at an entry again, if it is there still.
    pub(in crate::limit) fn again<R>(
        &self,
        spot: Spot,
        look: impl FnOnce(&mut E) -> R,
    ) -> Option<R> {
        self.shard(spot.shard)?.entries.get_mut(&spot.name).map(look)
    }

    fn shard(&self, number: usize) -> Option<MutexGuard<'_, Shard<E>>> {
        let shard = self.shards.get(number)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    pub(in crate::limit) fn len(&self) -> usize {
        (0..SHARDS).filter_map(|n| self.shard(n)).map(|shard| shard.entries.len()).sum()
    }
}

impl<E: Entry> Shard<E> {
    /// What the entry for the key of this hash is found by.
    fn name(&mut self, hash: u64, most: usize, now: u64) -> u64 {
        if self.entries.contains_key(&hash) {
            return hash;
        }
        if self.entries.len() >= self.look_at && now >= self.look_after {
            self.entries.retain(|_, entry| !entry.is_blank(now));
            self.look_at = self.entries.len().saturating_mul(2).max(FEW).min(most);
            self.look_after = now.saturating_add(LOOK_EVERY);
        }
        if self.entries.len() < most { hash } else { SHARED }
    }
}
