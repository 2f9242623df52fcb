#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, Disk};
use super::store::{Part, Saved, Store, seal};

fn copy(text: &str) -> Saved {
    let path = PathBuf::from("/etc/gateward.yaml");
    Saved { by: "0.0.0".into(), files: vec![Part { path, text: text.into() }] }
}

fn texts(store: &Store) -> Vec<String> {
    store.kept().into_iter().map(|mut copy| copy.files.remove(0).text).collect()
}

/// A disk that stops at one step, as a process does that is killed there: nothing after it happens.
struct Dying {
    /// Steps until then.
    left: usize,
    /// Bytes of the write it dies in that were written.
    written: usize,
}

impl Dying {
    fn step(&mut self) -> io::Result<()> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

impl Disk for Dying {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.step() {
            disk::Machine.write(path, &bytes[..self.written.min(bytes.len())])?;
            return Err(error);
        }
        disk::Machine.write(path, bytes)
    }

    fn sync(&mut self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| disk::Machine.sync(path))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| disk::Machine.rename(from, to))
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| disk::Machine.remove(path))
    }
}

/// A process killed at any step of writing a document, and at any byte of it, leaves the document
/// before or the new one as the current one, whole, and the store goes on from there.
///
/// Seen to fail: with the bytes written under the file's own name at once, one that is not whole
/// stands there.
#[test]
fn fa_J12_a_write_that_is_cut_off_at_any_point_leaves_a_whole_document() {
    let bytes = seal(&copy("three")).unwrap().len();
    let points = (0..bytes).step_by(bytes.div_ceil(200).max(1)).map(|written| (0, written));
    let mut found = [0; 2];
    for (left, written) in points.chain((1..=6).map(|left| (left, 0))) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        for text in ["one", "two"] {
            store.put(&mut disk::Machine, &copy(text)).unwrap();
        }
        let died = store.put(&mut Dying { left, written }, &copy("three"));
        let kept = texts(&store);
        let files = fs::read_dir(dir.path()).unwrap().flatten();
        let names = files.map(|entry| entry.file_name().into_string().unwrap());
        let good = names.filter(|name| name.ends_with(".good")).count();
        assert_eq!(kept.len(), good, "step {left}, byte {written}: one is not whole");
        match kept[0].as_str() {
            "two" => found[0] += 1,
            "three" => found[1] += 1,
            other => panic!("step {left}, byte {written}: {other}"),
        }
        assert!(kept.contains(&"two".to_owned()), "step {left}, byte {written}: {kept:?}");
        assert_eq!(died.is_ok(), left >= 5, "{died:?}");
        store.put(&mut disk::Machine, &copy("four")).unwrap();
        assert_eq!(texts(&store)[0], "four");
    }
    assert!(found.iter().all(|times| *times > 0), "{found:?}");
}

/// A damaged current document is passed over for the one before it; damage anywhere in it is seen.
///
/// Seen to fail: without the comparison of digests, a document with one letter changed is taken.
#[test]
fn fa_J12_a_damaged_document_is_passed_over_for_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    for text in ["one", "two"] {
        store.put(&mut disk::Machine, &copy(text)).unwrap();
    }
    let path = store.path(2);
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert_eq!(texts(&store), ["one"], "byte {at}");
    }
    for length in [0, 1, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert_eq!(texts(&store), ["one"], "{length} bytes");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(texts(&store), ["two", "one"]);
}

/// A document stored by a version with another format is refused with that reason, and stays.
///
/// Seen to fail: without the check of the format, the reason is "it is damaged".
#[test]
fn fa_J19_a_document_of_another_format_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.put(&mut disk::Machine, &copy("one")).unwrap();
    let newer = store.path(2);
    fs::write(&newer, "gateward-document 2 of a kind nobody knows yet").unwrap();
    let error = store.read(2).unwrap_err();
    assert!(error.to_string().contains("does not know"), "{error}");
    assert_eq!(texts(&store), ["one"]);
    store.put(&mut disk::Machine, &copy("three")).unwrap();
    assert!(newer.exists(), "what can't be read is not this version's to remove");
    assert_eq!(texts(&store), ["three", "one"]);
}

#[test]
fn the_last_two_are_kept_and_the_same_one_is_not_kept_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    for text in ["one", "two", "two", "three", "three"] {
        store.put(&mut disk::Machine, &copy(text)).unwrap();
    }
    assert_eq!(texts(&store), ["three", "two"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
