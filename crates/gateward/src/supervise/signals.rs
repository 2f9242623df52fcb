//! Signals as something to read, so that they are taken one after the other and none is lost while
//! the supervisor becomes another binary.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// The signals that mean something, and those that must not end the gateway by accident.
const TAKEN: [i32; 8] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCHLD,
    libc::SIGALRM,
];

/// Where signals are read.
pub struct Signals(OwnedFd);

impl Signals {
    /// From now on, signals wait here. They stay blocked across `exec`, and so wait there too.
    ///
    /// # Errors
    /// The system gives no descriptor.
    pub fn block() -> io::Result<Self> {
        let set = set();
        // SAFETY: the set was filled above; the calls read it and nothing else.
        let fd = unsafe {
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just opened, and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal that waits.
    pub fn next(&self) -> Option<i32> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        let read = rustix::io::read(&self.0, &mut info).ok()?;
        let number = info.get(..4).filter(|_| read == info.len())?;
        i32::try_from(u32::from_ne_bytes(number.try_into().ok()?)).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets signals through again: for a process that was started while they were blocked.
pub fn unblock() {
    let set = set();
    // SAFETY: the set was filled above; only this thread's mask changes.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Ignores what a terminal or an operator sends to a whole group of processes: a serving process
/// takes its orders from its supervisor.
pub fn ignore() {
    for signal in TAKEN.into_iter().filter(|signal| *signal != libc::SIGCHLD) {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` fills the set, `sigaddset` adds to it; the numbers are signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in TAKEN {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}
