//! Where the supervisor takes orders from `gateward upgrade`: a Unix socket in the state directory.
//! One line of JSON each way. Only its owner may connect; and as long as it answers, nobody else
//! uses the directory.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;
use serde::{Deserialize, Serialize};

/// The socket's name.
const NAME: &str = "control.sock";

/// Bytes of an order.
const ORDER_MAX: usize = 4096;

/// Who may wait at once.
const CALLERS_MAX: usize = 16;

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Go on by the binary that stands on disk now.
    Upgrade {
        /// Cores to use from then on; as before if none.
        workers: Option<u16>,
    },
}

/// What came of it: something to tell, either way.
pub type Answer = Result<String, String>;

/// The socket.
pub struct Control {
    listening: UnixListener,
    path: PathBuf,
    callers: Vec<Caller>,
}

/// Somebody who asks.
pub struct Caller {
    stream: UnixStream,
    said: Vec<u8>,
}

impl Control {
    /// Opens it in this directory.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`]: another supervisor uses the directory. Or it can't be written to.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        if UnixStream::connect(&path).is_ok() {
            return Err(ErrorKind::AddrInUse.into());
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // From its first moment on, its owner's alone. No other thread makes files meanwhile: there
        // is none.
        let before = umask(Mode::RWXG | Mode::RWXO);
        let listening = UnixListener::bind(&path);
        umask(before);
        Self::over(listening?.into(), directory)
    }

    /// The one that was opened in this directory before.
    ///
    /// # Errors
    /// It is no socket.
    pub fn over(listening: OwnedFd, directory: &Path) -> io::Result<Self> {
        let listening = UnixListener::from(listening);
        listening.set_nonblocking(true)?;
        Ok(Self { listening, path: directory.join(NAME), callers: Vec::new() })
    }

    /// What to wait for.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let callers = self.callers.iter().map(|caller| caller.stream.as_fd());
        std::iter::once(self.listening.as_fd()).chain(callers)
    }

    /// The socket that takes callers in.
    pub fn listening(&self) -> BorrowedFd<'_> {
        self.listening.as_fd()
    }

    /// The next order that came, and who gave it.
    pub fn next(&mut self) -> Option<(Asked, Caller)> {
        while let Ok((stream, _)) = self.listening.accept() {
            if self.callers.len() < CALLERS_MAX && stream.set_nonblocking(true).is_ok() {
                self.callers.push(Caller { stream, said: Vec::new() });
            }
        }
        let mut at = 0;
        while let Some(caller) = self.callers.get_mut(at) {
            match caller.read() {
                None => at += 1,
                Some(said) => {
                    let mut caller = self.callers.swap_remove(at);
                    match said {
                        Ok(asked) => return Some((asked, caller)),
                        Err(error) => caller.answer(&Err(format!("not understood: {error}"))),
                    }
                }
            }
        }
        None
    }

    /// Removes the socket's file.
    pub fn close(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Caller {
    /// Somebody who waits for an answer since before this process became what it is.
    pub fn over(stream: OwnedFd) -> Self {
        Self { stream: stream.into(), said: Vec::new() }
    }

    /// The stream, for a supervisor that comes after this one.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn read(&mut self) -> Option<serde_json::Result<Asked>> {
        let mut some = [0; 512];
        loop {
            match self.stream.read(&mut some) {
                Ok(n) if n > 0 => self.said.extend(some.iter().take(n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                _ => return Some(serde_json::from_slice(&self.said)),
            }
            let ends = self.said.iter().position(|byte| *byte == b'\n');
            if ends.is_some() || self.said.len() > ORDER_MAX {
                let line = self.said.get(..ends.unwrap_or(0)).unwrap_or_default();
                return Some(serde_json::from_slice(line));
            }
        }
    }

    /// Answers. Who has left does not hear it.
    pub fn answer(&mut self, answer: &Answer) {
        let _ = self.stream.set_nonblocking(false);
        let mut line = serde_json::to_vec(answer).unwrap_or_default();
        line.push(b'\n');
        let _ = self.stream.write_all(&line);
    }
}

/// Asks the supervisor that uses this directory, and waits for its answer.
///
/// # Errors
/// Nobody answers there.
pub fn ask(directory: &Path, asked: &Asked) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(directory.join(NAME))?;
    let mut line = serde_json::to_vec(asked)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(control: &Control) {
        let fds: Vec<_> = control.fds().collect();
        let mut polled: Vec<_> = fds
            .iter()
            .map(|fd| rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN))
            .collect();
        rustix::event::poll(&mut polled, None).unwrap();
    }

    #[test]
    fn an_order_is_taken_and_answered_and_nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut control = Control::open(dir.path()).unwrap();
        let path = dir.path().to_owned();
        let asks = std::thread::spawn(move || {
            let mut stream = UnixStream::connect(path.join(NAME)).unwrap();
            stream.write_all(b"open the gate\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            (answer, ask(&path, &Asked::Upgrade { workers: Some(3) }).unwrap())
        });
        let (asked, mut caller) = loop {
            wait(&control);
            if let Some(next) = control.next() {
                break next;
            }
        };
        let Asked::Upgrade { workers } = asked;
        assert_eq!(workers, Some(3));
        caller.answer(&Err("no".into()));
        drop(caller);
        let (refused, answer) = asks.join().unwrap();
        assert!(refused.contains("not understood"), "{refused}");
        assert_eq!(answer, Err("no".into()));
    }

    #[test]
    fn a_directory_has_one_supervisor_and_leftovers_give_way() {
        let dir = tempfile::tempdir().unwrap();
        let first = Control::open(dir.path()).unwrap();
        let error = Control::open(dir.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(first);
        assert!(Control::open(dir.path()).is_ok(), "a leftover");
    }
}
