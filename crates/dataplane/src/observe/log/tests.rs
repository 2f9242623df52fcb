//! The writer against real files, full disks, pipes nobody reads.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::mpsc;

use policy::Carry;

use super::*;
use crate::observe::testing::{DOCUMENT, compile_with};

/// Longer than any of this takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(20);

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gateward-log-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A snapshot whose access logs go to these files.
fn snapshot(carry: &Carry, files: &[&PathBuf]) -> Arc<Snapshot> {
    let policies: Vec<_> = files
        .iter()
        .map(|file| format!("  - access_log: {{ to: {{ file: '{}' }} }}\n", file.display()))
        .collect();
    compile_with(&format!("{DOCUMENT}policies:\n{}", policies.concat()), carry)
}

fn line(target: &LogTarget, text: &str) {
    target.line(0, |out| {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    });
}

#[test]
fn lines_are_appended_in_their_order_and_written_before_a_flush_returns() {
    let folder = Folder::new("order");
    let file = folder.file("a.log");
    fs::write(&file, "before\n").unwrap();
    let snapshot = snapshot(&Carry::default(), &[&file]);
    let logs = Logs::default();
    let held = logs.follow(&snapshot).unwrap();
    (0..3).for_each(|n| line(&snapshot.log_targets[0], &format!("line {n}")));
    assert!(logs.flush(LONG));
    assert_eq!(fs::read_to_string(&file).unwrap(), "before\nline 0\nline 1\nline 2\n");
    drop(held);
}

#[test]
fn a_file_that_was_moved_away_is_opened_again() {
    let folder = Folder::new("rotate");
    let (file, old) = (folder.file("a.log"), folder.file("a.log.1"));
    let snapshot = snapshot(&Carry::default(), &[&file]);
    let logs = Logs::default();
    let _held = logs.follow(&snapshot).unwrap();
    line(&snapshot.log_targets[0], "one");
    assert!(logs.flush(LONG));
    fs::rename(&file, &old).unwrap();
    line(&snapshot.log_targets[0], "two");
    logs.reopen();
    assert!(logs.flush(LONG));
    line(&snapshot.log_targets[0], "three");
    assert!(logs.flush(LONG));
    assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n", "what was logged before");
    assert_eq!(fs::read_to_string(&file).unwrap(), "three\n");
}

#[test]
fn a_move_is_seen_without_being_told() {
    let folder = Folder::new("moved");
    let file = folder.file("a.log");
    let sink = Sink::open(&LogDestination::File(file.clone())).unwrap();
    assert!(!sink.moved());
    fs::rename(&file, folder.file("b.log")).unwrap();
    assert!(sink.moved(), "gone");
    fs::write(&file, "").unwrap();
    assert!(sink.moved(), "another one");
    assert!(!Sink::open(&LogDestination::Stderr).unwrap().moved());
}

#[test]
fn what_can_not_be_opened_is_said_at_once_and_nothing_is_begun() {
    let folder = Folder::new("unopened");
    let (good, bad) = (folder.file("good.log"), folder.file("none/bad.log"));
    let snapshot = snapshot(&Carry::default(), &[&good, &bad, &folder.0]);
    let logs = Logs::default();
    let problems = logs.follow(&snapshot).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let expected = format!("create the folder {} or name another", folder.0.join("none").display());
    assert!(problems[0].contains(&expected), "{}", problems[0]);
    assert!(problems[1].ends_with("; name a file"), "{}", problems[1]);
    assert!(logs.all().is_empty());
}

#[test]
fn a_pipe_nobody_reads_is_a_problem_and_not_a_start_that_hangs() {
    let folder = Folder::new("fifo");
    let pipe = fifo(&folder, "pipe");
    let problems = Logs::default().follow(&snapshot(&Carry::default(), &[&pipe])).unwrap_err();
    assert!(problems[0].contains("start its reader first"), "{problems:?}");
}

fn fifo(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.file(name);
    let text = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a string that ends in zero.
    assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
    path
}

#[test]
fn a_full_disk_loses_lines_counts_them_and_goes_on() {
    let snapshot = snapshot(&Carry::default(), &[&PathBuf::from("/dev/full")]);
    let logs = Logs::default();
    let _held = logs.follow(&snapshot).unwrap();
    let target = &snapshot.log_targets[0];
    for round in 1..=2 {
        (0..5).for_each(|_| line(target, "lost"));
        assert!(logs.flush(LONG));
        assert_eq!(target.dropped(), 5 * round);
    }
}

#[test]
fn a_reader_that_hangs_holds_up_neither_cores_nor_other_logs() {
    let folder = Folder::new("hang");
    let (pipe, file) = (fifo(&folder, "pipe"), folder.file("a.log"));
    // Opened, and never read from.
    let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).unwrap();
    let snapshot = snapshot(&Carry::default(), &[&pipe, &file]);
    let logs = Logs::default();
    let held = logs.follow(&snapshot).unwrap();
    let [hanging, other] = &snapshot.log_targets[..] else { panic!("two targets") };
    let long = "x".repeat(64 << 10);
    // A pipe holds 64 KiB, the writer a shard and the target another.
    (0..64).for_each(|_| line(hanging, &long));
    assert!(hanging.dropped() > 0, "what outgrows the bound is dropped");
    line(other, "alive");
    let (done, wait) = mpsc::sync_channel(1);
    let writer = held.iter().find(|writer| Arc::ptr_eq(&writer.target, other)).unwrap();
    writer.orders.send(Order::Flush(done)).unwrap();
    wait.recv_timeout(LONG).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "alive\n");
    assert!(!logs.flush(Duration::ZERO), "a flush has an end too");
    drop(reader);
}

#[test]
fn a_writer_stays_over_reloads_and_ends_with_its_last_snapshot() {
    let folder = Folder::new("reload");
    let file = folder.file("a.log");
    let carry = Carry::default();
    let logs = Logs::default();
    let (first, second) = (snapshot(&carry, &[&file]), snapshot(&carry, &[&file]));
    let old = logs.follow(&first).unwrap();
    let new = logs.follow(&second).unwrap();
    assert!(Arc::ptr_eq(&old[0], &new[0]));
    line(&first.log_targets[0], "the last words");
    drop((old, new, first, second));
    assert!(logs.flush(LONG));
    assert!(logs.all().is_empty());
    assert_eq!(fs::read_to_string(&file).unwrap(), "the last words\n");
}

#[test]
fn a_line_cut_short_by_a_failure_does_not_spoil_the_next() {
    let folder = Folder::new("torn");
    let file = folder.file("a.log");
    let mut sink = Sink::open(&LogDestination::File(file.clone())).unwrap();
    sink.some(b"half a li").unwrap();
    let (lost, _) = sink.lost(b"half a line\nb\n", b"ne\nb\n", io::ErrorKind::StorageFull.into());
    assert_eq!(lost, 2);
    sink.write(b"whole\n").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "half a li\nwhole\n");
}
