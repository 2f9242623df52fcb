//! Files that documents name: certificates, keys, authorities.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base::{Pointer, Problem};
use config::Surroundings;

/// Bytes of one file.
const BYTES_MAX: u64 = 4 << 20;

/// Where files are found.
pub(crate) struct Files<'a> {
    /// How they are read.
    pub around: &'a dyn Surroundings,
    /// Where relative paths start.
    pub folder: &'a Path,
}

impl Files<'_> {
    /// The path of the file that a document calls `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Its bytes; `what` it is is said where it can't be read.
    pub fn read(&self, name: &str, what: &str, at: &Pointer) -> Result<Vec<u8>, Problem> {
        self.read_most(name, what, BYTES_MAX, at)
    }

    /// Its bytes, `most` of them.
    pub fn read_most(
        &self,
        name: &str,
        what: &str,
        most: u64,
        at: &Pointer,
    ) -> Result<Vec<u8>, Problem> {
        let path = self.path(name);
        self.around.read(&path, most).map_err(|error| {
            let path = path.display();
            match error.kind() {
                ErrorKind::NotFound => Problem::new(at, format!("there is no file `{path}`"))
                    .hint(format!("put the {what} there, or correct the path")),
                ErrorKind::FileTooLarge => {
                    let what =
                        format!("`{path}` has more than {} MiB, too much for a {what}", most >> 20);
                    Problem::new(at, what)
                }
                _ => Problem::new(at, format!("the {what} `{path}` can't be read: {error}"))
                    .hint("let the user that gateward runs as read it"),
            }
        })
    }
}
