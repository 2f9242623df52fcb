//! What follows from crashes: how long to wait before the next start, and whether a document is to
//! blame.

use std::time::{Duration, Instant};

/// Crashes by one new document within [`WINDOW`] that condemn it.
const CRASHES_MAX: usize = 3;

/// Time in which they are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Time a document serves without a crash until it is no longer new: what crashes then is not the
/// document's doing, and the one before it would be no better.
const PROVEN: Duration = Duration::from_secs(300);

/// A process that served for longer did start well: the next one need not wait.
const STEADY: Duration = Duration::from_secs(3);

/// The first wait, doubled each time.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The crashes of late.
#[derive(Debug, Default)]
pub struct Crashes {
    recent: Vec<(Instant, Option<String>)>,
    /// Starts in a row that did not lead to steady serving.
    failed: u32,
    avoid: Vec<String>,
}

/// A serving process that ended and should not have.
#[derive(Debug)]
pub struct Crash {
    /// The document it ran by, if it got so far.
    pub digest: Option<String>,
    /// How long it ran by it.
    pub served: Duration,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Wait before the next start.
    pub wait: Duration,
    /// The document that was condemned just now.
    pub condemned: Option<String>,
}

impl Crashes {
    /// Takes up what was known before.
    pub fn avoiding(avoid: Vec<String>) -> Self {
        Self { avoid, ..Self::default() }
    }

    /// Digests of documents that are condemned.
    pub fn avoid(&self) -> &[String] {
        &self.avoid
    }

    /// A serving process crashed, now.
    pub fn note(&mut self, crash: Crash, now: Instant) -> Verdict {
        self.failed = if crash.served >= STEADY { 0 } else { self.failed.saturating_add(1) };
        self.recent.retain(|(at, _)| now.duration_since(*at) < WINDOW);
        if crash.served >= PROVEN {
            // Its document is out of the question.
            return Verdict { wait: self.wait(), condemned: None };
        }
        self.recent.push((now, crash.digest.clone()));
        let same = self.recent.iter().filter(|(_, digest)| *digest == crash.digest).count();
        let condemned = crash
            .digest
            .filter(|digest| same >= CRASHES_MAX && !self.avoid.contains(digest))
            .inspect(|digest| self.avoid.push(digest.clone()));
        if condemned.is_some() {
            // What runs next is another document: it starts afresh.
            self.failed = 0;
        }
        Verdict { wait: self.wait(), condemned }
    }

    /// Nothing after the first, then longer and longer.
    fn wait(&self) -> Duration {
        match self.failed.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => WAIT_MIN.saturating_mul(1 << doublings.min(10)).min(WAIT_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(digest: &str, served: u64) -> Crash {
        Crash { digest: Some(digest.into()), served: Duration::from_secs(served) }
    }

    #[test]
    fn three_crashes_in_a_minute_condemn_a_new_document_once() {
        let (mut crashes, start) = (Crashes::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(crashes.note(crash("a", 1), at(0)).condemned, None);
        assert_eq!(crashes.note(crash("a", 1), at(70)).condemned, None);
        assert_eq!(crashes.note(crash("b", 1), at(80)).condemned, None, "another document's");
        assert_eq!(crashes.note(crash("a", 1), at(90)).condemned, None, "the first is long ago");
        assert_eq!(crashes.note(crash("a", 1), at(100)).condemned, Some("a".into()));
        assert_eq!(crashes.note(crash("a", 1), at(101)).condemned, None);
        assert_eq!(crashes.avoid(), ["a"]);
    }

    #[test]
    fn a_document_that_served_for_long_is_not_to_blame() {
        let (mut crashes, now) = (Crashes::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(crashes.note(crash("a", 300), now).condemned, None);
        }
    }

    #[test]
    fn waits_grow_only_while_nothing_serves() {
        let (mut crashes, now) = (Crashes::default(), Instant::now());
        let mut wait = |served| crashes.note(Crash { digest: None, served }, now).wait.as_millis();
        let short = Duration::ZERO;
        assert_eq!([wait(short), wait(short), wait(short)], [0, 100, 200]);
        assert_eq!(wait(STEADY), 0);
        assert_eq!((0..20).map(|_| wait(short)).last(), Some(5000));
    }
}
