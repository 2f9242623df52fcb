//! The files of a document, and what a document may reach: files and the environment, through one
//! narrow door.

use std::collections::HashMap;
use std::env::VarError;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::v1::Vault;

/// Bytes of one file of a document; a longer one is refused.
pub const FILE_MAX: u64 = 16 << 20;

/// What lies around a document. Reading a document touches nothing else.
pub trait Surroundings {
    /// The environment variable `name`.
    ///
    /// # Errors
    /// It is not set, or not Unicode.
    fn variable(&self, name: &str) -> Result<String, VarError>;

    /// The file at `path`.
    ///
    /// # Errors
    /// It can't be read, or has more than `limit` bytes ([`ErrorKind::FileTooLarge`]); no more than
    /// that is read.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// The names of the files in the directory `path`, links followed, in no order; `None` if
    /// `path` is no directory.
    ///
    /// # Errors
    /// It does not exist or can't be listed.
    fn list(&self, path: &Path) -> io::Result<Option<Vec<String>>>;

    /// The secret that a vault holds.
    ///
    /// # Errors
    /// Why there is none, without a word of it.
    fn secret(&self, wanted: &Wanted<'_>) -> Result<String, String> {
        let _ = wanted;
        Err("no vault can be asked from here".into())
    }
}

/// A secret in a vault that a document refers to.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'w> {
    /// The vault, as the document has it.
    pub vault: &'w Vault,
    /// What paths in the document are relative to.
    pub folder: &'w Path,
    /// Where the secret is: mount and path.
    pub path: &'w str,
    /// Which part of it.
    pub field: &'w str,
}

/// The machine's own files and the process's environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        std::env::var(name)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = fs::File::open(path)?;
        // The size is only a first word: pipes have none, and files grow while they are read.
        let size = file.metadata()?.len();
        if size > limit {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn list(&self, path: &Path) -> io::Result<Option<Vec<String>>> {
        if !fs::metadata(path)?.is_dir() {
            return Ok(None);
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let is_file = fs::metadata(entry.path()).is_ok_and(|found| found.is_file());
            if let (true, Ok(name)) = (is_file, entry.file_name().into_string()) {
                names.push(name);
            }
        }
        Ok(Some(names))
    }
}

/// Surroundings made up in memory, for tests and for documents that come from elsewhere than a
/// disk.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: HashMap<PathBuf, Vec<u8>>,
    variables: HashMap<String, String>,
}

impl Memory {
    /// Adds a file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), bytes.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl Surroundings for Memory {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.variables.get(name).cloned().ok_or(VarError::NotPresent)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let bytes = self.files.get(path).ok_or(ErrorKind::NotFound)?;
        if bytes.len() as u64 > limit {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.clone())
    }

    fn list(&self, path: &Path) -> io::Result<Option<Vec<String>>> {
        if self.files.contains_key(path) {
            return Ok(None);
        }
        let inside = self.files.keys().filter(|file| file.parent() == Some(path));
        let names: Vec<String> =
            inside.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect();
        if names.is_empty() { Err(ErrorKind::NotFound.into()) } else { Ok(Some(names)) }
    }
}

/// A file of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path, as it was reached.
    pub path: PathBuf,
    /// Its text; empty if it is none.
    pub text: String,
    /// Where each line starts.
    lines: Vec<u32>,
}

impl Source {
    pub(crate) fn new(path: PathBuf, text: String) -> Self {
        let breaks = text.bytes().zip(1..).filter(|(byte, _)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(_, next)| next)).collect();
        Self { path, text, lines }
    }

    /// The line that the byte `at` is in: its number, from 1, and the range of its bytes without
    /// the line break.
    pub(crate) fn line(&self, at: usize) -> (usize, Range<usize>) {
        let number = self.lines.partition_point(|start| *start as usize <= at).max(1);
        let start = self.lines.get(number - 1).map_or(0, |start| *start as usize);
        let next = self.lines.get(number).map_or(self.text.len(), |next| *next as usize);
        let line = self.text.get(start..next).unwrap_or_default();
        (number, start..start + line.trim_end_matches(['\n', '\r']).len())
    }
}
