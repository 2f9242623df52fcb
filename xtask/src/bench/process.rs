//! Processes that end with us, whatever happens.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::machine::pin;
use crate::Result;

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);

/// How long a server may take to end before it is killed.
const END: Duration = Duration::from_secs(2);

/// A server that runs until this is dropped.
pub struct Server {
    child: Child,
    name: String,
}

/// Makes the command run on these cores only, and end when this process does, however that ends.
pub fn bound(command: &mut Command, cores: &[usize]) {
    let cores = cores.to_vec();
    // SAFETY: between fork and exec only system calls are made, no memory is allocated.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0 {
                return Err(io::Error::last_os_error());
            }
            pin(&cores)
        });
    }
}

impl Server {
    /// Starts it; what it says goes to `log`.
    pub fn start(name: &str, mut command: Command, cores: &[usize], log: &Path) -> Result<Self> {
        let log = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let second = log.try_clone().map_err(|error| error.to_string())?;
        bound(command.stdin(Stdio::null()).stdout(log).stderr(second), cores);
        let child = command.spawn().map_err(|error| format!("{name} did not start: {error}"))?;
        Ok(Self { child, name: name.into() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it accepts connections.
    pub fn listens(&mut self, address: SocketAddr, log: &Path) -> Result {
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                return Err(format!("{} does not listen at {address}: {said}", self.name));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: takes no pointer; the child has not been waited for, so the id is still its own.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(libc::SIGTERM);
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        // Its children are told by their own parent's death.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port nobody listens at now.
pub fn free_port() -> Result<u16> {
    let socket = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    socket.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

/// One request in plain HTTP/1.1 on a new connection: whether it is answered with 200.
pub fn answers(address: SocketAddr) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: bench.example\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(1 << 20).read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_ends_when_it_is_dropped_and_one_that_can_not_start_says_why() {
        let log = std::env::temp_dir().join(format!("xtask-process-{}", std::process::id()));
        let mut command = Command::new("sleep");
        command.arg("60");
        let server = Server::start("sleep", command, &[0], &log).unwrap();
        let pid = server.pid();
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());

        let mut command = Command::new("sh");
        command.args(["-c", "echo no such thing >&2; exit 3"]);
        let mut server = Server::start("sh", command, &[0], &log).unwrap();
        let address = ([127, 0, 0, 1], free_port().unwrap()).into();
        let error = server.listens(address, &log).unwrap_err();
        std::fs::remove_file(log).unwrap();
        assert!(error.contains("no such thing"), "{error}");
    }
}
