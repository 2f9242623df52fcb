//! `cargo xtask generate`: files made from the code and committed, so that a change of what others
//! rely on shows as a difference.

mod defaults;
mod faults;
mod policies;
mod refusals;
mod schema;

use std::fs;

use crate::Result;
use crate::command::root;
use crate::tidy::tree;

/// A file as it must be.
pub struct Generated {
    /// From the repository's root.
    pub path: String,
    /// The whole of it.
    pub text: String,
}

/// Every generated file.
fn all() -> Result<Vec<Generated>> {
    let kinds = ::policies::REGISTRY.kinds();
    let mut files = vec![
        defaults::generate(),
        refusals::generate(policy::codes::ALL, kinds),
        policies::chain(kinds),
        schema::generate()?,
        faults::generate()?,
    ];
    files.extend(policies::manual(kinds)?);
    Ok(files)
}

/// Folders that hold nothing else: a file there that nothing makes any more is removed.
const FOLDERS: &[&str] = &["contracts/", "docs/manual/policies/"];

/// Writes them, or with `check` fails when one differs.
pub fn run(check: bool) -> Result {
    let wanted = all()?;
    let mut stale = Vec::new();
    for file in &wanted {
        let path = root().join(&file.path);
        if fs::read_to_string(&path).is_ok_and(|text| text == file.text) {
            continue;
        }
        stale.push(file.path.clone());
        if !check {
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            folder
                .and_then(|()| fs::write(&path, &file.text))
                .map_err(|error| format!("{}: {error}", file.path))?;
        }
    }
    for path in tree::paths()? {
        let ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
        if ours && !wanted.iter().any(|file| file.path == path) {
            if !check {
                fs::remove_file(root().join(&path)).map_err(|error| format!("{path}: {error}"))?;
            }
            stale.push(path);
        }
    }
    match (check, stale.is_empty()) {
        (true, false) => Err(format!("not up to date: {}", stale.join(", "))),
        (false, false) => {
            println!("xtask: written: {}", stale.join(", "));
            Ok(())
        }
        (_, true) => Ok(()),
    }
}

/// Text that stays within one cell of a table.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
