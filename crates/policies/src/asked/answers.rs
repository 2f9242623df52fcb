//! Answers by key, in memory that is bounded, each as long as it holds; and one question per key
//! at a time, however many wait for it.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

/// What an answer is found by: a SHA-256, so that nobody can make two of the same.
pub(crate) type Key = [u8; 32];

/// Parts of the memory: what different cores ask for rarely meets.
const SHARDS: usize = 16;

/// Answers looked at where one has to go.
const LOOKED_AT: usize = 16;

/// An answer, and how long it holds.
#[derive(Clone, Debug)]
pub(crate) struct Told<T> {
    /// What was answered.
    pub(crate) value: T,
    /// Since 1970; over by then.
    pub(crate) until: Duration,
    /// Whether it lets anybody in. The others, which strangers can make as many of as they like,
    /// have a memory of their own.
    pub(crate) good: bool,
}

/// An answer in memory.
pub(crate) type Held<T> = Arc<Told<T>>;

type Question<T> = Pin<Box<dyn Future<Output = Held<T>> + Send>>;

/// Answers by key.
pub(crate) struct Answers<T> {
    shards: Box<[Mutex<Shard<T>>]>,
    /// Questions under way.
    asked: Mutex<HashMap<Key, WeakShared<Question<T>>>>,
    /// Most good answers of a shard.
    good: usize,
    /// Most others of a shard.
    others: usize,
}

struct Shard<T> {
    good: HashMap<Key, Held<T>>,
    others: HashMap<Key, Held<T>>,
}

impl<T: Send + Sync + 'static> Answers<T> {
    /// A memory of about this many answers that let somebody in, and of others a fourth of that.
    pub(crate) fn new(most: usize) -> Self {
        let shard = || Mutex::new(Shard { good: HashMap::default(), others: HashMap::default() });
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            asked: Mutex::default(),
            good: most.div_ceil(SHARDS).max(1),
            others: most.div_ceil(SHARDS * 4).max(1),
        }
    }

    /// The answer to `key` that holds at `now`.
    pub(crate) fn find(&self, key: &Key, now: Duration) -> Option<Held<T>> {
        let shard = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        let found = shard.good.get(key).or_else(|| shard.others.get(key))?;
        (now < found.until).then(|| found.clone())
    }

    /// The answer to `key`: what `question` gives, unless the same is being asked already. If
    /// whoever asks stops waiting, those that wait too go on.
    pub(crate) async fn ask<F>(
        self: Arc<Self>,
        key: Key,
        now: Duration,
        question: impl FnOnce() -> F,
    ) -> Held<T>
    where
        F: Future<Output = Told<T>> + Send + 'static,
    {
        let shared = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            match asked.get(&key).and_then(WeakShared::upgrade) {
                Some(under_way) => under_way,
                None => {
                    // Questions whose askers all left.
                    asked.retain(|_, question| question.upgrade().is_some());
                    let shared = Arc::clone(&self).asking(key, now, question());
                    asked.extend(shared.downgrade().map(|question| (key, question)));
                    shared
                }
            }
        };
        shared.await
    }

    fn asking(
        self: Arc<Self>,
        key: Key,
        now: Duration,
        question: impl Future<Output = Told<T>> + Send + 'static,
    ) -> Shared<Question<T>> {
        let asking: Question<T> = Box::pin(async move {
            let told = Arc::new(question.await);
            if now < told.until {
                self.keep(key, told.clone());
            }
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            told
        });
        asking.shared()
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, key: Key, told: Held<T>) {
        let Some(shard) = self.shard(&key) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Shard { good, others } = &mut *shard;
        let (to, from, most) =
            if told.good { (good, others, self.good) } else { (others, good, self.others) };
        from.remove(&key);
        if to.len() >= most && !to.contains_key(&key) {
            let some = to.iter().take(LOOKED_AT);
            let soonest = some.min_by_key(|(_, told)| told.until).map(|(key, _)| *key);
            soonest.map(|key| to.remove(&key));
        }
        to.insert(key, told);
    }

    fn shard(&self, key: &Key) -> Option<&Mutex<Shard<T>>> {
        let number = usize::from(key.last().copied().unwrap_or_default()) % SHARDS;
        self.shards.get(number)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
        let held = self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            (shard.good.len(), shard.others.len())
        });
        held.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

