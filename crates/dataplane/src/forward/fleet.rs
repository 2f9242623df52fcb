//! All upstreams, as all cores see them: what outlives a snapshot. Health, ejections, addresses,
//! what runs, and budgets are kept here by the upstream's name and the endpoint's address.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use base::{Clock, Instant};
use snapshot::{Dns, Snapshot};
use tokio::sync::Notify;

use super::breaker::Breaker;
use super::budget::Budget;
use super::bulkhead::Load;
use super::endpoint::{Endpoint, Health, Key};
use super::members::{Answer, Member, Members, Question, members};
use super::outlier::{self, Verdict};

/// Every upstream. One for the whole instance.
pub(crate) struct Fleet {
    clock: Clock,
    inner: Mutex<Inner>,
    /// Something changed that lookups and health checks have to follow.
    pub changed: Notify,
}

#[derive(Default)]
struct Inner {
    current: Vec<Arc<SharedUpstream>>,
    answers: HashMap<(Dns, Question), Answer>,
}

/// An upstream of one snapshot, with what is known of it whatever the snapshot.
pub(crate) struct SharedUpstream {
    /// As the snapshot has it.
    pub config: Arc<snapshot::Upstream>,
    /// What is known of it.
    pub state: Arc<State>,
}

/// What is known of an upstream, whatever the snapshot.
#[derive(Default)]
pub(crate) struct State {
    /// What runs towards it.
    pub load: Load,
    /// Its retries.
    pub budget: Budget,
    /// Whether requests go there.
    pub breaker: Breaker,
    members: ArcSwap<Members>,
    /// Counts changes of members, health and ejections.
    epoch: AtomicU64,
    /// Wakes requests that came before a name was looked up.
    pub looked_up: Notify,
    known: Mutex<HashMap<Key, Arc<Endpoint>>>,
}

impl State {
    /// Its endpoints.
    pub fn members(&self) -> Arc<Members> {
        self.members.load_full()
    }

    /// A number that differs from the one before when members, health or ejections changed in
    /// between.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Health checks found this.
    pub fn checked(&self, endpoint: &Endpoint, health: Health, now: Instant) {
        if endpoint.set_health(health, now) {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A request to `endpoint` ended. True if it was ejected for it.
    pub fn judge(
        &self,
        outlier: &snapshot::Outlier,
        endpoint: &Endpoint,
        verdict: Verdict,
        now: Instant,
    ) -> bool {
        let members = self.members.load();
        let all = members.list.iter().map(|member: &Member| &*member.endpoint);
        let ejected = outlier::judge(outlier, endpoint, all, verdict, now);
        if ejected {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        ejected
    }

    #[cfg(test)]
    pub fn put_without_counting(&self, members: Arc<Members>) -> Arc<Members> {
        self.members.swap(members)
    }

    fn rebuild(
        &self,
        config: &snapshot::Upstream,
        answers: &HashMap<(Dns, Question), Answer>,
        now: Instant,
    ) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Slow start is for those that join others, not for the start of the whole.
        let added = (!known.is_empty()).then_some(now);
        let answer =
            |question: &Question| answers.get(&(config.dns.clone(), question.clone())).cloned();
        let members = members(config, answer, &mut known, added);
        if config.health.is_none() {
            for member in &members.list {
                member.endpoint.set_health(Health::Unknown, now);
            }
        }
        self.members.store(Arc::new(members));
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.looked_up.notify_waiters();
    }
}

impl Fleet {
    /// No upstreams yet.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, inner: Mutex::default(), changed: Notify::new() })
    }

    /// The clock everything here goes by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes the upstreams of `snapshot`, by their number. What is known of those that were there
    /// before stays.
    pub fn apply(&self, snapshot: &Snapshot) -> Vec<Arc<SharedUpstream>> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let mut states: HashMap<Arc<str>, Arc<State>> = inner
            .current
            .iter()
            .map(|upstream| (upstream.config.name.clone(), upstream.state.clone()))
            .collect();
        let upstream = |config: &Arc<snapshot::Upstream>| {
            let state = states.entry(config.name.clone()).or_default().clone();
            Arc::new(SharedUpstream { config: config.clone(), state })
        };
        inner.current = snapshot.upstreams.iter().map(upstream).collect();
        for upstream in &inner.current {
            upstream.state.rebuild(&upstream.config, &inner.answers, now);
        }
        let current = inner.current.clone();
        let asked: Vec<_> = questions(&current).collect();
        inner.answers.retain(|asking, _| asked.contains(asking));
        drop(inner);
        self.changed.notify_one();
        current
    }

    /// The upstreams of the snapshot applied last.
    pub fn current(&self) -> Vec<Arc<SharedUpstream>> {
        self.lock().current.clone()
    }

    /// A name was looked up.
    pub fn answered(&self, dns: &Dns, question: &Question, answer: Answer) {
        let now = self.clock.now();
        let mut inner = self.lock();
        let asking = (dns.clone(), question.clone());
        if inner.answers.get(&asking) == Some(&answer) {
            return;
        }
        inner.answers.insert(asking.clone(), answer);
        for upstream in &inner.current {
            if questions(std::slice::from_ref(upstream)).any(|asked| asked == asking) {
                upstream.state.rebuild(&upstream.config, &inner.answers, now);
            }
        }
        drop(inner);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be looked up for these upstreams, and by whom.
pub(crate) fn questions(
    upstreams: &[Arc<SharedUpstream>],
) -> impl Iterator<Item = (Dns, Question)> {
    upstreams.iter().flat_map(|upstream| {
        let questions = upstream.config.endpoints.iter().filter_map(super::members::question);
        questions.map(|question| (upstream.config.dns.clone(), question))
    })
}
