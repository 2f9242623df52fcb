//! The store: a file for each of the last good documents, numbered; the highest number is the
//! current one, the next the one before it. A file is never changed, so that whatever happens on
//! the way, what was there is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use config::Written;
use serde::{Deserialize, Serialize};

use super::disk::{self, Disk};

/// Documents kept: the current one and the one before it.
const KEPT: usize = 2;

/// What a file starts with, before the digest of what follows. Another format has another number.
const MAGIC: &str = "gateward-document 1 ";

/// What files of any format start with.
const ANY: &str = "gateward-document ";

/// Bytes of a stored document; a document's own files are bounded below that.
const BYTES_MAX: u64 = 256 << 20;

/// A document as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The version that stored it.
    pub by: String,
    /// Its files, in the order they were read.
    pub files: Vec<Part>,
}

/// A file of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where it was read.
    pub path: PathBuf,
    /// What stood there.
    pub text: String,
}

/// Where the last good documents are kept.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Saved {
    /// A document that has just been taken.
    pub fn of(written: &Written) -> Self {
        let files = written.sources.iter();
        let files = files.map(|one| Part { path: one.path.clone(), text: one.text.clone() });
        Self { by: env!("CARGO_PKG_VERSION").into(), files: files.collect() }
    }
}

impl Store {
    /// The store in this state directory.
    pub fn new(directory: &Path) -> Self {
        Self { folder: directory.to_owned() }
    }

    /// Keeps a document that was taken, unless it is the current one already. A disk that can't be
    /// written to is said, and stops nothing.
    pub fn save(&self, written: &Written) {
        if let Err(error) = self.put(&mut disk::Machine, &Saved::of(written)) {
            let at = self.folder.display();
            tracing::error!(
                "the document runs, but is not kept as the last good one: {at}: {error}"
            );
        }
    }

    pub(super) fn put(&self, disk: &mut dyn Disk, copy: &Saved) -> io::Result<()> {
        let kept = self.numbers();
        if let Some(current) = kept.first()
            && self.read(*current).is_ok_and(|current| current.files == copy.files)
        {
            return Ok(());
        }
        let bytes = seal(copy)?;
        let next = kept.first().map_or(1, |current| current + 1);
        disk::put(disk, &self.path(next), &bytes)?;
        // What can't be read is left for whoever wants to know why.
        let good = kept.into_iter().filter(|number| self.read(*number).is_ok());
        for old in good.skip(KEPT - 1) {
            disk.remove(&self.path(old))?;
        }
        Ok(())
    }

    /// Keeps a document no longer: it brought serving processes down, and the one before it must
    /// not give way to the next for its sake.
    pub fn forget(&self, saved: &Saved) {
        let mut numbers = self.numbers();
        numbers.retain(|number| self.read(*number).is_ok_and(|kept| kept.files == saved.files));
        for number in numbers {
            let path = self.path(number);
            if let Err(error) = fs::remove_file(&path) {
                tracing::error!("a document that crashed stays: {}: {error}", path.display());
            }
        }
    }

    /// The documents kept, the last one first. One that can't be read is left out, and said.
    pub fn kept(&self) -> Vec<Saved> {
        let mut copies = Vec::new();
        for number in self.numbers() {
            match self.read(number) {
                Ok(copy) => copies.push(copy),
                Err(error) => {
                    let at = self.path(number);
                    tracing::error!(
                        "a last good document can't be used: {}: {error}",
                        at.display()
                    );
                }
            }
        }
        copies
    }

    pub(super) fn read(&self, number: u64) -> io::Result<Saved> {
        let path = self.path(number);
        if fs::metadata(&path)?.len() > BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        unseal(&fs::read(path)?)
    }

    /// The numbers there are, the highest first.
    fn numbers(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut numbers: Vec<u64> = names
            .filter_map(|name| name.strip_prefix("document-")?.strip_suffix(".good")?.parse().ok())
            .collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers
    }

    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("document-{number:06}.good"))
    }
}

pub(super) fn seal(copy: &Saved) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec_pretty(copy)?;
    let mut bytes = format!("{MAGIC}{}\n", sum(&body)).into_bytes();
    bytes.extend(body);
    Ok(bytes)
}

fn unseal(bytes: &[u8]) -> io::Result<Saved> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    if bytes.starts_with(ANY.as_bytes()) && !bytes.starts_with(MAGIC.as_bytes()) {
        return Err(wrong("it is of a format that this version does not know; it stays as it is"));
    }
    let sealed = bytes.strip_prefix(MAGIC.as_bytes()).ok_or_else(|| wrong("it is damaged"))?;
    let line = sealed.iter().position(|byte| *byte == b'\n').unwrap_or(sealed.len());
    let (told, rest) = sealed.split_at(line);
    let body = rest.get(1..).unwrap_or_default();
    if told != sum(body).as_bytes() {
        return Err(wrong("it is damaged: its digest is another one"));
    }
    serde_json::from_slice(body).map_err(io::Error::from)
}

fn sum(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
