//! From one binary to the next, without a moment in which nobody serves.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::Supervisor;
use super::control::{self, Answer, Asked, Caller};
use super::resume::FORMAT;
use super::server::{Server, Stage};
use crate::cli::{Exit, UpgradeArgs};
use crate::run::fail;
use crate::state;

/// Where the binary stands on disk.
#[derive(Debug)]
pub struct Program(PathBuf);

/// Which file stands there: another one, another identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64, i64, i64);

/// An upgrade that is under way.
pub struct Upgrade {
    /// The serving process that is to prove the new binary.
    pid: Pid,
    binary: Option<Identity>,
    workers: Option<u16>,
    caller: Option<Caller>,
}

impl Program {
    /// The path this process was started by, not the file that path led to: a link may be turned.
    pub fn find() -> Self {
        let said = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
        let current = || std::env::current_exe().unwrap_or_default();
        let path = if said.components().count() > 1 {
            std::path::absolute(&said).ok()
        } else {
            let paths = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&paths).map(|path| path.join(&said)).find(|path| path.is_file())
        };
        Self(path.filter(|path| path.is_file()).unwrap_or_else(current))
    }

    /// One that was found before.
    pub fn known(path: PathBuf) -> Self {
        Self(path)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn identity(&self) -> Option<Identity> {
        let found = fs::metadata(&self.0).ok()?;
        Some(Identity(found.dev(), found.ino(), found.mtime(), found.mtime_nsec()))
    }
}

/// The arguments of a serving process: this process's own, with the workers of an upgrade in place
/// of those it was started with.
pub fn arguments(workers: Option<u16>) -> Vec<OsString> {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    args.retain(|arg| !arg.as_encoded_bytes().starts_with(b"--resume="));
    if let Some(workers) = workers {
        drop_workers(&mut args);
        args.push(format!("--workers={workers}").into());
    }
    args
}

fn drop_workers(args: &mut Vec<OsString>) {
    let mut value = false;
    args.retain(|arg| {
        let text = arg.as_encoded_bytes();
        let flag = arg == OsStr::new("--workers") || arg == OsStr::new("-w");
        let whole = text.starts_with(b"--workers=")
            || (text.starts_with(b"-w") && !text.starts_with(b"--"));
        let drop = value || whole || flag;
        value = flag && !value;
        !drop
    });
}

impl Supervisor {
    pub(super) fn begin_upgrade(&mut self, workers: Option<u16>, caller: Option<Caller>) {
        match self.start_new(workers) {
            Ok(upgrade) => self.upgrade = Some(Upgrade { caller, ..upgrade }),
            Err(why) => answer(caller, Err(why)),
        }
    }

    /// Starts the binary that stands on disk beside the one that serves.
    fn start_new(&mut self, workers: Option<u16>) -> Result<Upgrade, String> {
        if self.stopping.is_some() {
            return Err("the gateway is stopping".into());
        }
        if self.upgrade.is_some() {
            return Err("an upgrade is under way".into());
        }
        if !self.servers.iter().any(|server| server.stage == Stage::Serving) {
            return Err("no process serves now: try again when one does".into());
        }
        let binary = self.program.identity();
        let workers = workers.or(self.args.workers);
        let path = self.program.path().to_owned();
        let pid = self
            .start(&path, workers)
            .map_err(|error| format!("{} can't be started: {error}", path.display()))?;
        tracing::info!(pid = pid.as_raw_nonzero(), "upgrading: the new binary was started");
        Ok(Upgrade { pid, binary, workers, caller: None })
    }

    /// Whether this is the process that is to prove a new binary.
    pub(super) fn is_upgrade(&self, server: &Server) -> bool {
        self.upgrade.as_ref().is_some_and(|upgrade| upgrade.pid == server.pid)
    }

    /// The upgrade has failed; who serves goes on.
    pub(super) fn refuse_upgrade(&mut self, why: &str) {
        if let Some(upgrade) = self.upgrade.take() {
            answer(upgrade.caller, Err(why.to_owned()));
        }
    }

    /// A process is ready. If it is the upgrade's, the new binary has proved itself, and this
    /// process becomes it as well.
    pub(super) fn upgraded(&mut self, pid: Pid, format: u32) {
        let Some(upgrade) = self.upgrade.take_if(|upgrade| upgrade.pid == pid) else { return };
        self.args.workers = upgrade.workers;
        let same = upgrade.binary.is_some() && upgrade.binary == self.program.identity();
        let stays = if !same {
            Some("it was replaced again meanwhile".into())
        } else if format != FORMAT {
            Some(format!("it takes over format {format}, this is {FORMAT}"))
        } else {
            // Does not return where it succeeds.
            self.become_new(upgrade.caller.as_ref()).err().map(|error| error.to_string())
        };
        let stays = stays.unwrap_or_default();
        tracing::warn!("the supervisor stays what it was, the serving process is new: {stays}");
        answer(upgrade.caller, Ok(format!("process {} serves", pid.as_raw_nonzero())));
    }
}

/// Says what came of an upgrade, in the log and to who asked.
pub(super) fn answer(caller: Option<Caller>, answer: Answer) {
    match &answer {
        Ok(done) => tracing::info!("upgraded: {done}"),
        Err(why) => tracing::error!("not upgraded, what served goes on serving: {why}"),
    }
    if let Some(mut caller) = caller {
        caller.answer(&answer);
    }
}

/// `gateward upgrade`.
pub fn upgrade(args: &UpgradeArgs) -> Exit {
    let Some(directory) = state::directory(&args.state, &args.config) else {
        return fail("there is no state directory: name the gateway's with --state");
    };
    match control::ask(&directory, &Asked::Upgrade { workers: args.workers }) {
        Ok(Ok(done)) => {
            println!("upgraded: {done}");
            Exit::Done
        }
        Ok(Err(why)) => fail(&format!("not upgraded, what served goes on serving: {why}")),
        Err(error) => fail(&format!(
            "no gateway answers in {}: {error}; name its state directory with --state, or its document \
             with --config",
            directory.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_of_the_command_line_give_way() {
        let given =
            ["run", "--workers", "2", "-c", "x", "-w", "3", "-w4", "--workers=5", "--quiet"];
        let mut args: Vec<OsString> = given.iter().map(OsString::from).collect();
        drop_workers(&mut args);
        assert_eq!(args, ["run", "-c", "x", "--quiet"]);
    }
}
