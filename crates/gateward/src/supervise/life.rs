//! What the supervisor does about signals, about what serving processes say, and as time passes.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::control::{Asked, Caller};
use super::message::{Order, Place, Report};
use super::server::{Server, Stage};
use super::{LOOK, OVERTIME, Supervisor};

impl Supervisor {
    pub(super) fn signal(&mut self, signal: i32) {
        match signal {
            libc::SIGTERM | libc::SIGINT => self.stop(),
            libc::SIGQUIT => self.stop_at_once(),
            libc::SIGHUP => self.reload(),
            libc::SIGUSR2 => self.asked(Asked::Upgrade { workers: None }, None),
            // Children that ended are found by `bury`; the others mean nothing.
            _ => {}
        }
    }

    /// However often it is told to.
    fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(Instant::now());
        self.notify.stopping();
        self.refuse_upgrade("the gateway was told to stop");
        for server in &mut self.servers {
            match server.stage {
                Stage::Serving => server.tell(Order::Stop),
                Stage::Starting => server.kill(),
                Stage::Leaving => {}
            }
        }
    }

    fn stop_at_once(&mut self) {
        self.stopping = Some(Instant::now());
        for server in &mut self.servers {
            server.why = Some("stopped at once, as told".into());
            server.kill();
        }
    }

    fn reload(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.notify.reloading();
        if !self.is_served() {
            // The next one reads the document anyway.
            self.notify.ready("starting");
        }
        // One that starts may have read it already: it reads it again once it serves.
        for server in self.servers.iter_mut().filter(|server| server.stage != Stage::Leaving) {
            server.tell(Order::Reload);
        }
    }

    /// Takes what a serving process says.
    pub(super) fn report(&mut self, at: usize, (report, sockets): (Report, Vec<OwnedFd>)) {
        let Some(server) = self.servers.get_mut(at) else { return };
        match report {
            Report::Beat(pulses) => server.beat(&pulses),
            Report::Failed(why) => server.why = Some(why),
            Report::Reloaded => self.notify.ready("serving"),
            Report::Took { digest, revision } => {
                server.digest = Some(digest);
                self.revision = self.revision.max(revision + 1);
            }
            Report::Keep { place, first } => self.keep(at, place, sockets, first),
            Report::Release(place) => {
                if server.stage != Stage::Leaving {
                    self.kept.release(&place);
                }
                server.tell(Order::Released(place));
            }
            Report::Ready { format } => self.proven(at, format),
        }
    }

    /// Sockets of one that is still to prove itself are kept once it has.
    fn keep(&mut self, at: usize, place: Place, sockets: Vec<OwnedFd>, first: bool) {
        let Some(server) = self.servers.get_mut(at) else { return };
        match server.stage {
            Stage::Serving => self.kept.keep(place, sockets, first),
            Stage::Starting => server.staged.entry(place).or_default().extend(sockets),
            Stage::Leaving => {}
        }
    }

    /// It has proved itself: it serves, and whoever served before leaves.
    fn proven(&mut self, at: usize, format: u32) {
        let Some(server) = self.servers.get_mut(at) else { return };
        server.enter(Stage::Serving);
        for (place, sockets) in std::mem::take(&mut server.staged) {
            self.kept.keep(place, sockets, true);
        }
        let pid = server.pid;
        tracing::info!(pid = server.number(), "a serving process is ready");
        self.served = true;
        for other in &mut self.servers {
            if other.pid != pid && other.stage == Stage::Serving {
                other.enter(Stage::Leaving);
                other.tell(Order::Leave);
            }
        }
        self.notify.ready("serving");
        if self.stopping.is_some() {
            // It was told to stop while it got ready.
            if let Some(server) = self.servers.get_mut(at) {
                server.tell(Order::Stop);
            }
        } else {
            self.upgraded(pid, format);
        }
    }

    /// Looks after those who live, once a second.
    pub(super) fn look(&mut self) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        self.notify.alive();
        let patience = Duration::from_secs(self.args.start_patience);
        let grace = Duration::from_secs(self.args.grace) + OVERTIME;
        let stopping = self.stopping;
        let lead = Duration::from_secs(self.args.lead);
        for server in &mut self.servers {
            match server.stage {
                Stage::Starting if server.since.elapsed() > patience => {
                    give_up(server, format!("it was not ready within {} s", patience.as_secs()));
                }
                Stage::Leaving if server.since.elapsed() > grace => {
                    give_up(server, "it did not end in time".into());
                }
                Stage::Serving => match stopping {
                    Some(since) if since.elapsed() > lead + grace => {
                        give_up(server, "it did not end in time".into());
                    }
                    Some(_) => {}
                    None => {
                        if let Some(stuck) = server.look() {
                            give_up(server, stuck);
                        }
                    }
                },
                _ => {}
            }
        }
    }

    /// Takes an order.
    pub(super) fn asked(&mut self, asked: Asked, caller: Option<Caller>) {
        let Asked::Upgrade { workers } = asked;
        self.begin_upgrade(workers, caller);
    }
}

fn give_up(server: &mut Server, why: String) {
    if server.why.is_none() || server.stage == Stage::Starting {
        tracing::error!(pid = server.number(), "a serving process is ended: {why}");
        server.why = Some(why);
    }
    server.kill();
}
