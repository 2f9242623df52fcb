//! An endpoint at one address: what all cores know about it. Outlives snapshots.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Instant;
use rustls::pki_types::ServerName;
use snapshot::{Bind, EndpointScheme};

use super::balance::hash;

/// What makes an endpoint the same one across snapshots and lookups.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// What is spoken to it.
    pub scheme: EndpointScheme,
    /// Where it is.
    pub at: Bind,
    /// Where it is too, by the other family of addresses: tried where the first does not connect
    /// soon.
    pub other: Option<SocketAddr>,
    /// The host and port it is known by: a name, or the address.
    pub authority: Arc<str>,
}

/// An endpoint at one address.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// What it is.
    pub key: Key,
    /// As logs and `/status` name it: its URL, and its address where the URL has a name.
    pub label: Arc<str>,
    /// Stable number of `key`.
    pub id: u64,
    /// The name its certificate must carry, unless the upstream says another.
    pub server_name: Option<ServerName<'static>>,
    /// Requests it works on.
    pub active: AtomicUsize,
    /// Connections to it.
    pub connections: AtomicUsize,
    /// Answers of 502, 503 and 504 in a row.
    pub gateway_failures: AtomicU32,
    /// Requests in a row that got no answer.
    pub local_failures: AtomicU32,
    /// Failures of either kind since the start.
    pub failures: AtomicU64,
    /// The number of the endpoint, as written in the document, that led here last.
    pub written: AtomicUsize,
    health: AtomicU8,
    ejections: AtomicU32,
    ejected_until: AtomicU64,
    ramp_from: AtomicU64,
    last_failure: Mutex<Option<Arc<str>>>,
}

/// What active checks found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Not checked, or not yet. Taken for healthy.
    Unknown,
    /// Passes.
    Healthy,
    /// Fails.
    Unhealthy,
}

impl Endpoint {
    /// An endpoint nobody has called yet; its share ramps up from `ramp_from`, where there is such
    /// a moment.
    pub fn new(key: Key, ramp_from: Option<Instant>) -> Self {
        let (label, server_name) = (label(&key), server_name(&key));
        Self {
            id: hash(label.as_bytes()),
            label,
            server_name,
            key,
            active: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            gateway_failures: AtomicU32::new(0),
            local_failures: AtomicU32::new(0),
            failures: AtomicU64::new(0),
            written: AtomicUsize::new(0),
            health: AtomicU8::new(0),
            ejections: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            ramp_from: AtomicU64::new(ramp_from.map_or(0, |at| at.as_nanos().max(1))),
            last_failure: Mutex::new(None),
        }
    }

    /// Its URL, as far as it has one.
    pub fn url(&self) -> String {
        match &self.key.at {
            Bind::Unix(path) => format!("unix:{}", path.display()),
            Bind::Tcp(_) => format!("{}://{}", self.key.scheme.text(), self.key.authority),
        }
    }

    /// What checks found.
    pub fn health(&self) -> Health {
        match self.health.load(Acquire) {
            0 => Health::Unknown,
            1 => Health::Healthy,
            _ => Health::Unhealthy,
        }
    }

    /// Checks found this; true if it is news.
    pub fn set_health(&self, health: Health, now: Instant) -> bool {
        let before = self.health.swap(health as u8, AcqRel);
        if before == Health::Unhealthy as u8 && health == Health::Healthy {
            self.ramp_from.store(now.as_nanos().max(1), Release);
        }
        before != health as u8
    }

    /// When its ejection ends, if it is ejected.
    pub fn ejected_until(&self, now: Instant) -> Option<Instant> {
        let until = Instant::from_nanos(self.ejected_until.load(Acquire));
        (until > now).then_some(until)
    }

    /// Ejects it: the n-th time for n times `base`, but `max` at most. An ejection is forgotten for
    /// every `max` it went well since the last one.
    pub fn eject(&self, now: Instant, base: Duration, max: Duration) {
        let last = Instant::from_nanos(self.ejected_until.load(Acquire));
        let well = now.since(last).as_nanos() / max.as_nanos().max(1);
        let before = self.ejections.load(Relaxed);
        let before = before.saturating_sub(u32::try_from(well).unwrap_or(u32::MAX));
        let times = before.saturating_add(1);
        self.ejections.store(times, Relaxed);
        let until = now.after(base.saturating_mul(times).min(max));
        self.ramp_from.store(until.as_nanos(), Release);
        self.ejected_until.store(until.as_nanos(), Release);
    }

