//! What was shown once and may not be shown again, for a while, in memory that is bounded. Knows no
//! HTTP.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most things remembered of one half of the time.
const MOST: usize = 500_000;

/// Parts of the memory: what different cores ask for rarely meets.
const SHARDS: usize = 16;

/// What was shown lately.
#[derive(Debug)]
pub(super) struct Shown {
    shards: Box<[Mutex<Shard>]>,
    /// How long each thing is remembered at least; at most twice as long.
    time: Duration,
    most: usize,
}

/// Two sets, of which the older is dropped as a whole: forgetting costs nothing.
#[derive(Debug, Default)]
struct Shard {
    now: HashSet<[u8; 16]>,
    before: HashSet<[u8; 16]>,
    since: Duration,
}

/// What there is to say of something that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was not shown lately, and is remembered from now on.
    First,
    /// It was.
    Again,
    /// There is no room to remember it, so it can't be told.
    Full,
}

impl Shown {
    /// A memory of this time.
    pub(super) fn new(time: Duration) -> Self {
        Self::with_room(time, MOST)
    }

    fn with_room(time: Duration, most: usize) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { shards, time, most: most.div_ceil(SHARDS) }
    }

    /// Whether what has this SHA-256 was shown before `now`.
    pub(super) fn see(&self, sha256: &[u8; 32], now: Duration) -> Seen {
        let key = sha256.first_chunk::<16>().copied().unwrap_or_default();
        let number = usize::from(sha256.last().copied().unwrap_or_default()) % SHARDS;
        let Some(shard) = self.shards.get(number) else { return Seen::Full };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_sub(shard.since);
        if age >= self.time {
            shard.before = std::mem::take(&mut shard.now);
            if age >= self.time * 2 {
                shard.before = HashSet::new();
            }
            shard.since = now;
        }
        if shard.now.contains(&key) || shard.before.contains(&key) {
            return Seen::Again;
        }
        if shard.now.len() >= self.most {
            return Seen::Full;
        }
        shard.now.insert(key);
        Seen::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn thing(number: u32) -> [u8; 32] {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        hash[31] = number as u8;
        hash
    }

    #[test]
    fn what_was_shown_is_remembered_as_long_as_it_has_to_be() {
        let shown = Shown::new(MINUTE);
        let start = Duration::from_secs(1_000_000);
        for late in [0, 59, 60, 61, 119, 3600] {
            let hash = thing(late);
            let now = start + Duration::from_secs(u64::from(late));
            assert_eq!(shown.see(&hash, now), Seen::First);
            assert_eq!(shown.see(&hash, now), Seen::Again);
            assert_eq!(shown.see(&hash, now + MINUTE), Seen::Again);
        }
        assert_eq!(shown.see(&thing(0), start + MINUTE * 1000), Seen::First, "long forgotten");
    }

    #[test]
    fn memory_is_bounded_and_what_can_not_be_told_is_said_to_be_so() {
        let shown = Shown::with_room(MINUTE, 160);
        let start = Duration::from_secs(1_000_000);
        let firsts = (0..1000).filter(|number| shown.see(&thing(*number), start) == Seen::First);
        assert_eq!(firsts.count(), 160);
        assert_eq!(shown.see(&thing(999), start), Seen::Full);
        assert_eq!(shown.see(&thing(0), start), Seen::Again, "what was remembered stays so");
        assert_eq!(shown.see(&thing(999), start + MINUTE), Seen::First, "there is room again");
    }
}
