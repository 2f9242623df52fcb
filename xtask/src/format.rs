//! `cargo xtask fmt`: rustfmt over every Rust file, also those `cargo fmt` does not reach because
//! their module is declared inside a macro; and comments no wider than a line may be.

use std::fs;

use crate::Result;
use crate::command::{self, command, root};
use crate::comments::filled;
use crate::tidy::size::COLUMNS;
use crate::tidy::tree;

/// Formats, or with `check` shows what rustfmt would change and fails.
pub fn run(check: bool) -> Result {
    let mut files = tree::paths()?;
    files.retain(|path| path.ends_with(".rs"));
    let mut rustfmt = command("rustfmt");
    rustfmt.args(["--edition", "2024"]).args(&files);
    if check {
        return command::run(rustfmt.arg("--check"));
    }
    for path in &files {
        let file = root().join(path);
        let text = fs::read_to_string(&file).map_err(|error| format!("{path}: {error}"))?;
        let new = filled(&text, COLUMNS);
        if new != text {
            fs::write(&file, new).map_err(|error| format!("{path}: {error}"))?;
        }
    }
    command::run(&mut rustfmt)
}
