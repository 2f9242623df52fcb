//! What systemd says and wants to hear: sockets it opened (`sd_listen_fds(3)`), and how the service
//! is doing (`sd_notify(3)`). Without systemd, nothing of this does anything.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dataplane::{Keeper, Pulse, Role};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::time::{ClockId, clock_gettime};
use snapshot::Bind;
use socket2::SockRef;

use crate::supervise::{Place, Purpose};

/// The first descriptor that systemd hands over.
const FIRST: i32 = 3;

/// Where systemd hears how the service is doing.
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// Time between two signs of life, where it wants them, and the last one.
    watchdog: Option<(Duration, Instant)>,
}

impl Notify {
    /// As the environment says.
    pub fn new() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let bytes = name.as_encoded_bytes();
            match bytes.strip_prefix(b"@") {
                Some(hidden) => SocketAddr::from_abstract_name(hidden).ok(),
                None => SocketAddr::from_pathname(&name).ok(),
            }
        });
        let to = address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address)));
        let own = std::env::var("WATCHDOG_PID").map_or(true, |pid| is_own(&pid));
        let every = std::env::var("WATCHDOG_USEC").ok().and_then(|usec| usec.parse().ok());
        let every = every.filter(|_| own).map(|usec| Duration::from_micros(usec) / 3);
        Self { to, watchdog: every.map(|every| (every, Instant::now())) }
    }

    /// Traffic is carried. `status`: more, for people.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// A document is read again.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={usec}\nSTATUS=reloading"));
    }

    /// It stops.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=stopping");
    }

    /// It lives; told as often as is wanted.
    pub fn alive(&mut self) {
        let Some((every, last)) = &mut self.watchdog else { return };
        if last.elapsed() >= *every {
            *last = Instant::now();
            self.say("WATCHDOG=1");
        }
    }

    /// Shows on a thread of its own that this process lives, for as long as all its cores do, where
    /// that is wanted: for a gateway without a supervisor.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn keep_alive(mut self, pulse: Pulse) -> io::Result<()> {
        let Some((every, _)) = self.watchdog else { return Ok(()) };
        let mut before = pulse.read();
        let watch = move || {
            loop {
                std::thread::sleep(every);
                let now = pulse.read();
                if now.iter().zip(&before).all(|(now, before)| now != before) {
                    self.alive();
                }
                before = now;
            }
        };
        std::thread::Builder::new().name("gateward-pulse".into()).spawn(watch).map(drop)
    }

    fn say(&self, what: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            tracing::debug!(%error, "systemd does not hear");
        }
    }
}

/// The listening sockets that systemd opened, each with where it stands. To be asked once.
pub fn sockets() -> Vec<(Place, OwnedFd)> {
    let own = std::env::var("LISTEN_PID").is_ok_and(|pid| is_own(&pid));
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok());
    let count: i32 = count.filter(|_| own).unwrap_or(0);
    let mut sockets = Vec::new();
    for number in (FIRST..).take(usize::try_from(count).unwrap_or(0)) {
        // SAFETY: nothing is done to it but to ask whether it is what it should be.
        let seen = unsafe { BorrowedFd::borrow_raw(number) };
        let Some(bind) = address(seen) else {
            tracing::warn!("systemd gave descriptor {number}, which is no listening socket");
            continue;
        };
        // SAFETY: a listening socket; this process has not opened any, so it is the one that
        // systemd opened for it, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        let _ = fcntl_setfd(&socket, FdFlags::CLOEXEC);
        sockets.push((Place { purpose: Purpose::Any, bind }, socket));
    }
    sockets
}

/// The sockets that systemd opened, for a gateway without a supervisor.
pub struct Given(Mutex<Vec<(Place, OwnedFd)>>);

impl Given {
    /// All of them.
    pub fn take() -> Self {
        Self(Mutex::new(sockets()))
    }
}

impl Keeper for Given {
    fn take(&self, _: Role, bind: &Bind) -> Vec<OwnedFd> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (bind, all) = (bind.to_string(), std::mem::take(&mut *given));
        let (wanted, others) = all.into_iter().partition(|(place, _)| place.bind == bind);
        *given = others;
        let wanted: Vec<(Place, OwnedFd)> = wanted;
        wanted.into_iter().map(|(_, socket)| socket).collect()
    }

    fn keep(&self, _: Role, _: &Bind, _: &[BorrowedFd<'_>]) {}

    fn release(&self, _: Role, _: &Bind) {}
}

/// Where a socket stands, as a document would say it.
fn address(socket: BorrowedFd<'_>) -> Option<String> {
    let socket = SockRef::from(&socket);
    let address = socket.local_addr().ok().filter(|_| socket.is_listener().unwrap_or(false))?;
    match address.as_socket() {
        Some(address) => Some(address.to_string()),
        None => Some(format!("unix:{}", address.as_pathname()?.display())),
    }
}

fn is_own(pid: &str) -> bool {
    pid.parse() == Ok(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn systemd_hears_what_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let hears = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        let address = SocketAddr::from_pathname(dir.path().join("notify")).unwrap();
        let to = Some((UnixDatagram::unbound().unwrap(), address));
        let mut notify = Notify { to, watchdog: Some((Duration::ZERO, Instant::now())) };
        let heard = || {
            let mut bytes = [0; 256];
            let length = hears.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        notify.ready("serving");
        assert_eq!(heard(), "READY=1\nSTATUS=serving");
        notify.reloading();
        assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        notify.alive();
        assert_eq!(heard(), "WATCHDOG=1");
        notify.stopping();
        assert!(heard().starts_with("STOPPING=1"));
    }

    #[test]
    fn a_socket_says_where_it_stands() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let expected = listening.local_addr().unwrap().to_string();
        assert_eq!(address(listening.as_fd()), Some(expected));
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(address(silent.as_fd()), None);
    }
}
