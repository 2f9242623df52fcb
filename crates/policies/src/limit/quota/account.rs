//! What was used of a quota, by key: counted in memory, and settled with the ledger from time to
//! time, so that it outlives the process.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::{Chore, Ledger, Used};

use super::period::{Calendar, Period};

/// Time between two turns of settling: what is lost at most when the process is killed.
const TURN: Duration = Duration::from_millis(250);

/// The same while the ledger does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Shards of the counts: what different cores ask for rarely meets.
const SHARDS: usize = 16;

/// What was used of a quota.
#[derive(Debug)]
pub(super) struct Account {
    /// What the ledger keeps it under.
    name: String,
    ledger: Option<Arc<dyn Ledger>>,
    calendar: Calendar,
    current: Mutex<Period>,
    shards: [Mutex<Counts>; SHARDS],
    hasher: RandomState,
    /// Most keys; those that come when there are as many share one count.
    most: AtomicUsize,
    keys: AtomicUsize,
    /// Whether it is known what the ledger has from before.
    read: AtomicBool,
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Counts {
    keys: HashMap<Box<[u8]>, Count>,
    /// Of periods that are over, not yet in the ledger.
    late: Vec<Used>,
}

/// What one key has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    period: i64,
    /// In the period, by all processes as far as is known.
    used: u64,
    /// In the period before.
    before: u64,
    /// What of `used` is not in the ledger.
    unsent: u64,
    /// How often it was told that it is used up.
    told: u8,
}

/// How a key stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// What it used, what is asked for now included where that was taken.
    pub(super) used: u64,
    /// In the period before.
    pub(super) before: u64,
    /// Whether what was asked for was taken.
    pub(super) taken: bool,
    /// How many of the marks asked about it has passed for the first time in this period.
    pub(super) passed: u8,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'m> {
    pub(super) amount: u64,
    /// The most that may be used; none where all is taken.
    pub(super) most: Option<u64>,
    /// Whether what was used in the period before counts by the part of it that is less than a
    /// period ago.
    pub(super) rolling: bool,
    /// Amounts of which is told when they are reached, in order.
    pub(super) marks: &'m [u64],
}

impl Account {
    /// An account that is opened at `now`.
    pub(super) fn new(
        name: String,
        calendar: Calendar,
        ledger: Option<Arc<dyn Ledger>>,
        now: u64,
    ) -> Self {
        Self {
            name,
            ledger,
            current: Mutex::new(calendar.period(now)),
            calendar,
            shards: Default::default(),
            hasher: RandomState::new(),
            most: AtomicUsize::new(0),
            keys: AtomicUsize::new(0),
            read: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        }
    }

    /// Tells at most so many keys apart from now on.
    pub(super) fn bound(&self, keys: usize) {
        self.most.store(keys, Relaxed);
    }

    /// The period at `now`. Never an earlier one than before: a clock that is set back begins no
    /// period a second time.
    pub(super) fn period(&self, now: u64) -> Period {
        let mut current = lock(&self.current);
        if now >= current.end {
            *current = self.calendar.period(now);
        }
        *current
    }

