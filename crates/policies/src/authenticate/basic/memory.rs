//! What is remembered between requests: passwords that were right, so that each is hashed once in a
//! while and not for each request; and who failed lately, so that nobody guesses for long.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;

use super::pool::Mark;

/// How often those whose minute is over make room at most.
const SWEEP: Duration = Duration::from_secs(1);

/// Right passwords remembered at most, in each of two generations.
const RIGHT: usize = 8_192;

/// Clients whose failures are counted at most.
const CLIENTS: usize = 16_384;

/// What failures are counted in.
const WINDOW: Duration = Duration::from_secs(60);

/// Passwords that were right. They are kept as hashes under a key that this process alone has and
/// nobody else ever sees.
pub(super) struct Right {
    key: hmac::Key,
    marks: Mutex<Generations>,
}

/// Two generations: when the young one is full, the old one is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<Mark, Duration>,
    old: HashMap<Mark, Duration>,
}

impl std::fmt::Debug for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Right(***)")
    }
}

impl Right {
    /// Nothing yet; none where there is no randomness to make a key of.
    pub fn new() -> Option<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Some(Self { key, marks: Mutex::default() })
    }

    /// The mark of a user's password, as long as the stored hash is the one of this `hash`.
    pub fn mark(&self, hash: &[u8], user: &[u8], password: &[u8]) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [hash, user, password] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut mark = [0; 32];
        mark.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        mark
    }

    /// A number below `count` that stays the same for `name` as long as this process runs.
    pub fn pick(&self, name: &[u8], count: usize) -> usize {
        let mark = self.mark(b"", name, b"");
        let number = mark.first_chunk().copied().map_or(0, u64::from_le_bytes);
        usize::try_from(number % (count as u64).max(1)).unwrap_or(0)
    }

    /// Whether this one was right and still counts at the time `now`.
    pub fn knows(&self, mark: &Mark, now: Duration) -> bool {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.young.get(mark).or_else(|| marks.old.get(mark)).is_some_and(|until| now < *until)
    }

    /// Remembers that this one was right.
    pub fn remember(&self, mark: Mark, until: Duration) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.young.len() >= RIGHT {
            marks.old = std::mem::take(&mut marks.young);
        }
        marks.young.insert(mark, until);
    }
}

/// How often whom failed within the last minute.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Clients>);

#[derive(Debug, Default)]
struct Clients {
    /// Since when, and how often.
    failed: HashMap<IpAddr, (Duration, u32)>,
    /// When there was last a look for those whose minute is over.
    swept: Duration,
}

impl Failures {
    /// How long `client` must wait because it failed `most` times; none if it may try.
    pub fn wait(&self, client: IpAddr, most: u32, now: Duration) -> Option<Duration> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, times) = clients.failed.get(&network(client)).copied()?;
        let passed = now.saturating_sub(since);
        (times >= most && passed < WINDOW).then(|| WINDOW - passed)
    }

    /// It failed. Where too many do to count each, those that can't be counted are not: the queue
    /// is bounded all the same.
    pub fn add(&self, client: IpAddr, now: Duration) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let client = network(client);
        if clients.failed.len() >= CLIENTS && !clients.failed.contains_key(&client) {
            // Once a second at most: a look at all of them is not to be had for each request.
            if now.saturating_sub(clients.swept) >= SWEEP {
                clients.swept = now;
                clients.failed.retain(|_, (since, _)| now.saturating_sub(*since) < WINDOW);
            }
            if clients.failed.len() >= CLIENTS {
                return;
            }
        }
        let (since, times) = clients.failed.entry(client).or_insert((now, 0));
        if now.saturating_sub(*since) >= WINDOW {
            (*since, *times) = (now, 0);
        }
        *times = times.saturating_add(1);
    }
}

/// Who is taken for one: an address, or a network of 64 bits, which is what one customer gets.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_right_password_counts_for_its_time_and_its_hash() {
        let right = Right::new().unwrap();
        let mark = right.mark(b"hash", b"anna", b"secret");
        right.remember(mark, 5 * SECOND);
        assert!(right.knows(&mark, 4 * SECOND) && !right.knows(&mark, 5 * SECOND));
        for (hash, user, password) in
            [("hasha", "nna", "secret"), ("hash", "ann", "asecret"), ("new", "anna", "secret")]
        {
            let other = right.mark(hash.as_bytes(), user.as_bytes(), password.as_bytes());
            assert!(!right.knows(&other, SECOND), "{hash} {user} {password}");
        }
        assert_ne!(mark, Right::new().unwrap().mark(b"hash", b"anna", b"secret"), "another key");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_young_stay() {
        let right = Right::new().unwrap();
        let mark = |n: usize| right.mark(&n.to_le_bytes(), b"", b"");
        (0..3 * RIGHT).for_each(|n| right.remember(mark(n), SECOND));
        let marks = right.marks.lock().unwrap();
        assert!(marks.young.len() + marks.old.len() <= 2 * RIGHT);
        drop(marks);
        assert!(right.knows(&mark(3 * RIGHT - 1), Duration::ZERO));
        assert!(!right.knows(&mark(0), Duration::ZERO));
    }

    #[test]
    fn failures_are_counted_by_the_minute_and_by_network() {
        let failures = Failures::default();
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        for second in 0..3 {
            assert_eq!(failures.wait(one, 3, second * SECOND), None);
            failures.add(one, second * SECOND);
        }
        let neighbour = "2001:db8::2".parse().unwrap();
        assert_eq!(failures.wait(neighbour, 3, 10 * SECOND), Some(50 * SECOND));
        assert_eq!(failures.wait("2001:db8:0:1::1".parse().unwrap(), 3, 10 * SECOND), None);
        assert_eq!(failures.wait(one, 3, 60 * SECOND), None);
        failures.add(one, 60 * SECOND);
        assert_eq!(failures.wait(one, 3, 61 * SECOND), None);
    }

    /// Who failed is remembered up to a bound. Seen to fail: without it the table grew with each
    /// address.
    #[test]
    fn fa_E16_the_table_of_failures_is_bounded() {
        let failures = Failures::default();
        for n in 0..2 * CLIENTS as u32 {
            failures.add(IpAddr::V4(n.into()), Duration::ZERO);
        }
        assert_eq!(failures.0.lock().unwrap().failed.len(), CLIENTS);
        failures.add("192.0.2.1".parse().unwrap(), 2 * WINDOW);
        assert_eq!(failures.0.lock().unwrap().failed.len(), 1, "the old ones make room");
    }
}
