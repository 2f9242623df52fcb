//! The pages this process's memory stands on: small ones, but for what requests look up in a large
//! document.

use std::collections::BTreeSet;
use std::ops::Range;

use snapshot::Snapshot;

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// Bytes of a snapshot from which on its pages count: below, they fit the processor's own tables.
const LARGE: usize = 4 << 20;

/// Keeps the kernel from backing memory with huge pages, but where it is told to.
///
/// An idle connection holds a few buffers of which only the first bytes were ever used. On pages of
/// 4 KiB the rest costs nothing; on huge pages all of it does: 48 instead of 31 KiB for an idle
/// HTTP/2 connection with TLS, with no less time spent per request.
pub fn keep_small() {
    #[cfg(target_os = "linux")]
    {
        /// Memory that is advised to may have them all the same (Linux 6.18).
        const EXCEPT_ADVISED: libc::c_ulong = 1 << 1;
        let disable = |how: libc::c_ulong| {
            // SAFETY: it takes numbers, and changes only how later page faults are served. A kernel
            // that does not know it says so, and all stays as it was.
            unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, how, 0, 0) == 0 }
        };
        // Kernels before that either give them to all memory or to what is advised anyway.
        if !disable(EXCEPT_ADVISED) && gives_to_all() {
            disable(0);
        }
    }
}

#[cfg(target_os = "linux")]
fn gives_to_all() -> bool {
    let mode = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    mode.is_ok_and(|mode| mode.contains("[always]"))
}

/// Moves what requests look up in a large snapshot onto huge pages. With 100,000 routes each
/// request comes to memory that none did for a while; half of what that costs is finding the page.
/// Takes a few milliseconds for every 100 MiB, beside the traffic.
pub fn gather(snapshot: &Snapshot) {
    let regions = regions(snapshot.memory());
    #[cfg(target_os = "linux")]
    for region in regions {
        let start = std::ptr::without_provenance_mut(region.start);
        // SAFETY: advice changes no byte of the memory, and no right to it. What is not mapped, or
        // mapped in several pieces, is refused and stays as it is; so does all on kernels that
        // can't do it at once (before Linux 6.1), which will in time.
        unsafe {
            libc::madvise(start, region.len(), libc::MADV_HUGEPAGE);
            libc::madvise(start, region.len(), libc::MADV_COLLAPSE);
        }
    }
}

/// The huge pages that `pieces` of memory stand on, those side by side as one; none where it is
/// little.
fn regions(pieces: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let (mut bytes, mut pages) = (0, BTreeSet::new());
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        bytes += piece.len();
        pages.extend(piece.start / HUGE..=(piece.end - 1) / HUGE);
    }
    if bytes < LARGE {
        return Vec::new();
    }
    let mut regions: Vec<Range<usize>> = Vec::new();
    for page in pages {
        let (start, end) = (page * HUGE, (page + 1) * HUGE);
        match regions.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => regions.push(start..end),
        }
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_side_by_side_are_one_region_and_little_is_left_alone() {
        let pieces = [3 * HUGE + 5..3 * HUGE + 9, HUGE..2 * HUGE + 1, 7 * HUGE..7 * HUGE];
        assert!(regions(pieces.iter().cloned()).is_empty(), "less than 4 MiB");
        let pieces = [3 * HUGE + 5..3 * HUGE + 9, 8 * HUGE..11 * HUGE, 2 * HUGE..2 * HUGE + 1];
        assert_eq!(regions(pieces.iter().cloned()), [2 * HUGE..4 * HUGE, 8 * HUGE..11 * HUGE]);
    }
}