impl<T> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll, Waker};

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn told(value: u32, seconds: u64, good: bool) -> Told<u32> {
        Told { value, until: NOW + Duration::from_secs(seconds), good }
    }

    fn key(number: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key[31] = number as u8;
        key
    }

    fn ask(answers: &Arc<Answers<u32>>, number: u32, told: Told<u32>) -> Held<u32> {
        let asked = answers.clone().ask(key(number), NOW, || ready(told));
        asked.now_or_never().unwrap()
    }

    #[test]
    fn an_answer_holds_as_long_as_it_says() {
        let answers = Arc::new(Answers::new(100));
        assert_eq!(ask(&answers, 1, told(7, 60, true)).value, 7);
        let at = |seconds| answers.find(&key(1), NOW + Duration::from_secs(seconds));
        assert_eq!(at(59).map(|held| held.value), Some(7));
        assert!(at(60).is_none());
        ask(&answers, 2, told(8, 0, true));
        assert_eq!(answers.len(), (1, 0), "what holds no time is not kept");
    }

    #[test]
    fn a_later_answer_takes_the_place_of_an_earlier_one() {
        let answers = Arc::new(Answers::new(100));
        ask(&answers, 1, told(7, 60, true));
        ask(&answers, 1, told(8, 60, false));
        assert_eq!(answers.find(&key(1), NOW).unwrap().value, 8);
        ask(&answers, 1, told(9, 60, true));
        assert_eq!(answers.find(&key(1), NOW).unwrap().value, 9);
        assert_eq!(answers.len(), (1, 0));
    }

    #[test]
    fn memory_is_bounded_and_what_lets_nobody_in_takes_none_from_what_does() {
        let answers = Arc::new(Answers::new(64));
        (0..64).for_each(|number| drop(ask(&answers, number, told(number, 60, true))));
        (64..10_000).for_each(|number| drop(ask(&answers, number, told(number, 900, false))));
        assert_eq!(answers.len(), (64, 16));
        assert!((0..64).all(|number| answers.find(&key(number), NOW).is_some()));
        (0..10_000).for_each(|number| drop(ask(&answers, number, told(number, 60, true))));
        assert_eq!(answers.len().0, 64);
    }

    #[test]
    fn those_who_ask_the_same_at_once_wait_for_one_question() {
        let answers = Arc::new(Answers::new(100));
        let (asked, count) = (AtomicUsize::new(0), 20);
        let (tell, telling) = a_number_to_come();
        let question = || {
            asked.fetch_add(1, SeqCst);
            let telling = telling.clone();
            async move { told(telling.await, 60, true) }
        };
        let mut waiting: Vec<_> =
            (0..count).map(|_| Box::pin(answers.clone().ask(key(1), NOW, question))).collect();
        let mut cx = Context::from_waker(Waker::noop());
        waiting.iter_mut().for_each(|one| assert!(one.as_mut().poll(&mut cx).is_pending()));
        drop(waiting.remove(0));
        tell.store(5, SeqCst);
        for one in &mut waiting {
            match one.as_mut().poll(&mut cx) {
                Poll::Ready(held) => assert_eq!(held.value, 5),
                Poll::Pending => panic!("still waiting"),
            }
        }
        assert_eq!(asked.load(SeqCst), 1);
        assert!(answers.asked.lock().unwrap().is_empty());
    }

    /// A number that is there as soon as it is not zero.
    fn a_number_to_come() -> (Arc<AtomicUsize>, impl Future<Output = u32> + Clone) {
        let number = Arc::new(AtomicUsize::new(0));
        let seen = number.clone();
        let waits = std::future::poll_fn(move |_| match seen.load(SeqCst) {
            0 => Poll::Pending,
            number => Poll::Ready(number as u32),
        });
        (number, waits.shared())
    }

    #[test]
    fn a_question_ends_when_nobody_waits_for_it() {
        let answers = Arc::new(Answers::<u32>::new(100));
        let held = Arc::new(());
        let question = || {
            let held = held.clone();
            async move {
                pending::<()>().await;
                drop(held);
                told(1, 60, true)
            }
        };
        let mut cx = Context::from_waker(Waker::noop());
        let mut asking = Box::pin(answers.clone().ask(key(1), NOW, question));
        assert!(asking.as_mut().poll(&mut cx).is_pending());
        assert_eq!(Arc::strong_count(&held), 2);
        drop(asking);
        assert_eq!(Arc::strong_count(&held), 1);
        ask(&answers, 2, told(1, 60, true));
        assert!(answers.asked.lock().unwrap().is_empty());
    }
}
