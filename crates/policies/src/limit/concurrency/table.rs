//! How many there are at once, by key. Holds no more keys than there are exchanges. Knows no HTTP.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxBuildHasher;

/// Shards of a table: what different cores ask for rarely meets.
const SHARDS: usize = 16;

/// Counts by keyed hashes of the keys; nobody outside can find two with the same.
type Shard = Mutex<HashMap<u64, u32, FxBuildHasher>>;

/// How many there are at once, by key.
#[derive(Debug, Default)]
pub(super) struct Table {
    shards: [Shard; SHARDS],
    hasher: RandomState,
}

/// One of those there are. It is no more when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    key: u64,
}

impl Table {
    /// A place for `key`, if it has fewer than `most`.
    pub fn take(self: &Arc<Self>, key: impl Hash, most: u32) -> Option<Place> {
        let key = self.hasher.hash_one(key);
        let mut shard = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        let count = shard.entry(key).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { table: self.clone(), key })
    }

    fn shard(&self, key: u64) -> Option<&Shard> {
        self.shards.get((key >> 32) as usize % SHARDS)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(shard) = self.table.shard(self.key) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = shard.entry(self.key) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(table: &Table) -> usize {
        table.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn keys_have_places_of_their_own_and_none_is_held_for_nothing() {
        let table = Arc::new(Table::default());
        let first = table.take("a", 2).unwrap();
        let second = table.take("a", 2).unwrap();
        assert!(table.take("a", 2).is_none());
        let other = table.take("b", 2).unwrap();
        assert_eq!(keys(&table), 2);
        drop(first);
        let third = table.take("a", 2).unwrap();
        drop((second, third, other));
        assert_eq!(keys(&table), 0);
    }

    #[test]
    fn a_lower_limit_counts_for_those_that_are_there() {
        let table = Arc::new(Table::default());
        let held: Vec<_> = (0..5).map(|_| table.take("a", 5).unwrap()).collect();
        assert!(table.take("a", 3).is_none());
        drop(held);
        assert!(table.take("a", 3).is_some());
    }

    proptest! {
        /// Whatever comes and goes: never more than `most`, never fewer than there is room for, and
        /// at the end nothing is left.
        #[test]
        fn it_counts_as_a_list_does(moves in prop::collection::vec((0_u8..4, 0_usize..8), 1..200)) {
            let table = Arc::new(Table::default());
            let mut held: Vec<(u8, Place)> = Vec::new();
            for (key, leaves) in moves {
                if leaves < 4 && leaves < held.len() {
                    held.swap_remove(leaves);
                    continue;
                }
                let there = held.iter().filter(|(known, _)| *known == key).count();
                let place = table.take(key, 3);
                prop_assert_eq!(place.is_some(), there < 3, "{} of {}", there, key);
                held.extend(place.map(|place| (key, place)));
            }
            held.clear();
            prop_assert_eq!(keys(&table), 0);
        }
    }
}
