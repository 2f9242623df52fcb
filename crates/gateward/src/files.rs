//! File descriptors of this process.

/// Takes all file descriptors the system would give. What most systems give unasked, 1024, is for
/// programs that use `select`; it would leave a gateway a few hundred connections.
pub fn take_all() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a struct of our own: one fills it, one reads it. Where they fail, all
    // stays as it was.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