    /// How much of its share it gets now, in percent: it grows from 10 over `slow_start` after it
    /// was added or came back.
    pub fn ramp(&self, now: Instant, slow_start: Duration) -> u32 {
        let from = self.ramp_from.load(Acquire);
        let passed = now.since(Instant::from_nanos(from));
        if from == 0 || passed >= slow_start {
            return 100;
        }
        10 + (90 * passed.as_nanos() / slow_start.as_nanos().max(1)) as u32
    }

    /// Whether requests may go to it.
    pub fn is_usable(&self, now: Instant) -> bool {
        self.health() != Health::Unhealthy && self.ejected_until(now).is_none()
    }

    /// Something failed.
    pub fn failed(&self, note: &str) {
        self.failures.fetch_add(1, Relaxed);
        let mut last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(note.into());
    }

    /// What failed last.
    pub fn last_failure(&self) -> Option<Arc<str>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn label(key: &Key) -> Arc<str> {
    let Key { scheme, at, authority, .. } = key;
    match at {
        Bind::Unix(path) => format!("unix:{}", path.display()).into(),
        Bind::Tcp(address) if is_own(authority, *address) => {
            format!("{}://{authority}", scheme.text()).into()
        }
        Bind::Tcp(address) => format!("{}://{authority} ({address})", scheme.text()).into(),
    }
}

/// Whether an authority is written as the address itself.
fn is_own(authority: &str, address: SocketAddr) -> bool {
    authority.parse() == Ok(address) || host(authority).parse() == Ok(address.ip())
}

fn server_name(key: &Key) -> Option<ServerName<'static>> {
    ServerName::try_from(host(&key.authority).to_owned()).ok()
}

/// The host of an authority, without port and brackets.
pub(crate) fn host(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn endpoint(authority: &str, ramp_from: Option<Instant>) -> Endpoint {
        let at = Bind::Tcp("10.0.0.7:9001".parse().unwrap());
        Endpoint::new(
            Key { scheme: EndpointScheme::Http, at, other: None, authority: authority.into() },
            ramp_from,
        )
    }

    #[test]
    fn labels_name_the_address_where_the_url_has_a_name() {
        for (authority, expected) in [
            ("10.0.0.7:9001", "http://10.0.0.7:9001"),
            ("orders:9001", "http://orders:9001 (10.0.0.7:9001)"),
        ] {
            assert_eq!(&*endpoint(authority, None).label, expected);
        }
    }

    #[test]
    fn a_host_is_what_stands_before_the_port() {
        for (authority, expected) in
            [("a.example:80", "a.example"), ("a", "a"), ("[::1]:80", "::1"), ("[::1]", "::1")]
        {
            assert_eq!(host(authority), expected);
        }
    }

    #[test]
    fn an_ejection_lasts_longer_each_time_and_well_spent_time_is_forgiven() {
        let endpoint = endpoint("a:1", None);
        let (base, max) = (30 * SECOND, 100 * SECOND);
        let mut now = at(1_000);
        for expected in [30, 60, 90, 100, 100] {
            endpoint.eject(now, base, max);
            let until = endpoint.ejected_until(now).unwrap();
            assert_eq!(until.since(now), expected * SECOND);
            assert!(!endpoint.is_usable(now));
            now = until;
            assert!(endpoint.is_usable(now), "it comes back by time alone");
        }
        now = now.after(300 * SECOND);
        endpoint.eject(now, base, max);
        assert_eq!(endpoint.ejected_until(now).unwrap().since(now), 90 * SECOND, "3 forgiven");
    }

    #[test]
    fn the_share_ramps_after_addition_and_recovery_only() {
        let steady = endpoint("a:1", None);
        assert_eq!(steady.ramp(at(1), 30 * SECOND), 100, "no ramp at the start");
        steady.set_health(Health::Healthy, at(2));
        assert_eq!(steady.ramp(at(2), 30 * SECOND), 100, "the first check is no recovery");
        steady.set_health(Health::Unhealthy, at(3));
        steady.set_health(Health::Healthy, at(10));
        for (second, expected) in [(10, 10), (20, 40), (25, 55), (40, 100), (99, 100)] {
            assert_eq!(steady.ramp(at(second), 30 * SECOND), expected, "at {second}");
        }
        let added = endpoint("a:1", Some(at(5)));
        assert_eq!(added.ramp(at(5), 30 * SECOND), 10);
        assert_eq!(added.ramp(at(5), Duration::ZERO), 100, "turned off");
        added.eject(at(50), 30 * SECOND, 300 * SECOND);
        assert_eq!(added.ramp(at(80), 30 * SECOND), 10, "after an ejection");
    }
}
