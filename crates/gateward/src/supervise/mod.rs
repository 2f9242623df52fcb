//! The supervisor: `gateward run` as the operator sees it.
//!
//! It keeps the listening sockets and never touches traffic. A serving process, which it starts,
//! does all the work; when that dies or is stuck, connections wait in the sockets until the next
//! one accepts them. An upgrade is the same with both alive: the new one proves itself, the old one
//! drains, and the supervisor becomes the new binary too (`resume.rs`).
//!
//! One thread, one loop ([`Supervisor::run`]): it waits for signals, for what serving processes say
//! (`message.rs`) and for orders (`control.rs`), and takes them one at a time.

mod children;
mod control;
mod crashes;
mod kept;
mod life;
mod link;
mod message;
mod resume;
mod server;
mod signals;
mod upgrade;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cli::{Exit, RunArgs};
use crate::logging;
use crate::run::fail;
use crate::state;
use crate::systemd::Notify;

use control::Control;
use crashes::Crashes;
use kept::Kept;
use message::Report;
use server::{Server, Stage};
use signals::Signals;
use upgrade::{Program, Upgrade};

pub use link::{Link, SOCKETS_MAX};
pub use message::Report as Said;
pub use message::{Order, Place, Purpose, Start, Told, short};
pub use resume::FORMAT;
pub use signals::ignore as ignore_signals;
pub use upgrade::upgrade;

/// Time between two looks at the serving process.
const LOOK: Duration = Duration::from_secs(1);

/// Time beyond what stopping may take until whoever has not ended is ended.
const OVERTIME: Duration = Duration::from_secs(10);

/// The supervisor.
struct Supervisor {
    args: RunArgs,
    program: Program,
    directory: Option<PathBuf>,
    kept: Kept,
    signals: Signals,
    control: Option<Control>,
    notify: Notify,
    /// Serving processes that live, at whatever stage.
    servers: Vec<Server>,
    crashes: Crashes,
    told: Told,
    /// An upgrade that is under way.
    upgrade: Option<Upgrade>,
    /// When the next serving process may be started.
    start_at: Instant,
    /// Whether one has served since the beginning.
    served: bool,
    /// The number of the next document.
    revision: u64,
    /// Since it was told to stop.
    stopping: Option<Instant>,
    looked: Instant,
}

/// `gateward run`, with a supervisor.
pub fn run(args: RunArgs) -> Exit {
    if let Err(error) = logging::start(&args.logging) {
        return fail(&error);
    }
    match Supervisor::new(args) {
        Ok(supervisor) => supervisor.run(),
        Err(error) => fail(&error),
    }
}

impl Supervisor {
    fn new(args: RunArgs) -> Result<Self, String> {
        let no_signals = |error| format!("signals can't be read: {error}");
        let signals = Signals::block().map_err(no_signals)?;
        let now = Instant::now();
        let mut supervisor = Self {
            program: Program::find(),
            directory: state::directory(&args.state, &args.config),
            kept: Kept::default(),
            signals,
            control: None,
            notify: Notify::new(),
            servers: Vec::new(),
            crashes: Crashes::default(),
            told: Told::default(),
            upgrade: None,
            start_at: now,
            served: false,
            revision: 1,
            stopping: None,
            looked: now,
            args,
        };
        match supervisor.args.resume.take() {
            Some(fd) => supervisor.resume(fd)?,
            None => supervisor.begin()?,
        }
        Ok(supervisor)
    }

    /// What is done once, by the first supervisor and not by those it becomes.
    fn begin(&mut self) -> Result<(), String> {
        for (place, socket) in crate::systemd::sockets() {
            tracing::info!("systemd gave a socket at {}", place.bind);
            self.kept.keep(place, vec![socket], false);
        }
        let Some(directory) = &self.directory else { return Ok(()) };
        match Control::open(directory) {
            Ok(control) => self.control = Some(control),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(format!(
                    "another gateway uses {}: stop that one, or name another directory with --state",
                    directory.display()
                ));
            }
            Err(error) => {
                let at = directory.display();
                tracing::warn!("no `gateward upgrade`, SIGUSR2 alone: {at}: {error}");
            }
        }
        Ok(())
    }

    /// Waits, and takes what comes, until there is nothing left to supervise.
    fn run(mut self) -> Exit {
        loop {
            self.wait();
            while let Some(signal) = self.signals.next() {
                self.signal(signal);
            }
            while let Some((at, report)) = self.hear() {
                self.report(at, report);
            }
            while let Some((asked, caller)) = self.control.as_mut().and_then(Control::next) {
                self.asked(asked, Some(caller));
            }
            self.look();
            if let Some(exit) = self.bury() {
                return self.end(exit);
            }
            self.keep_serving();
        }
    }

    /// Waits until there is something to take, or it is time to look.
    fn wait(&mut self) {
        let look = self.looked + LOOK;
        let starts = !self.is_served() && self.stopping.is_none();
        let next = if starts { look.min(self.start_at) } else { look };
        let timeout = next.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), IN)];
        for server in self.servers.iter().filter(|server| !server.is_deaf()) {
            let flags = if server.has_orders() { IN | PollFlags::OUT } else { IN };
            fds.push(PollFd::from_borrowed_fd(server.link().as_fd(), flags));
        }
        let callers = self.control.iter().flat_map(Control::fds);
        fds.extend(callers.map(|fd: BorrowedFd<'_>| PollFd::from_borrowed_fd(fd, IN)));
        // Interrupted or not: all is looked at.
        let _ = poll(&mut fds, Some(&timeout));
        self.servers.iter_mut().for_each(Server::flush);
    }

    /// What one of the serving processes says next.
    fn hear(&mut self) -> Option<(usize, (Report, Vec<std::os::fd::OwnedFd>))> {
        let mut servers = self.servers.iter_mut().enumerate();
        servers.find_map(|(at, server)| server.hear().map(|heard| (at, heard)))
    }

    /// Whether a serving process is there or on its way. One that has a new binary to prove may
    /// never be.
    fn is_served(&self) -> bool {
        self.servers.iter().any(|server| match server.stage {
            Stage::Serving => true,
            Stage::Starting => !self.is_upgrade(server),
            Stage::Leaving => false,
        })
    }

    fn end(mut self, exit: Exit) -> Exit {
        self.kept.close();
        if let Some(control) = &self.control {
            control.close();
        }
        exit
    }
}

/// Something to read.
const IN: PollFlags = PollFlags::IN;
