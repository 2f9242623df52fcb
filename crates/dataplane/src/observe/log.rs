//! Writes access logs: a thread per destination, so that one that hangs holds up neither traffic
//! nor the others.
//!
//! Cores add lines to a [`LogTarget`] and never wait; what the thread can't take away in time is
//! dropped there and counted. A destination that fails loses what was to be written to it, and that
//! is counted too.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use policy::{LogDestination, LogTarget};
use snapshot::Snapshot;

/// How often lines are taken away.
const TICK: Duration = Duration::from_millis(50);

/// Ticks between two looks whether a file was moved away.
const LOOK_EVERY: u32 = 20;

/// Time between two complaints about the same destination.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// All destinations that are written to.
#[derive(Default)]
pub(crate) struct Logs {
    writers: Mutex<Vec<Known>>,
}

/// A writer that was started.
struct Known {
    writer: Weak<Writer>,
    /// Disconnected once its thread has ended.
    ended: Receiver<()>,
}

/// The thread that writes to one destination. It writes what is left and ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    target: Arc<LogTarget>,
    orders: SyncSender<Order>,
}

enum Order {
    /// Write what is there, then answer.
    Flush(SyncSender<()>),
    /// Open the file again.
    Reopen,
}

impl Logs {
    /// Writers for all of a snapshot's targets; they write for as long as they are held. An error
    /// names every destination that can't be opened, and then nothing was begun.
    pub fn follow(&self, snapshot: &Snapshot) -> Result<Vec<Arc<Writer>>, Vec<String>> {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|known| known.ended.try_recv() != Err(TryRecvError::Disconnected));
        let known: Vec<_> = writers.iter().filter_map(|known| known.writer.upgrade()).collect();
        let mut held = Vec::new();
        let (mut sinks, mut started, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for target in &snapshot.log_targets {
            match known.iter().find(|writer| Arc::ptr_eq(&writer.target, target)) {
                Some(writer) => held.push(writer.clone()),
                None => match Sink::open(target.destination()) {
                    Ok(sink) => sinks.push((target.clone(), sink)),
                    Err(error) => problems.push(unopened(target.destination(), &error)),
                },
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for (target, sink) in sinks {
            match Writer::start(target.clone(), sink) {
                Ok((writer, ended)) => {
                    started.push(Known { writer: Arc::downgrade(&writer), ended });
                    held.push(writer);
                }
                Err(error) => problems.push(unopened(target.destination(), &error)),
            }
        }
        if problems.is_empty() {
            writers.extend(started);
            Ok(held)
        } else {
            Err(problems)
        }
    }

    /// Has every file opened again, as after a rotation.
    pub fn reopen(&self) {
        for writer in self.all() {
            // A writer with a full queue has orders enough: it looks for itself every second.
            let _ = writer.orders.try_send(Order::Reopen);
        }
    }

    /// Waits until what was logged before is written, but no longer than this. False if that was
    /// too short.
    pub fn flush(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let left = || until.saturating_duration_since(Instant::now());
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let asked: Vec<_> = writers
            .iter()
            .map(|known| {
                let (done, wait) = sync_channel(1);
                let writer = known.writer.upgrade();
                let sent = writer.is_some_and(|w| w.orders.try_send(Order::Flush(done)).is_ok());
                (known, sent.then_some(wait))
            })
            .collect();
        asked.into_iter().all(|(known, wait)| match wait {
            Some(wait) => wait.recv_timeout(left()).is_ok(),
            // Nobody logs there any more: what is left is written before the thread ends.
            None => known.ended.recv_timeout(left()) == Err(RecvTimeoutError::Disconnected),
        })
    }

    fn all(&self) -> Vec<Arc<Writer>> {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.iter().filter_map(|known| known.writer.upgrade()).collect()
    }
}

fn unopened(destination: &LogDestination, error: &io::Error) -> String {
    let hint = match (destination, error.kind()) {
        (LogDestination::File(path), io::ErrorKind::NotFound) => {
            let folder = path.parent().unwrap_or(Path::new("."));
            format!("; create the folder {} or name another file", folder.display())
        }
        (LogDestination::File(_), io::ErrorKind::PermissionDenied) => {
            "; let the gateway's user write there or name another file".to_owned()
        }
        (LogDestination::File(_), io::ErrorKind::IsADirectory) => "; name a file".to_owned(),
        (LogDestination::File(_), _) if error.raw_os_error() == Some(libc::ENXIO) => {
            "; it is a pipe that nobody reads: start its reader first".to_owned()
        }
        _ => String::new(),
    };
    format!("the access log {destination} can't be opened: {error}{hint}")
}

impl Writer {
    fn start(target: Arc<LogTarget>, sink: Sink) -> io::Result<(Arc<Self>, Receiver<()>)> {
        let (orders, received) = sync_channel(8);
        let (alive, ended) = sync_channel(0);
        let work = Work { target: target.clone(), sink, spare: Vec::new(), complained: None };
        let run = move || {
            work.run(&received);
            drop(alive);
        };
        thread::Builder::new().name("gateward-log".into()).spawn(run)?;
        Ok((Arc::new(Self { target, orders }), ended))
    }
}

/// What the thread works with.
struct Work {
    target: Arc<LogTarget>,
    sink: Sink,
    spare: Vec<u8>,
    complained: Option<Instant>,
}

impl Work {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut ticks = 0_u32;
        loop {
            match orders.recv_timeout(TICK) {
                Ok(Order::Flush(done)) => {
                    self.write();
                    // Whoever asked may have stopped waiting.
                    let _ = done.try_send(());
                }
                Ok(Order::Reopen) => self.reopen(),
                Err(RecvTimeoutError::Timeout) => {
                    ticks = ticks.wrapping_add(1);
                    if ticks.is_multiple_of(LOOK_EVERY) && self.sink.moved() {
                        self.reopen();
                    }
                    self.write();
                }
                Err(RecvTimeoutError::Disconnected) => return self.write(),
            }
        }
    }

    fn write(&mut self) {
        let Self { target, sink, spare, .. } = self;
        let mut failure = None;
        target.take(spare, |lines| {
            if let Err((lost, error)) = sink.write(lines) {
                target.count_dropped(lost);
                failure = Some(error);
            }
        });
        if let Some(error) = failure {
            self.complain("can't be written", &error);
        }
    }

    fn reopen(&mut self) {
        self.write();
        match Sink::open(self.target.destination()) {
            Ok(sink) => self.sink = sink,
            Err(error) => self.complain("can't be opened again", &error),
        }
    }

    fn complain(&mut self, what: &str, error: &io::Error) {
        let now = Instant::now();
        let lately = |last| now.saturating_duration_since(last) < COMPLAIN_EVERY;
        if self.complained.is_none_or(|last| !lately(last)) {
            self.complained = Some(now);
            let (destination, dropped) = (self.target.destination(), self.target.dropped());
            tracing::warn!(%destination, dropped, "the access log {what}: {error}");
        }
    }
}

/// An open destination.
struct Sink {
    out: Out,
    /// Whether the last write stopped within a line.
    torn: bool,
}

enum Out {
    Stdout,
    Stderr,
    File(File, PathBuf),
}

impl Sink {
    fn open(destination: &LogDestination) -> io::Result<Self> {
        let out = match destination {
            LogDestination::Stdout => Out::Stdout,
            LogDestination::Stderr => Out::Stderr,
            LogDestination::File(path) => {
                let mut options = File::options();
                options.append(true).create(true);
                // A named pipe nobody reads is an error at once, instead of a start that hangs.
                options.mode(0o640).custom_flags(libc::O_NONBLOCK);
                Out::File(options.open(path)?, path.clone())
            }
        };
        Ok(Self { out, torn: false })
    }

