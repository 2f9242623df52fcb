//! What is counted: a block of relaxed atomics per series and core, so that a request only adds to
//! memory of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use smallvec::SmallVec;

use super::histogram::Histogram;
use super::http2::Http2Counts;
use super::refusals::UPSTREAM_CODES;
use crate::relay::Outcome;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// What it is by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts by status class: `1xx` to `5xx`.
pub(crate) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Responses by status class.
#[derive(Debug, Default)]
pub(crate) struct Classes([Count; CLASSES.len()]);

impl Classes {
    /// Counts one of this class, 1 to 5.
    pub fn add(&self, class: u16) {
        if let Some(count) = usize::from(class).checked_sub(1).and_then(|at| self.0.get(at)) {
            count.add(1);
        }
    }

    /// How many there were of the class at this place of [`CLASSES`].
    pub fn get(&self, at: usize) -> u64 {
        self.0.get(at).map_or(0, Count::get)
    }
}

/// A block per core, made when the core first counts. Blocks share no cache line. Where cores are
/// few, their blocks are found from here at once.
#[derive(Debug)]
pub(crate) struct PerCore<C>(SmallVec<[OnceLock<Box<Padded<C>>>; 4]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<C>(C);

impl<C: Default> PerCore<C> {
    /// Room for this many cores.
    pub fn new(cores: usize) -> Self {
        Self((0..cores.max(1)).map(|_| OnceLock::new()).collect())
    }

    /// The block of a core; cores beyond the number given share.
    pub fn of(&self, core: usize) -> Option<&C> {
        let slot = self.0.get(core).or_else(|| self.0.get(core % self.0.len().max(1)))?;
        Some(&slot.get_or_init(Box::default).0)
    }

    /// The sum over all cores.
    pub fn sum(&self, value: impl Fn(&C) -> u64) -> u64 {
        self.all().map(value).fold(0, u64::wrapping_add)
    }

    /// The blocks made so far.
    pub fn all(&self) -> impl Iterator<Item = &C> {
        self.0.iter().filter_map(OnceLock::get).map(|block| &block.0)
    }
}

/// One series, or a few with the same labels.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Series<const N: usize, C> {
    /// What it counts.
    pub cores: PerCore<C>,
    /// The values of its labels.
    pub labels: [Arc<str>; N],
}

type Kept<const N: usize, C> = HashMap<[Arc<str>; N], Arc<Series<N, C>>>;

/// Series by their labels. Looked up at a swap, never for a request.
#[derive(Debug)]
pub(crate) struct Registry<const N: usize, C> {
    cores: usize,
    kept: Mutex<Kept<N, C>>,
}

impl<const N: usize, C: Default> Registry<N, C> {
    /// None yet, for this many cores.
    pub fn new(cores: usize) -> Self {
        Self { cores, kept: Mutex::default() }
    }

    /// The series with these labels, as long as somebody holds it; a new one otherwise.
    pub fn get(&self, labels: [Arc<str>; N]) -> Arc<Series<N, C>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let make = |labels: &[Arc<str>; N]| {
            Arc::new(Series { labels: labels.clone(), cores: PerCore::new(self.cores) })
        };
        kept.entry(labels).or_insert_with_key(make).clone()
    }

    /// All series that somebody holds, by label; forgets the others.
    pub fn list(&self) -> Vec<Arc<Series<N, C>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, series| Arc::strong_count(series) > 1);
        let mut all: Vec<_> = kept.values().cloned().collect();
        drop(kept);
        all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        all
    }
}

/// What is counted of a route. What every request counts comes first, side by side.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct RouteCounts {
    /// Requests, by the status class of their answers.
    pub requests: Classes,
    /// Bytes of requests' bodies.
    pub bytes_in: Count,
    /// Bytes of responses' bodies.
    pub bytes_out: Count,
    /// Time from a request's head to the end of its answer.
    pub duration: Histogram,
}

/// What is counted of an upstream.
#[derive(Debug, Default)]
pub(crate) struct UpstreamCounts {
    /// Time from a try's start to the first byte of its answer.
    pub first_byte: Histogram,
    /// Tries after the first one of a request.
    pub retries: Count,
}

/// What is counted of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct EndpointCounts {
    /// Tries that were answered, by status class.
    pub answers: Classes,
    /// Tries that were not, by the code of [`UPSTREAM_CODES`]; the last place is for all others.
    pub failures: [Count; UPSTREAM_CODES.len() + 1],
}

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// The listener has as many as it may have.
    Listener,
    /// All listeners together do.
    Instance,
    /// Its peer has as many as one may have.
    Address,
    /// Its peer is no trusted proxy.
    Proxy,
}

impl TurnedAway {
    /// All of them, and their names.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Listener, "listener"),
        (Self::Instance, "instance"),
        (Self::Address, "address"),
        (Self::Proxy, "proxy"),
    ];
}

