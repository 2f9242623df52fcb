//! Nonces that were seen: each counts once. Bounded, and shared out so that one key's callers can't
//! take all the room there is.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

/// What tells one nonce of one key from all others.
type Mark = [u8; 16];

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is new, and known from now on.
    New,
    /// It was there before.
    Before,
    /// There is no room to remember it, so that nobody could tell if it came again.
    NoRoom,
}

/// Nonces, for as long as a signature that has one could be shown again.
#[derive(Debug)]
pub(super) struct Nonces {
    life: Duration,
    most: usize,
    kept: Mutex<Kept>,
}

/// What came in this span of time and in the one before. A span is as long as a signature lives, so
/// that whatever came two spans ago is too old to be shown again.
#[derive(Debug, Default)]
struct Kept {
    span: u64,
    young: Span,
    old: Span,
}

#[derive(Debug, Default)]
struct Span {
    nonces: HashSet<Mark>,
    by_key: HashMap<Box<str>, usize>,
}

impl Nonces {
    /// Room for `most` nonces of signatures that live for `life`.
    pub fn new(life: Duration, most: usize) -> Self {
        let life = life.max(Duration::from_secs(1));
        Self { life, most, kept: Mutex::default() }
    }

    /// Takes note of a key's nonce, at the time `now`. `keys` is how many keys there are.
    pub fn see(&self, key: &str, keys: usize, nonce: &[u8], now: Duration) -> Seen {
        let mark = mark(key, nonce);
        let span = now.as_secs() / self.life.as_secs();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.turn(span);
        if kept.young.nonces.contains(&mark) || kept.old.nonces.contains(&mark) {
            return Seen::Before;
        }
        // A half is shared out to the keys; the other is anyone's.
        let half = self.most / 2;
        let share = half / keys.max(1);
        let all = kept.young.nonces.len() + kept.old.nonces.len();
        let own = kept.young.count(key) + kept.old.count(key);
        if own >= share && all >= half {
            return Seen::NoRoom;
        }
        kept.young.nonces.insert(mark);
        match kept.young.by_key.get_mut(key) {
            Some(count) => *count += 1,
            None => {
                kept.young.by_key.insert(key.into(), 1);
            }
        }
        Seen::New
    }
}

impl Kept {
    /// Forgets what is too old. A clock that goes back forgets nothing.
    fn turn(&mut self, span: u64) {
        match span.saturating_sub(self.span) {
            0 => return,
            1 => self.old = std::mem::take(&mut self.young),
            _ => (self.old, self.young) = (Span::default(), Span::default()),
        }
        self.span = span;
    }
}

impl Span {
    fn count(&self, key: &str) -> usize {
        self.by_key.get(key).copied().unwrap_or(0)
    }
}

fn mark(key: &str, nonce: &[u8]) -> Mark {
    let mut context = Context::new(&SHA256);
    context.update(&(key.len() as u64).to_le_bytes());
    context.update(key.as_bytes());
    context.update(nonce);
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_nonce_counts_once_as_long_as_its_signature_could_live() {
        let nonces = Nonces::new(10 * SECOND, 100);
        for start in [0, 5, 9] {
            let at = |second: u32| (1_000 + start + second) * SECOND;
            let nonce = start.to_le_bytes();
            assert_eq!(nonces.see("a", 2, &nonce, at(0)), Seen::New);
            for later in 0..=10 {
                assert_eq!(nonces.see("a", 2, &nonce, at(later)), Seen::Before, "{start} {later}");
            }
            assert_eq!(nonces.see("b", 2, &nonce, at(10)), Seen::New, "another key's");
        }
        assert_eq!(nonces.see("a", 2, &9_u32.to_le_bytes(), 1_040 * SECOND), Seen::New);
    }

    /// Seen to fail: without the shares the first key filled all there is, and the second was
    /// turned away.
    #[test]
    fn one_key_can_not_take_all_the_room() {
        let nonces = Nonces::new(10 * SECOND, 100);
        let see = |key, n: u32| nonces.see(key, 2, &n.to_le_bytes(), SECOND);
        let taken = (0..1_000).filter(|n| see("a", *n) == Seen::New).count();
        assert_eq!(taken, 50, "what is anyone's, its own share within");
        let taken = (0..1_000).filter(|n| see("b", *n) == Seen::New).count();
        assert_eq!(taken, 25, "its own share is there whatever others do");
        assert_eq!(see("a", 1_001), Seen::NoRoom);
        assert_eq!(see("a", 1), Seen::Before);
        let later = nonces.see("a", 2, b"x", 21 * SECOND);
        assert_eq!(later, Seen::New, "there is room again");
    }
}
