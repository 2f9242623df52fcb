//! Keys in memory: how old they may be, and when they are asked for again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use base::Pointer;
use config::v1::UpstreamTls;
use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use policy::{Chore, Compile, Remote};

use super::Place;
use crate::jose::{Algorithm, KeySet};

/// Least time between two fetches for keys that are not known.
const UNKNOWN: Duration = Duration::from_secs(30);

/// Time until keys that could not be fetched are asked for again.
const AGAIN: Duration = Duration::from_secs(5);

/// How old keys may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// They are fetched again after this.
    pub(crate) refresh: Duration,
    /// They are not used after this.
    pub(crate) most: Duration,
}

/// Keys, and when they were fetched, since 1970.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) keys: KeySet,
    pub(crate) at: Duration,
    /// Another number whenever they are not the same keys any more.
    pub(crate) generation: u64,
}

/// What outlives a reload, and is shared by all who use the same place in the same way.
#[derive(Default)]
struct State {
    held: RwLock<Option<Arc<Held>>>,
    /// The number of the keys in use; 0 where there are none.
    generation: AtomicU64,
    asked: Mutex<Asked>,
}

type Fetch = Pin<Box<dyn Future<Output = Result<(), Arc<str>>> + Send>>;

/// Who asks, and when was asked.
#[derive(Default)]
struct Asked {
    under_way: Option<WeakShared<Fetch>>,
    /// The last fetch that failed, and why.
    failed: Option<(Duration, Arc<str>)>,
    /// The last fetch for a key that was not known.
    unknown: Option<Duration>,
}

/// An issuer's keys.
#[derive(Clone)]
pub(crate) struct Published {
    place: Place,
    remote: Arc<dyn Remote>,
    allowed: Arc<[Algorithm]>,
    times: Times,
    state: Arc<State>,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Published({})", self.place.url())
    }
}

impl Published {
    /// The keys at `place`, which are fetched beside the requests from now on.
    ///
    /// # Errors
    /// What is wrong with `tls`, which stands at `at`.
    pub(crate) fn new(
        place: Place,
        allowed: &[Algorithm],
        times: Times,
        (tls, at): (&UpstreamTls, &Pointer),
        cx: &mut Compile<'_>,
    ) -> Result<Self, base::Problems> {
        let remote = cx.world.remote(tls, at)?;
        // The same place by the same trust is the same keys for all who use it.
        let key = format!("jwks {place:?} {allowed:?} {tls:?}");
        let state = cx.carry.keep(&key, State::default);
        let published = Self { place, remote, allowed: allowed.into(), times, state };
        cx.chores.push(Arc::new(published.clone()));
        Ok(published)
    }

    /// The keys, if they are not too old at `now`.
    pub(crate) fn held(&self, now: Duration) -> Option<Arc<Held>> {
        let held = self.state.held.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        (now.saturating_sub(held.at) <= self.times.most).then_some(held)
    }

    /// The number of the keys in use.
    pub(crate) fn generation(&self) -> u64 {
        self.state.generation.load(Ordering::Acquire)
    }

    /// How old keys may be.
    pub(crate) fn times(&self) -> Times {
        self.times
    }

    /// A fetch to wait for because a token names a key that is not known; none where there was one
    /// lately, so that made-up names bring no load to the issuer.
    pub(crate) fn ask_for_unknown(
        &self,
        now: Duration,
    ) -> Option<impl Future<Output = Result<(), Arc<str>>> + use<>> {
        let mut asked = self.asked();
        // A clock that was set back starts anew.
        let lately = |last: Duration| last.abs_diff(now) < UNKNOWN;
        if asked.unknown.is_some_and(lately) {
            return None;
        }
        asked.unknown = Some(now);
        Some(self.ask(asked, now))
    }

    /// A fetch to wait for because there are no keys.
    ///
    /// # Errors
    /// The last one failed just now, and why.
    pub(crate) fn ask_for_any(
        &self,
        now: Duration,
    ) -> Result<impl Future<Output = Result<(), Arc<str>>> + use<>, Arc<str>> {
        let asked = self.asked();
        let under_way = asked.under_way.as_ref().and_then(WeakShared::upgrade);
        match &asked.failed {
            Some((last, why)) if under_way.is_none() && last.abs_diff(now) < AGAIN => {
                Err(why.clone())
            }
            _ => Ok(self.ask(asked, now)),
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.state.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch that is under way, or a new one: never two.
    fn ask(&self, mut asked: MutexGuard<'_, Asked>, now: Duration) -> Shared<Fetch> {
        if let Some(under_way) = asked.under_way.as_ref().and_then(WeakShared::upgrade) {
            return under_way;
        }
        let this = self.clone();
        let fetch: Fetch = Box::pin(async move { this.fetch(now).await });
        let shared = fetch.shared();
        asked.under_way = shared.downgrade();
        shared
    }

    async fn fetch(&self, now: Duration) -> Result<(), Arc<str>> {
        let fetched = self.place.keys(&*self.remote, &self.allowed).await;
        let mut asked = self.asked();
        asked.under_way = None;
        match fetched {
            Ok(keys) => {
                asked.failed = None;
                self.keep(keys, now);
                Ok(())
            }
            // What there is goes on being used until it is too old.
            Err(why) => {
                let why: Arc<str> = why.into();
                asked.failed = Some((now, why.clone()));
                Err(why)
            }
        }
    }

    fn keep(&self, keys: KeySet, at: Duration) {
        let mut held = self.state.held.write().unwrap_or_else(PoisonError::into_inner);
        let prints = |keys: &KeySet| -> Vec<_> {
            keys.keys().iter().map(|key| (key.thumbprint().to_owned(), key.algorithm())).collect()
        };
        let same = held.as_ref().is_some_and(|held| prints(&held.keys) == prints(&keys));
        let last = self.generation();
        let generation = if same { last } else { last + 1 };
        *held = Some(Arc::new(Held { keys, at, generation }));
        self.state.generation.store(generation, Ordering::Release);
    }
}

impl Chore for Published {
    fn run(&self) -> Pin<Box<dyn Future<Output = Duration> + Send + '_>> {
        Box::pin(async move {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            let age = self.held(now).map(|held| now.saturating_sub(held.at));
            if let Some(left) = age.and_then(|age| self.times.refresh.checked_sub(age))
                && !left.is_zero()
            {
                return left;
            }
            let fetch = self.ask(self.asked(), now);
            // Not at the same moment in all instances.
            let spread = Duration::from_millis(fastrand::u64(0..1000));
            match fetch.await {
                Ok(()) => self.times.refresh.mul_f64(0.9) + spread,
                Err(_) => AGAIN + spread,
            }
        })
    }
}
