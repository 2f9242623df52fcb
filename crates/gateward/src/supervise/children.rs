//! Serving processes are started here, and buried.

use std::path::Path;
use std::time::Instant;

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use super::Supervisor;
use super::message::{Order, Report, Start};
use super::server::{Server, Stage};
use super::upgrade::arguments;
use crate::cli::Exit;

/// The binary this process runs, whatever has come to stand at its path since: what comes after a
/// crash is what ran before it. Another binary has to prove itself first.
const SAME: &str = "/proc/self/exe";

impl Supervisor {
    /// Starts a serving process where there is none, unless that has to wait.
    pub(super) fn keep_serving(&mut self) {
        if self.stopping.is_some() || self.is_served() || Instant::now() < self.start_at {
            return;
        }
        let started = self.start(Path::new(SAME), self.args.workers);
        if let Err(error) = started {
            tracing::error!("no serving process can be started: {error}");
            self.start_at = Instant::now() + super::LOOK;
        }
    }

    /// Starts a serving process by this binary.
    pub(super) fn start(&mut self, program: &Path, workers: Option<u16>) -> std::io::Result<Pid> {
        let mut server = Server::start(program, &arguments(workers))?;
        let mut all = self.kept.all();
        if let Err(error) = all.try_for_each(|(place, sockets)| server.hand_over(place, sockets)) {
            server.why = Some(format!("it could not be given the sockets: {error}"));
            server.kill();
        }
        server.tell(Order::Start(Start {
            cold: !self.served,
            replaces: self.servers.iter().any(|one| one.stage == Stage::Serving),
            revision: self.revision,
            avoid: self.crashes.avoid().to_vec(),
            told: self.told.clone(),
        }));
        tracing::debug!(pid = server.number(), "a serving process was started");
        let pid = server.pid;
        self.servers.push(server);
        Ok(pid)
    }

    /// Takes leave of those that have ended. Gives how this process is to end, once it is to.
    pub(super) fn bury(&mut self) -> Option<Exit> {
        let mut at = 0;
        while let Some(server) = self.servers.get(at) {
            match waitpid(Some(server.pid), WaitOptions::NOHANG) {
                Ok(None) | Err(rustix::io::Errno::INTR) => at += 1,
                ended => {
                    // What it said last counts: why it ended. Not that it is ready.
                    while let Some(heard) = self.servers.get_mut(at).and_then(Server::hear) {
                        if !matches!(heard.0, Report::Ready { .. }) {
                            self.report(at, heard);
                        }
                    }
                    let server = self.servers.swap_remove(at);
                    let status = ended.ok().flatten().map(|(_, status)| status);
                    if let Some(exit) = self.ended(server, status) {
                        return Some(exit);
                    }
                }
            }
        }
        let over = self.stopping.is_some() && self.servers.is_empty();
        over.then_some(Exit::Done)
    }

    /// What follows from the end of one.
    fn ended(&mut self, server: Server, status: Option<WaitStatus>) -> Option<Exit> {
        let code = status.and_then(WaitStatus::exit_status);
        let (pid, how) = (server.number(), how(&server, status));
        if self.stopping.is_some() {
            let last = self.servers.is_empty();
            let fine = code == Some(0) || server.stage == Stage::Starting;
            if !fine {
                tracing::error!(pid, "a serving process did not end in order: {how}");
            }
            return last.then_some(if fine { Exit::Done } else { Exit::Failed });
        }
        match server.stage {
            Stage::Leaving if code == Some(0) => {
                tracing::info!(pid, "the serving process before has ended");
            }
            Stage::Leaving => tracing::warn!(pid, "the serving process before: {how}"),
            Stage::Starting if self.is_upgrade(&server) => {
                self.refuse_upgrade(&format!("the new binary did not prove itself: {how}"));
            }
            // It said itself what is wrong.
            Stage::Starting if !self.served => return Some(Exit::of(code)),
            Stage::Starting | Stage::Serving => self.crashed(&server, &how),
        }
        None
    }

    fn crashed(&mut self, server: &Server, how: &str) {
        let verdict = self.crashes.note(server.crash(), Instant::now());
        // One that served and was given up by its supervisor was stuck.
        let stuck = server.stage == Stage::Serving && server.why.is_some();
        let count = if stuck { &mut self.told.stuck } else { &mut self.told.crashed };
        *count += 1;
        self.told.last = Some(format!("process {}: {how}", server.number()));
        self.start_at = Instant::now() + verdict.wait;
        tracing::error!(
            pid = server.number(),
            restarts = self.told.crashed + self.told.stuck,
            "a serving process ended: {how}; the next one starts {}",
            if verdict.wait.is_zero() { "now".into() } else { format!("in {:?}", verdict.wait) }
        );
        if verdict.condemned.is_some() {
            tracing::error!(
                "this document brought three serving processes down within a minute: the one before \
                 it is taken back until another is written"
            );
        }
    }
}

/// How it ended, in words.
fn how(server: &Server, status: Option<WaitStatus>) -> String {
    if let Some(why) = &server.why {
        return why.clone();
    }
    match status {
        None => "it is gone".into(),
        Some(status) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("it ended with exit code {code}"),
            (_, Some(signal)) => format!("it was ended by signal {signal}"),
            _ => "it ended".into(),
        },
    }
}
