//! Where access logs go. Writing never waits: what does not fit is dropped and counted.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogDestination {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, opened to append and opened again when it was moved away.
    File(PathBuf),
}

impl fmt::Display for LogDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Stderr => f.write_str("stderr"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Bytes a shard holds until the writer comes by.
const SHARD_BYTES: usize = 1 << 20;

/// Shards: cores share one only beyond this number.
const SHARDS: usize = 16;

/// A log that takes lines from all cores and is emptied by one writer. Bounded: a shard that is
/// full drops.
pub struct LogTarget {
    destination: LogDestination,
    shards: [Mutex<Vec<u8>>; SHARDS],
    dropped: AtomicU64,
}

impl LogTarget {
    /// An empty target.
    pub fn new(destination: LogDestination) -> Self {
        Self { destination, shards: Default::default(), dropped: AtomicU64::new(0) }
    }

    /// Where it goes.
    pub const fn destination(&self) -> &LogDestination {
        &self.destination
    }

    /// Adds what `write` writes, for core number `core`. What would outgrow the bound is dropped
    /// and counted.
    pub fn line(&self, core: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(shard) = self.shards.get(core % SHARDS) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shard.len();
        if before < SHARD_BYTES {
            write(&mut shard);
        }
        if before >= SHARD_BYTES || shard.len() > SHARD_BYTES {
            shard.truncate(before);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes what is there, into `out`; true if anything was.
    pub fn drain(&self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            out.append(&mut shard);
        }
        out.len() > before
    }

    /// Hands `write` what is there, shard by shard, each whole lines. A core never waits for
    /// `write`: its shard is exchanged for `spare`, which is empty again afterwards.
    pub fn take(&self, spare: &mut Vec<u8>, mut write: impl FnMut(&[u8])) {
        for shard in &self.shards {
            spare.clear();
            std::mem::swap(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner), spare);
            if !spare.is_empty() {
                write(spare);
            }
        }
        spare.clear();
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts lines that were taken but could not be written.
    pub fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}

impl fmt::Debug for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogTarget({})", self.destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shard_drops_whole_lines_and_counts_them() {
        let target = LogTarget::new(LogDestination::Stdout);
        let line = |core| target.line(core, |out| out.resize(out.len() + 400_000, b'x'));
        (0..3).for_each(|_| line(0));
        line(1);
        let (mut spare, mut pieces) = (Vec::new(), Vec::new());
        target.take(&mut spare, |piece| pieces.push(piece.len()));
        assert_eq!((pieces, target.dropped()), (vec![800_000, 400_000], 1));
        assert!(spare.is_empty());
        line(0);
        target.take(&mut spare, |piece| assert_eq!(piece.len(), 400_000));
        assert_eq!(target.dropped(), 1, "taking makes room");
    }
}
