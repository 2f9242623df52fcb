//! Who keeps listening sockets for longer than this process lives, so that another one can go on
//! with them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use snapshot::Bind;

/// What a listening socket is for. The same address may stand for both, where any port will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A listener of the document.
    Listener,
    /// The admin listener.
    Admin,
}

/// Keeps listening sockets. They stand at the address they were asked for, which says port 0 where
/// any would do.
pub trait Keeper: Send + Sync + 'static {
    /// The sockets that are kept for this address since before this process began; none if there
    /// are none, or they were taken already.
    fn take(&self, role: Role, bind: &Bind) -> Vec<OwnedFd>;

    /// From now on, keep these for this address, in place of what was kept for it.
    fn keep(&self, role: Role, bind: &Bind, sockets: &[BorrowedFd<'_>]);

    /// Keep nothing for this address any more. Nothing is once this returns, so that the address is
    /// closed as soon as this process closes it.
    fn release(&self, role: Role, bind: &Bind);
}

/// Nobody keeps anything.
#[derive(Clone, Copy, Debug)]
pub struct NoKeeper;

impl Keeper for NoKeeper {
    fn take(&self, _: Role, _: &Bind) -> Vec<OwnedFd> {
        Vec::new()
    }

    fn keep(&self, _: Role, _: &Bind, _: &[BorrowedFd<'_>]) {}

    fn release(&self, _: Role, _: &Bind) {}
}

/// Has `keeper` keep these.
pub(crate) fn keep(keeper: &dyn Keeper, role: Role, bind: &Bind, sockets: &[impl AsFd]) {
    let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    keeper.keep(role, bind, &sockets);
}
