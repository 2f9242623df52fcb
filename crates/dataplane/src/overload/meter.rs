//! Where the memory in use is read.

use std::fmt;
use std::sync::Arc;

/// Where the memory in use is read: the kernel's word on this process, or a test's.
#[derive(Clone)]
pub struct MemoryMeter(Arc<dyn Fn() -> Option<u64> + Send + Sync>);

impl MemoryMeter {
    /// What this process holds in RAM.
    pub fn system() -> Self {
        Self(Arc::new(resident))
    }

    /// What `read` says, in bytes.
    pub fn reading(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(move || Some(read())))
    }

    /// Bytes in use; none where the system does not say.
    pub(super) fn read(&self) -> Option<u64> {
        (self.0)()
    }
}

impl fmt::Debug for MemoryMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryMeter").field(&self.read()).finish()
    }
}

/// The second number of `/proc/self/statm` (proc(5)) is pages in RAM.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: sysconf only reads a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page).ok()?)
}
