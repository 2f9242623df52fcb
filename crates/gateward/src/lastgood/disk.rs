//! The few steps by which a file comes to stand on disk, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A disk. Tests have one that fails at any step.
pub trait Disk {
    /// Makes a file that only its owner reads, with these bytes, in place of what stood there.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// What was written to a file is on the medium once this returns.
    fn sync(&mut self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, in one step.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// The machine's disk.
#[derive(Debug)]
pub struct Machine;

impl Disk for Machine {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(path)?.write_all(bytes)
    }

    fn sync(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// Writes `bytes` to `path`: under another name first, then on the medium, then under its own, then
/// its name on the medium.
///
/// # Errors
/// The disk is full, read-only, gone; then `path` is what it was.
pub fn put(disk: &mut dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let unfinished = path.with_extension("new");
    let written = disk
        .write(&unfinished, bytes)
        .and_then(|()| disk.sync(&unfinished))
        .and_then(|()| disk.rename(&unfinished, path));
    if let Err(error) = written {
        // On a full disk it would be in the way of the next try.
        let _ = disk.remove(&unfinished);
        return Err(error);
    }
    disk.sync(folder)
}
