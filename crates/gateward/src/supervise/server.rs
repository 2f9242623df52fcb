//! A serving process, as the supervisor has it.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::crashes::Crash;
use super::link::{Link, SOCKETS_MAX};
use super::message::{Order, Place, Report};
use super::signals;

/// Looks in a row that find a process or one of its cores quiet until it is taken for stuck; one
/// look a second.
const QUIET_MAX: u32 = 5;

/// Where a serving process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// It has not proved itself yet.
    Starting,
    /// It carries traffic.
    Serving,
    /// It ends what it has.
    Leaving,
}

/// A serving process.
pub struct Server {
    /// Its number.
    pub pid: Pid,
    /// Where it is in its life.
    pub stage: Stage,
    /// Since when it is.
    pub since: Instant,
    /// The document it runs by.
    pub digest: Option<String>,
    /// Why it can't start, or had to be ended.
    pub why: Option<String>,
    /// Sockets it opened, until it has proved itself.
    pub staged: HashMap<Place, Vec<OwnedFd>>,
    link: Link,
    /// Orders it did not take yet.
    outbox: VecDeque<(Order, Vec<OwnedFd>)>,
    pulses: Vec<Pulse>,
    /// Looks since the last word of it.
    silent: u32,
    /// Its end of the link is closed.
    deaf: bool,
}

/// A core's pulse, and for how many looks it has not moved.
#[derive(Clone, Copy, Default)]
struct Pulse {
    now: u64,
    seen: u64,
    quiet: u32,
}

