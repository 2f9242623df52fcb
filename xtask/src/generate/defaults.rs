//! `docs/manual/defaults.md`, from the one place where the document's defaults are.

use std::fmt::Write;

use super::{Generated, cell};

const HEAD: &str = "\
<!-- Made by `cargo xtask generate` from `crates/config/src/v1/defaults.rs`. -->

# Defaults

What holds where the document says nothing.

| name | value | meaning |
|---|---|---|
";

pub fn generate() -> Generated {
    let mut text = HEAD.to_owned();
    for (name, value, meaning) in config::v1::defaults::table() {
        let value = value.trim_matches('"');
        let _ = writeln!(text, "| `{name}` | `{}` | {} |", cell(value), cell(meaning));
    }
    Generated { path: "docs/manual/defaults.md".into(), text }
}
