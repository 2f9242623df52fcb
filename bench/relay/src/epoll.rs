//! Linux's epoll, level-triggered, as much of it as a relay needs.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Tells which sockets can be read or written.
pub struct Epoll(OwnedFd);

/// What [`Epoll::wait`] found.
pub struct Events {
    events: Vec<libc::epoll_event>,
    count: usize,
}

impl Events {
    pub fn with_capacity(capacity: usize) -> Self {
        Self { events: vec![libc::epoll_event { events: 0, u64: 0 }; capacity], count: 0 }
    }

    /// The socket's mark, whether it can be read, whether it can be written.
    pub fn iter(&self) -> impl Iterator<Item = (u64, bool, bool)> {
        self.events.iter().take(self.count).map(|event| {
            let (bits, mark) = (event.events as i32, event.u64);
            // A broken connection shows when it is read.
            let readable = bits & (libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR) != 0;
            (mark, readable, bits & libc::EPOLLOUT != 0)
        })
    }
}

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer; a descriptor it returns is ours alone.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is open and owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches a socket under a mark; closing the socket ends it.
    pub fn add(&self, fd: BorrowedFd<'_>, mark: u64, read: bool, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, mark, read, write)
    }

    /// Changes what a watched socket is watched for.
    pub fn change(&self, fd: BorrowedFd<'_>, mark: u64, read: bool, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, mark, read, write)
    }

    /// Waits until something can be done.
    pub fn wait(&self, events: &mut Events) -> io::Result<()> {
        let (room, space) = (events.events.len() as i32, events.events.as_mut_ptr());
        // SAFETY: `space` has room for `room` events and lives through the call.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), space, room, -1) };
        events.count = usize::try_from(count).unwrap_or(0);
        let error = io::Error::last_os_error();
        if count < 0 && error.kind() != io::ErrorKind::Interrupted { Err(error) } else { Ok(()) }
    }

    fn control(
        &self,
        operation: i32,
        fd: BorrowedFd<'_>,
        mark: u64,
        read: bool,
        write: bool,
    ) -> io::Result<()> {
        let bits = if read { libc::EPOLLIN } else { 0 } | if write { libc::EPOLLOUT } else { 0 };
        let mut event = libc::epoll_event { events: bits as u32, u64: mark };
        // SAFETY: both descriptors are open; the kernel copies `event`.
        let done =
            unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), &mut event) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
