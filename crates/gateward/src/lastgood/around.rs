//! A stored document, where the files it was read from used to be.

use std::env::VarError;
use std::io;
use std::path::Path;

use config::{Machine, Surroundings};

use super::Saved;

/// The machine, with a stored document's files in place of what stands there now.
#[derive(Debug)]
pub struct WithSaved<'c>(pub &'c Saved);

impl Surroundings for WithSaved<'_> {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        Machine.variable(name)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        match self.0.files.iter().find(|file| file.path == path) {
            Some(file) if file.text.len() as u64 <= limit => Ok(file.text.clone().into_bytes()),
            Some(_) => Err(io::ErrorKind::FileTooLarge.into()),
            None => Machine.read(path, limit),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Option<Vec<String>>> {
        if self.0.files.iter().any(|file| file.path == path) {
            return Ok(None);
        }
        let inside = self.0.files.iter().filter(|file| file.path.parent() == Some(path));
        let names = inside.filter_map(|file| file.path.file_name()?.to_str()).map(str::to_owned);
        let names: Vec<String> = names.collect();
        if names.is_empty() { Machine.list(path) } else { Ok(Some(names)) }
    }
}