/// What is counted of a listener.
#[derive(Debug, Default)]
pub(crate) struct ListenerCounts {
    /// Connections taken.
    pub accepted: Count,
    /// Connections of these that ended.
    pub closed: Count,
    /// Connections turned away, by why.
    pub refused: [Count; TurnedAway::ALL.len()],
    /// Times there was no file or memory to accept with.
    pub pauses: Count,
    /// TLS handshakes done.
    pub tls_done: Count,
    /// TLS handshakes that failed.
    pub tls_failed: Count,
    /// Its HTTP/2 connections.
    pub http2: Http2Counts,
    /// Connections passed on unopened that are over, by [`Outcome`].
    pub outcomes: [Count; Outcome::ALL.len()],
    /// Bytes passed on to upstreams.
    pub bytes_up: Count,
    /// Bytes passed on to clients.
    pub bytes_down: Count,
}

/// A listener's series. Held by the listener and by its connections.
pub(crate) type ListenerSeries = Series<1, ListenerCounts>;

impl ListenerSeries {
    /// Counts a connection, open until what is returned is dropped.
    pub fn open(self: &Arc<Self>, core: usize) -> OpenConnection {
        if let Some(counts) = self.cores.of(core) {
            counts.accepted.add(1);
        }
        OpenConnection { listener: self.clone(), core }
    }

    /// Counts a connection turned away.
    pub fn refused(&self, core: usize, why: TurnedAway) {
        let counts = self.cores.of(core);
        if let Some(count) = counts.and_then(|counts| counts.refused.get(why as usize)) {
            count.add(1);
        }
    }

    /// Counts a time when there was no file or memory to accept with.
    pub fn paused(&self, core: usize) {
        if let Some(counts) = self.cores.of(core) {
            counts.pauses.add(1);
        }
    }

    /// Counts a TLS handshake.
    pub fn handshake(&self, core: usize, done: bool) {
        if let Some(counts) = self.cores.of(core) {
            if done { &counts.tls_done } else { &counts.tls_failed }.add(1);
        }
    }

    /// Counts bytes passed on unopened.
    pub fn passed(&self, core: usize, up: u64, down: u64) {
        if let Some(counts) = self.cores.of(core) {
            counts.bytes_up.add(up);
            counts.bytes_down.add(down);
        }
    }

    /// Counts the end of a connection that was passed on.
    pub fn ended(&self, core: usize, outcome: Outcome) {
        let counts = self.cores.of(core);
        if let Some(count) = counts.and_then(|counts| counts.outcomes.get(outcome as usize)) {
            count.add(1);
        }
    }

    /// Connections open now, all cores together.
    pub fn open_now(&self) -> u64 {
        let closed = self.cores.sum(|counts| counts.closed.get());
        self.cores.sum(|counts| counts.accepted.get()).saturating_sub(closed)
    }
}

/// A connection that is counted as open until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    listener: Arc<ListenerSeries>,
    core: usize,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        if let Some(counts) = self.listener.cores.of(self.core) {
            counts.closed.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cores_count_adds_up_and_outlives_a_swap() {
        let registry: Registry<1, RouteCounts> = Registry::new(2);
        let before = registry.get(["a".into()]);
        before.cores.of(0).unwrap().bytes_in.add(2);
        before.cores.of(1).unwrap().bytes_in.add(3);
        before.cores.of(7).unwrap().bytes_in.add(5);
        let after = registry.get(["a".into()]);
        drop(before);
        assert_eq!(registry.list().len(), 1);
        assert_eq!(after.cores.sum(|counts| counts.bytes_in.get()), 10);
    }

    #[test]
    fn a_series_nobody_holds_is_forgotten() {
        let registry: Registry<1, RouteCounts> = Registry::new(1);
        let held = registry.get(["a".into()]);
        registry.get(["b".into()]);
        let labels: Vec<_> = registry.list().iter().map(|series| series.labels.clone()).collect();
        assert_eq!(labels, std::slice::from_ref(&held.labels));
    }

    #[test]
    fn a_connection_is_open_until_it_is_dropped() {
        let listener = Registry::<1, ListenerCounts>::new(1).get(["web".into()]);
        let one = listener.open(0);
        let two = listener.open(0);
        drop(one);
        assert_eq!(listener.open_now(), 1);
        drop(two);
        assert_eq!(listener.open_now(), 0);
    }

    #[test]
    fn a_status_of_no_class_is_not_counted() {
        let classes = Classes::default();
        [0, 2, 5, 5, 6].into_iter().for_each(|class| classes.add(class));
        assert_eq!([0, 1, 2, 3, 4].map(|at| classes.get(at)), [0, 1, 0, 0, 2]);
    }
}
