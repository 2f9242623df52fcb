//! Lines of a kind that strangers can cause, held to a rate: a flood of what they tell is not a
//! flood of lines.

use std::sync::atomic::{AtomicU64, Ordering};

use super::metrics::PerCore;

/// How many lines of a kind there may be.
#[derive(Debug)]
pub(crate) struct Lines {
    cores: PerCore<Limit>,
    /// A second and core; more are counted and told with the next line.
    most: u64,
}

/// A core's lines of the current second. Only that core touches it.
#[derive(Debug, Default)]
struct Limit {
    second: AtomicU64,
    lines: AtomicU64,
}

impl Lines {
    /// At most so many a second on each of so many cores.
    pub fn new(cores: usize, most: u64) -> Self {
        Self { cores: PerCore::new(cores), most }
    }

    /// Whether there is room for a line in this second; if so, how many found none since the last
    /// line.
    pub fn room(&self, core: usize, second: u64) -> Option<u64> {
        let limit = self.cores.of(core)?;
        if limit.second.swap(second, Ordering::Relaxed) != second {
            return Some(limit.lines.swap(1, Ordering::Relaxed).saturating_sub(self.most));
        }
        (limit.lines.fetch_add(1, Ordering::Relaxed) < self.most).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_some_lines_and_their_number() {
        let lines = Lines::new(1, 10);
        let told = |second, count: u64| -> Vec<u64> {
            (0..count).filter_map(|_| lines.room(0, second)).collect()
        };
        assert_eq!(told(1, 25), vec![0; 10]);
        assert_eq!(told(2, 2), [15, 0], "the next line says how many were left out");
        assert_eq!(told(3, 1), [0]);
    }
}