impl Server {
    /// Starts `program` as a serving process, with these arguments and what tells it whom to serve.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(program: &Path, args: &[OsString]) -> io::Result<Self> {
        let (near, far) = Link::pair()?;
        let number = far.as_fd().as_raw_fd();
        let mut command = Command::new(program);
        command.arg0("gateward").args(args).arg(format!("--served={number}"));
        // What systemd gave is the supervisor's to use.
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        // SAFETY: between fork and exec it calls only what is safe there: fcntl and sigprocmask.
        unsafe { command.pre_exec(move || ready_for_exec(number)) };
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        Ok(Self::new(pid, near, Stage::Starting))
    }

    /// A serving process that was started before.
    pub fn new(pid: Pid, link: Link, stage: Stage) -> Self {
        Self {
            pid,
            stage,
            since: Instant::now(),
            digest: None,
            why: None,
            staged: HashMap::new(),
            link,
            outbox: VecDeque::new(),
            pulses: Vec::new(),
            silent: 0,
            deaf: false,
        }
    }

    /// It is at another stage of its life from now on.
    pub fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
    }

    /// Gives it these sockets, as many packets as that takes.
    ///
    /// # Errors
    /// The system gives no descriptor.
    pub fn hand_over(&mut self, place: &Place, sockets: &[OwnedFd]) -> io::Result<()> {
        for some in sockets.chunks(SOCKETS_MAX) {
            let copies: io::Result<Vec<_>> = some.iter().map(OwnedFd::try_clone).collect();
            self.outbox.push_back((Order::Kept(place.clone()), copies?));
        }
        self.flush();
        Ok(())
    }

    /// Tells it something. What it does not take at once waits: a process that is stopped must not
    /// stop its supervisor.
    pub fn tell(&mut self, order: Order) {
        self.outbox.push_back((order, Vec::new()));
        self.flush();
    }

    /// Sends what waits.
    pub fn flush(&mut self) {
        while let Some((order, fds)) = self.outbox.front() {
            let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            match self.link.try_send(order, &fds) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // To one that is gone nothing need be told; its end is seen elsewhere.
                _ => drop(self.outbox.pop_front()),
            }
        }
    }

    /// Whether orders wait.
    pub fn has_orders(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// What it says next, and the sockets that come with it; none if it says nothing now.
    pub fn hear(&mut self) -> Option<(Report, Vec<OwnedFd>)> {
        match self.link.try_receive() {
            Ok(Some(heard)) => {
                self.silent = 0;
                Some(heard)
            }
            Ok(None) => {
                self.deaf = true;
                None
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => {
                tracing::warn!(pid = self.number(), "what a serving process says is lost: {error}");
                None
            }
        }
    }

    /// Whether nothing more comes from it.
    pub fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// It lives.
    pub fn beat(&mut self, pulses: &[u64]) {
        self.pulses.resize(pulses.len(), Pulse::default());
        for (pulse, now) in self.pulses.iter_mut().zip(pulses) {
            pulse.now = *now;
        }
    }

    /// Looks whether it lives, once a second. If it has not for too long, says what is stuck.
    ///
    /// Looks are counted, not seconds: where the whole machine stood still, nobody missed one.
    pub fn look(&mut self) -> Option<String> {
        self.silent += 1;
        if self.silent > QUIET_MAX {
            return Some(format!("said nothing for {QUIET_MAX} s"));
        }
        for pulse in &mut self.pulses {
            pulse.quiet = if pulse.now == pulse.seen { pulse.quiet + 1 } else { 0 };
            pulse.seen = pulse.now;
        }
        let stuck = self.pulses.iter().position(|pulse| pulse.quiet >= QUIET_MAX)?;
        Some(format!("core {stuck} was stuck for {QUIET_MAX} s"))
    }

    /// Ends it at once.
    pub fn kill(&self) {
        // Fails if it has just ended by itself.
        let _ = kill_process(self.pid, Signal::KILL);
    }

    /// What its end means, if it should not have ended.
    pub fn crash(&self) -> Crash {
        let serving = self.stage == Stage::Serving;
        let served = if serving { self.since.elapsed() } else { Duration::ZERO };
        Crash { digest: self.digest.clone(), served }
    }

    /// Its number, for people.
    pub fn number(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Its end of the link, for a supervisor that comes after this one.
    pub fn link(&self) -> &Link {
        &self.link
    }
}

/// What is left to do in a new process before it becomes the program.
fn ready_for_exec(link: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor is open: the parent holds it until the child has become the program.
    let link = unsafe { std::os::fd::BorrowedFd::borrow_raw(link) };
    fcntl_setfd(link, FdFlags::empty())?;
    signals::unblock();
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

    use super::*;

    fn server() -> (Server, Link) {
        let (near, far) = Link::pair().unwrap();
        let pid = Pid::from_raw(i32::MAX).unwrap();
        (Server::new(pid, near, Stage::Serving), far)
    }

    #[test]
    fn a_core_that_does_not_move_is_named() {
        let (mut server, far) = server();
        for look in 1..=6_u64 {
            far.send(&Report::Beat(vec![look, 7]), &[]).unwrap();
            let Some((Report::Beat(pulses), _)) = server.hear() else { panic!("no beat") };
            server.beat(&pulses);
            let stuck = server.look();
            assert_eq!(stuck.is_some(), look == 6, "{look}: {stuck:?}");
            assert!(stuck.is_none_or(|stuck| stuck.contains("core 1")));
        }
    }

    /// Where the whole machine stood still, the supervisor included, nobody is taken for stuck:
    /// looks are counted, not seconds.
    ///
    /// Seen to fail: with the time since the last word in place of the looks, the one that was not
    /// looked at for long is stuck at the first look.
    #[test]
    fn fa_J14_b_where_everything_stood_still_nobody_is_blamed() {
        let (mut server, far) = server();
        far.send(&Report::Beat(vec![1]), &[]).unwrap();
        assert!(server.hear().is_some());
        server.since -= Duration::from_secs(3600);
        assert!((0..5).all(|_| server.look().is_none()));
        assert!(server.look().is_some());
    }

    #[test]
    fn a_process_that_speaks_is_not_stuck() {
        let (mut server, far) = server();
        for look in 1..=20_u64 {
            far.send(&Report::Beat(vec![look]), &[]).unwrap();
            let Some((Report::Beat(pulses), _)) = server.hear() else { panic!("no beat") };
            server.beat(&pulses);
            assert_eq!(server.look(), None, "{look}");
        }
    }

    #[test]
    fn orders_wait_for_one_that_does_not_listen() {
        let (mut server, far) = server();
        for _ in 0..5_000 {
            server.tell(Order::Reload);
        }
        assert!(server.has_orders());
        let mut heard = 0;
        while heard < 5_000 {
            assert!(matches!(far.receive().unwrap(), Some((Order::Reload, _))));
            heard += 1;
            server.flush();
        }
        assert!(!server.has_orders());
    }
}
