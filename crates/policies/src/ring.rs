//! Keys that the gateway signs with: given in files, or made by itself and replaced in time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use base::{Pointer, Problem, Problems};
use policy::{Carry, Chore, World};
use serde_json::{Value, json};

use crate::jose::{Algorithm, SigningKey};

/// Most bytes of a file with a key.
const BYTES: u64 = 64 << 10;

/// How long a new key is published before it signs, so that whoever verifies has it by then; and
/// how long an old one is after it stopped.
const OVERLAP: Duration = Duration::from_secs(3600);

/// Keys, of which one signs.
pub(crate) struct Ring(RwLock<State>);

#[derive(Default)]
struct State {
    /// Since 1970; unknown of a key that was made while the document was read.
    made: Option<Duration>,
    signs: Option<Arc<SigningKey>>,
    /// Signs from then on.
    next: Option<(Arc<SigningKey>, Duration)>,
    /// Published until then.
    old: Option<(Arc<SigningKey>, Duration)>,
    /// Published for good.
    others: Vec<Arc<SigningKey>>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ring")
    }
}

impl Ring {
    /// The keys in these files, of which the first signs.
    pub(crate) fn read(
        files: &[String],
        algorithm: Option<Algorithm>,
        at: &Pointer,
        world: &dyn World,
        problems: &mut Problems,
    ) -> Self {
        let mut keys = Vec::with_capacity(files.len());
        for (number, name) in files.iter().enumerate() {
            let at = at.index(number);
            let read = world.read(name, "private key", BYTES, &at);
            match read.map(|pem| SigningKey::from_pem(&pem, algorithm)) {
                Ok(Ok(key)) => keys.push(Arc::new(key)),
                Ok(Err(what)) => {
                    let problem = Problem::new(&at, format!("`{name}` can't be used: {what}"));
                    problems.push(problem.hint("make one: openssl genpkey -algorithm ed25519"));
                }
                Err(problem) => problems.push(problem),
            }
        }
        let signs = keys.first().cloned();
        let others = keys.into_iter().skip(1).collect();
        Self(RwLock::new(State { signs, others, ..State::default() }))
    }

    /// The keys called `name` that this instance makes for itself. They outlive reloads.
    pub(crate) fn own(name: &str, carry: &Carry) -> Arc<Self> {
        carry.keep(&format!("ring {name}"), || Self(RwLock::default()))
    }

    /// Makes the first key, unless there is one of this algorithm.
    pub(crate) fn begin(&self, algorithm: Algorithm) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let has = |key: &Arc<SigningKey>| key.algorithm() == algorithm;
        if state.signs.as_ref().is_some_and(has) {
            return;
        }
        let old = state.signs.take();
        state.others.extend(old);
        state.others.truncate(4);
        state.signs = SigningKey::generate(algorithm).map(Arc::new);
        (state.made, state.next) = (None, None);
    }

    /// The key that signs.
    pub(crate) fn signs(&self) -> Option<Arc<SigningKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).signs.clone()
    }

    /// The JWK Set that publishes them.
    pub(crate) fn published(&self) -> Value {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let next = state.next.iter().map(|(key, _)| key);
        let old = state.old.iter().map(|(key, _)| key);
        let all = state.signs.iter().chain(next).chain(old).chain(&state.others);
        crate::jose::jwks(all.map(|key| &**key))
    }

    /// Replaces the key that signs when it is older than `age`. Gives the time until there is more
    /// to do.
    fn turn(&self, now: Duration, age: Duration) -> Duration {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let made = *state.made.get_or_insert(now);
        if state.old.as_ref().is_some_and(|(_, until)| now >= *until) {
            state.old = None;
        }
        if let Some((_, from)) = &state.next {
            let left = from.saturating_sub(now);
            if !left.is_zero() {
                return left;
            }
            let next = state.next.take().map(|(key, _)| key);
            let old = std::mem::replace(&mut state.signs, next);
            state.old = old.map(|key| (key, now + OVERLAP));
            state.made = Some(now);
            return OVERLAP;
        }
        let left = (made + age).saturating_sub(now);
        if !left.is_zero() {
            return left.min(OVERLAP);
        }
        let algorithm = state.signs.as_ref().map(|key| key.algorithm());
        let next = algorithm.and_then(SigningKey::generate).map(Arc::new);
        state.next = next.map(|key| (key, now + OVERLAP));
        OVERLAP
    }
}

/// Replaces a ring's keys in time.
#[derive(Debug)]
pub(crate) struct Turning {
    pub(crate) ring: Arc<Ring>,
    pub(crate) age: Duration,
}

impl Chore for Turning {
    fn run(&self) -> Pin<Box<dyn Future<Output = Duration> + Send + '_>> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Box::pin(std::future::ready(self.ring.turn(now, self.age)))
    }
}

/// The document that publishes `ring`, as bytes.
pub(crate) fn document(ring: &Ring) -> Vec<u8> {
    serde_json::to_vec(&ring.published())
        .unwrap_or_else(|_| json!({ "keys": [] }).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kids(ring: &Ring) -> Vec<String> {
        let published = ring.published();
        let keys = published["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    /// Whoever verifies has a key an hour before it signs, and an hour after it did.
    #[test]
    fn a_key_is_published_before_it_signs_and_after_it_stopped() {
        let carry = Carry::default();
        let ring = Ring::own("a", &carry);
        ring.begin(Algorithm::EdDSA);
        let first = ring.signs().unwrap().kid().to_owned();
        ring.begin(Algorithm::EdDSA);
        assert_eq!(ring.signs().unwrap().kid(), first, "a reload changes nothing");
        let (day, now) = (Duration::from_secs(86_400), Duration::from_secs(1_790_000_000));
        ring.turn(now, day);
        ring.turn(now + day - Duration::from_secs(1), day);
        assert_eq!(kids(&ring), std::slice::from_ref(&first));
        assert_eq!(ring.turn(now + day, day), OVERLAP);
        let second = kids(&ring).pop().unwrap();
        assert_eq!((kids(&ring).len(), ring.signs().unwrap().kid()), (2, &*first));
        ring.turn(now + day + OVERLAP / 2, day);
        assert_eq!(ring.signs().unwrap().kid(), first);
        ring.turn(now + day + OVERLAP, day);
        assert_eq!(ring.signs().unwrap().kid(), second);
        assert_eq!(kids(&ring), [second.clone(), first]);
        ring.turn(now + day + OVERLAP * 2, day);
        assert_eq!(kids(&ring), [second]);
    }
}
