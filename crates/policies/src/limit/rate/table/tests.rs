//! Many keys and few places.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::limit::rate::bucket::Bucket;
use crate::limit::rate::fixed::Fixed;
use crate::limit::rate::sliding::Sliding;

const SECOND: u64 = 1_000_000_000;

/// Keys that the tables here have room for.
const KEYS: usize = 4096;

fn at(steady: u64) -> Moment {
    Moment { steady, wall: 0 }
}

fn bucket(limit: u64, seconds: u64) -> Limiter {
    Limiter::Bucket(Bucket::new(limit, seconds * SECOND, limit).unwrap())
}

fn limits(limiters: impl Into<Vec<Limiter>>) -> Limits {
    Limits::new(limiters.into(), KEYS, false)
}

fn of_each_kind(limit: u32, seconds: u64) -> [Limiter; 3] {
    let window = seconds * SECOND;
    [
        bucket(limit.into(), seconds),
        Limiter::Fixed(Fixed { limit: limit.into(), window, aligned: false }),
        Limiter::Sliding(Sliding { limit, window }),
    ]
}

fn take(table: &Table, key: impl Hash, limits: &Limits, now: u64) -> Outcome {
    table.take(table.hash(key), limits, at(now), 1)
}

#[test]
fn keys_have_states_of_their_own() {
    let table = Table::new(true);
    let limits = limits([bucket(2, 1)]);
    let passes = |key: &str| take(&table, key, &limits, SECOND).wait.is_none();
    assert_eq!([passes("a"), passes("a"), passes("a")], [true, true, false]);
    assert!(passes("b"));
}

#[test]
fn several_windows_give_a_token_each_or_none_does() {
    let table = Table::new(true);
    let limits = limits([bucket(2, 1), bucket(3, 60)]);
    let take = |now| take(&table, "a", &limits, now);
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
fn what_is_refused_counts_where_that_is_asked_for() {
    for (count_rejected, passes) in [(false, true), (true, false)] {
        let fixed = Limiter::Fixed(Fixed { limit: 3, window: 60 * SECOND, aligned: false });
        let limits = Limits::new(vec![bucket(1, 1), fixed], KEYS, count_rejected);
        let table = Table::new(true);
        for _ in 0..4 {
            take(&table, "a", &limits, SECOND);
        }
        assert_eq!(take(&table, "a", &limits, 3 * SECOND).wait.is_none(), passes);
    }
}

#[test]
fn what_turns_out_to_cost_more_or_less_is_corrected() {
    for limiter in of_each_kind(10, 60) {
        let (table, limits) = (Table::new(true), limits([limiter]));
        let key = table.hash("a");
        let left = || table.take(key, &limits, at(SECOND), 0).levels[0].remaining;
        table.take(key, &limits, at(SECOND), 6);
        table.settle(key, &limits, (at(SECOND), at(SECOND)), (6, 2));
        assert_eq!(left(), 8, "{limiter:?}");
        table.settle(key, &limits, (at(SECOND), at(SECOND)), (2, 50));
        assert_eq!(left(), 0, "{limiter:?}");
        assert!(table.take(key, &limits, at(SECOND), 0).wait.is_some(), "there is a debt");
    }
}

#[test]
fn many_keys_take_bounded_memory() {
    let (table, limits) = (Table::new(true), limits([bucket(100, 60)]));
    for key in 0..KEYS * 3 {
        assert_eq!(take(&table, key, &limits, SECOND).wait, None, "newcomers get through");
    }
    let sets: usize = table.shards.iter().map(|shard| shard.lock().unwrap().sets.len()).sum();
    assert!(sets * WAYS <= KEYS, "{sets} sets");
    assert!(size_of::<Set>() / WAYS <= 128, "bytes a key");
}

#[test]
fn a_flood_of_keys_frees_nobody() {
    for limiter in of_each_kind(100, 60) {
        let (table, limits) = (Table::new(true), limits([limiter]));
        for (key, used) in [("all", 100), ("half", 50)] {
            table.take(table.hash(key), &limits, at(SECOND), used);
        }
        // Each of them uses more than `half` did, and so has more of a claim to its place.
        for key in 0..KEYS * 2 {
            table.take(table.hash(key), &limits, at(SECOND), 60);
        }
        assert!(take(&table, "all", &limits, SECOND).wait.is_some(), "{limiter:?}");
        let half = table.take(table.hash("half"), &limits, at(SECOND), 51);
        assert!(half.wait.is_some(), "{limiter:?}: it had 50 left, and got more by the flood");
    }
}

#[test]
fn growing_loses_no_key() {
    let table = Table::new(true);
    let limits = Limits::new(vec![bucket(1, 60)], 64 * KEYS, false);
    for key in 0..2000 {
        assert_eq!(take(&table, key, &limits, SECOND).wait, None);
    }
    let again = (0..2000).filter(|key| take(&table, *key, &limits, SECOND).wait.is_none());
    assert_eq!(again.count(), 0);
}

#[test]
fn places_of_those_of_whom_nothing_is_lost_are_used_again() {
    for limiter in of_each_kind(1, 1) {
        let (table, limits) = (Table::new(false), limits([limiter]));
        for key in 0..1000 {
            take(&table, key, &limits, (key + 1) * 4 * SECOND);
        }
        assert_eq!(table.shards[0].lock().unwrap().sets.len(), 1, "{limiter:?}");
    }
}

proptest! {
    /// A table with far too few places against one limiter for each key: whatever comes, nobody
    /// gets what the limiter would not have given. Windows may begin at other moments than each key
    /// would have chosen: of them, nobody gets more than twice the limit in a window's length.
    #[test]
    fn nobody_gets_more_than_with_places_for_all(
        calls in proptest::collection::vec((0u8..40, 0u64..SECOND / 100, 0u64..4), 1..400),
    ) {
        for limiter in of_each_kind(5, 1) {
            let table = Table::new(false);
            let limits = Limits::new(vec![limiter], 1, false);
            let mut exact: HashMap<u8, State> = HashMap::new();
            let mut passed: HashMap<u8, Vec<(u64, u64)>> = HashMap::new();
            let mut now = SECOND;
            for (key, step, cost) in &calls {
                now += step;
                if table.take(table.hash(key), &limits, at(now), *cost).wait.is_some() {
                    continue;
                }
                let state = exact.entry(*key).or_default();
                if matches!(limiter, Limiter::Bucket(_)) {
                    let due = limiter.algorithm().wait(*state, at(now), *cost) == 0;
                    prop_assert!(due, "{key} at {now}");
                }
                *state = limiter.algorithm().add(*state, at(now), *cost);
                let passed = passed.entry(*key).or_default();
                passed.push((now, *cost));
                let recent = passed.iter().filter(|(when, _)| when + SECOND > now);
                let sum: u64 = recent.map(|(_, cost)| cost).sum();
                prop_assert!(sum <= 10, "{limiter:?}: {key} got {sum} until {now}");
            }
        }
    }
}
