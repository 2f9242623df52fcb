//! The supervisor becomes another binary: what it has goes through `exec`, as descriptors that stay
//! open and a description of them. Its number stays, so that nobody who watches it need be told.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::Supervisor;
use super::control::{Caller, Control};
use super::crashes::Crashes;
use super::link::Link;
use super::message::{Place, Told};
use super::server::{Server, Stage};
use super::upgrade::{Program, answer, arguments};

/// The format of [`State`]. A serving process says which one its build takes over; a supervisor
/// becomes no binary that takes another.
pub const FORMAT: u32 = 1;

/// What goes over. Numbers of descriptors are the same before and after.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    kept: Vec<(Place, Vec<RawFd>)>,
    servers: Vec<Heir>,
    control: Option<RawFd>,
    caller: Option<RawFd>,
    program: PathBuf,
    workers: Option<u16>,
    avoid: Vec<String>,
    told: Told,
    revision: u64,
}

/// A serving process that goes over.
#[derive(Debug, Serialize, Deserialize)]
struct Heir {
    pid: i32,
    link: RawFd,
    stage: Stage,
    digest: Option<String>,
}

impl Supervisor {
    /// Becomes the binary that stands on disk. Returns only if that fails, and then nothing has
    /// changed.
    pub(super) fn become_new(&mut self, caller: Option<&Caller>) -> io::Result<()> {
        let mut all: Vec<BorrowedFd<'_>> = Vec::new();
        let mut number = |fd| {
            all.push(fd);
            fd.as_raw_fd()
        };
        let heir = |server: &Server, link| Heir {
            pid: server.number(),
            link,
            stage: server.stage,
            digest: server.digest.clone(),
        };
        let state = State {
            kept: self
                .kept
                .all()
                .map(|(place, fds)| {
                    (place.clone(), fds.iter().map(|fd| number(fd.as_fd())).collect())
                })
                .collect(),
            servers: self.servers.iter().map(|one| heir(one, number(one.link().as_fd()))).collect(),
            control: self.control.as_ref().map(|control| number(control.listening())),
            caller: caller.map(|caller| number(caller.fd())),
            program: self.program.path().to_owned(),
            workers: self.args.workers,
            avoid: self.crashes.avoid().to_vec(),
            told: self.told.clone(),
            revision: self.revision,
        };
        let mut file = File::from(memfd_create("gateward-state", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(&state)?)?;
        file.seek(SeekFrom::Start(0))?;
        all.push(file.as_fd());
        all.iter().try_for_each(|fd| fcntl_setfd(fd, FdFlags::empty()))?;
        let error = exec(&self.program, file.as_raw_fd());
        for fd in all {
            fcntl_setfd(fd, FdFlags::CLOEXEC)?;
        }
        Err(error)
    }

    /// Goes on with what the supervisor before had.
    pub(super) fn resume(&mut self, fd: RawFd) -> Result<(), String> {
        let wrong = |error: &dyn std::fmt::Display| format!("can't take over: {error}");
        let mut text = Vec::new();
        let mut file = File::from(owned(fd));
        file.read_to_end(&mut text).map_err(|error| wrong(&error))?;
        let state: State = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
        for (place, fds) in state.kept {
            self.kept.keep(place, fds.into_iter().map(owned).collect(), true);
        }
        for heir in state.servers {
            let link = Link::from(owned(heir.link));
            let Some(pid) = Pid::from_raw(heir.pid) else { continue };
            let mut server = Server::new(pid, link, heir.stage);
            server.digest = heir.digest;
            self.servers.push(server);
        }
        if let (Some(fd), Some(directory)) = (state.control, &self.directory) {
            let control = Control::over(owned(fd), directory).map_err(|error| wrong(&error))?;
            self.control = Some(control);
        }
        self.program = Program::known(state.program);
        self.args.workers = state.workers;
        self.crashes = Crashes::avoiding(state.avoid);
        self.told = state.told;
        self.revision = state.revision;
        self.served = true;
        let serving = self.servers.iter().find(|server| server.stage == Stage::Serving);
        let serves = serving.map_or(0, Server::number);
        let done = format!("version {}, process {serves} serves", env!("CARGO_PKG_VERSION"));
        answer(state.caller.map(owned).map(Caller::over), Ok(done));
        Ok(())
    }
}

/// A descriptor that came through `exec`; it goes no further.
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the supervisor before kept it open for this process alone, and named it once.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let _ = fcntl_setfd(&fd, FdFlags::CLOEXEC);
    fd
}

/// Becomes `program`; what comes back is why not. Not by `std`, which would let signals through
/// that are to wait.
fn exec(program: &Program, state: RawFd) -> io::Error {
    let mut args = vec![program.path().as_os_str().to_owned()];
    args.extend(arguments(None));
    args.push(format!("--resume={state}").into());
    let texts: Result<Vec<CString>, _> =
        args.into_iter().map(|arg| CString::new(arg.into_vec())).collect();
    let Ok(texts) = texts else { return io::ErrorKind::InvalidInput.into() };
    let mut pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let Some(path) = texts.first() else { return io::ErrorKind::InvalidInput.into() };
    // SAFETY: every pointer is of a text that outlives the call, and the last one is null.
    unsafe { libc::execv(path.as_ptr(), pointers.as_ptr()) };
    io::Error::last_os_error()
}
