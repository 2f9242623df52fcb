//! The repository's files: what git tracks, and what it would if it were added.

use crate::Result;
use crate::command::{command, output, root};

/// A text file.
pub struct File {
    /// Its path from the repository's root.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// All text files.
pub struct Tree {
    /// By path.
    pub files: Vec<File>,
}

impl Tree {
    /// Reads them.
    pub fn read() -> Result<Self> {
        let mut files = Vec::new();
        for path in paths()? {
            let bytes = std::fs::read(root().join(&path)).map_err(|e| format!("{path}: {e}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(File { path, text });
            }
        }
        Ok(Self { files })
    }

    /// The files whose name ends so.
    pub fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }
}

/// The paths of all files, from the repository's root, sorted.
pub fn paths() -> Result<Vec<String>> {
    let list = output(command("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]))?;
    let mut paths: Vec<String> =
        list.split('\0').filter(|p| !p.is_empty()).map(Into::into).collect();
    // A file that was removed but not yet committed is still listed.
    paths.retain(|path| root().join(path).is_file());
    paths.sort();
    paths.dedup();
    Ok(paths)
}