    /// Whether the path leads to another file by now, or to none.
    fn moved(&self) -> bool {
        let Out::File(file, path) = &self.out else { return false };
        let Ok(open) = file.metadata() else { return true };
        let there = std::fs::metadata(path);
        !there.is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino()))
    }

    /// Writes whole lines, or says how many of them were lost and why.
    fn write(&mut self, lines: &[u8]) -> Result<(), (u64, io::Error)> {
        let (mut rest, torn) = (lines, self.torn);
        if torn {
            self.some(b"\n").map_err(|error| (count_lines(lines), error))?;
            self.torn = false;
        }
        while !rest.is_empty() {
            match self.some(rest) {
                Ok(0) => return Err(self.lost(lines, rest, io::ErrorKind::WriteZero.into())),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A pipe that is full: this thread waits, and cores drop what outgrows their
                // shards.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(TICK),
                Err(error) => return Err(self.lost(lines, rest, error)),
            }
        }
        Ok(())
    }

    fn lost(&mut self, lines: &[u8], rest: &[u8], error: io::Error) -> (u64, io::Error) {
        let written = lines.len().saturating_sub(rest.len());
        self.torn =
            lines.get(..written).is_some_and(|done| done.last().is_some_and(|b| *b != b'\n'));
        (count_lines(rest), error)
    }

    fn some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Out::Stdout => flushed(io::stdout().lock(), bytes),
            Out::Stderr => flushed(io::stderr().lock(), bytes),
            Out::File(file, _) => file.write(bytes),
        }
    }
}

fn flushed(mut out: impl Write, bytes: &[u8]) -> io::Result<usize> {
    let written = out.write(bytes)?;
    out.flush()?;
    Ok(written)
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests;