    /// Takes what is asked for, if there is room for it.
    pub(super) fn take(&self, key: &[u8], now: u64, ask: Ask<'_>) -> Standing {
        let period = self.period(now);
        let mut counts = self.shard(key);
        let Counts { keys, late } = &mut *counts;
        if !keys.contains_key(key) {
            if self.keys.load(Relaxed) >= self.most.load(Relaxed) && !key.is_empty() {
                drop(counts);
                return self.take(&[], now, ask);
            }
            self.keys.fetch_add(1, Relaxed);
            keys.insert(key.into(), Count { period: period.number, ..Count::default() });
        }
        let Some(count) = keys.get_mut(key) else { return Standing::default() };
        late.extend(count.roll(key, period.number));
        let before = if ask.rolling { remaining_part(count.before, period, now) } else { 0 };
        let asked = count.used.saturating_add(before).saturating_add(ask.amount);
        let taken = ask.most.is_none_or(|most| asked <= most);
        if taken {
            count.used = count.used.saturating_add(ask.amount);
            count.unsent = count.unsent.saturating_add(ask.amount);
        }
        let used = count.used.saturating_add(before);
        let passed = ask.marks.iter().filter(|mark| asked >= **mark).count();
        let passed = u8::try_from(passed).unwrap_or(u8::MAX);
        let first = passed.saturating_sub(count.told);
        count.told = count.told.max(passed);
        Standing { used, before: count.before, taken, passed: if first > 0 { passed } else { 0 } }
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Counts> {
        let number = self.hasher.hash_one(key) as usize % SHARDS;
        lock(self.shards.get(number).unwrap_or(&self.shards[0]))
    }

    /// The oldest period that still counts for anything.
    fn since(&self) -> i64 {
        let number = lock(&self.current).number;
        if matches!(self.calendar, Calendar::Even { .. }) { number - 1 } else { number }
    }

    /// Settles once with the ledger.
    async fn settle(&self, ledger: &dyn Ledger) -> Result<(), String> {
        let since = self.since();
        if !self.read.load(Relaxed) {
            let known = ledger.read(&self.name, since).await?;
            let latest = lock(&self.current).number;
            for used in known.into_iter().filter(|used| used.period <= latest) {
                self.learn(used, true);
            }
            self.read.store(true, Relaxed);
        }
        let changes = self.collect(since);
        if changes.is_empty() {
            return Ok(());
        }
        match ledger.add(&self.name, &changes, since).await {
            Ok(sums) => {
                sums.into_iter().for_each(|sum| self.learn(sum, false));
                Ok(())
            }
            Err(why) => {
                self.put_back(changes);
                Err(why)
            }
        }
    }

    /// Takes out what is not in the ledger, and forgets keys of which nothing counts any more.
    fn collect(&self, since: i64) -> Vec<Used> {
        let mut changes = Vec::new();
        for shard in &self.shards {
            let mut counts = lock(shard);
            changes.append(&mut counts.late);
            for (key, count) in &mut counts.keys {
                let (period, amount) = (count.period, std::mem::take(&mut count.unsent));
                if amount > 0 {
                    changes.push(Used { key: key.clone(), period, amount });
                }
            }
            let before = counts.keys.len();
            counts.keys.retain(|_, count| count.period >= since);
            self.keys.fetch_sub(before - counts.keys.len(), Relaxed);
        }
        changes
    }

    fn put_back(&self, changes: Vec<Used>) {
        for used in changes {
            let mut counts = self.shard(&used.key);
            match counts.keys.get_mut(&used.key) {
                Some(count) if count.period == used.period => {
                    count.unsent = count.unsent.saturating_add(used.amount);
                }
                _ => counts.late.push(used),
            }
        }
    }

    /// What the ledger has of a key: `earlier`, what it had before anything of this process.
    fn learn(&self, sum: Used, earlier: bool) {
        let mut counts = self.shard(&sum.key);
        if !counts.keys.contains_key(&sum.key) {
            if !earlier {
                return;
            }
            self.keys.fetch_add(1, Relaxed);
            let count = Count { period: sum.period, ..Count::default() };
            counts.keys.insert(sum.key.clone(), count);
        }
        let Counts { keys, late } = &mut *counts;
        let Some(count) = keys.get_mut(&sum.key) else { return };
        late.extend(count.roll(&sum.key, sum.period));
        if sum.period == count.period {
            let own = if earlier { count.used } else { count.unsent };
            count.used = sum.amount.saturating_add(own);
        } else if sum.period == count.period - 1 {
            let own = if earlier { count.before } else { 0 };
            count.before = sum.amount.saturating_add(own);
        }
    }
}

impl Count {
    /// Goes on to `period`, if that is later. Gives what of the one before is not in the ledger.
    fn roll(&mut self, key: &[u8], period: i64) -> Option<Used> {
        if period <= self.period {
            return None;
        }
        let late = Used { key: key.into(), period: self.period, amount: self.unsent };
        let before = if period == self.period + 1 { self.used } else { 0 };
        *self = Self { period, before, ..Self::default() };
        Some(late).filter(|late| late.amount > 0)
    }
}

/// What still counts of what was used in the period before.
fn remaining_part(before: u64, period: Period, now: u64) -> u64 {
    let length = u128::from(period.end.saturating_sub(period.start)).max(1);
    let left = u128::from(period.end.saturating_sub(now)).min(length);
    u64::try_from((u128::from(before) * left).div_ceil(length)).unwrap_or(u64::MAX)
}

impl Chore for Account {
    fn run(&self) -> Pin<Box<dyn Future<Output = Duration> + Send + '_>> {
        Box::pin(async move {
            let Some(ledger) = &self.ledger else {
                drop(self.collect(self.since()));
                return TURN;
            };
            match self.settle(&**ledger).await {
                Ok(()) => {
                    if self.failing.swap(false, Relaxed) {
                        tracing::info!(quota = self.name, "quotas are kept on disk again");
                    }
                    TURN
                }
                Err(why) => {
                    if !self.failing.swap(true, Relaxed) {
                        tracing::error!(
                            quota = self.name,
                            "quotas count on in memory alone: {why}"
                        );
                    }
                    AGAIN
                }
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
