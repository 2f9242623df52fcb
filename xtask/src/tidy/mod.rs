//! `cargo xtask tidy`: the rules that can be checked, each as a test that says where and what to
//! do. All of them run; everything found is reported at once.

mod dependencies;
mod documents;
mod exceptions;
mod lints;
pub mod size;
pub mod source;
pub mod tree;
mod words;

use std::fmt;

use crate::{Result, format, generate};
use tree::Tree;

/// One place where a rule is not kept.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the repository's root.
    file: String,
    /// The line, from 1; 0 when it is the whole file.
    line: usize,
    /// What is wrong, and what to do.
    what: String,
}

impl Finding {
    fn new(file: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

type Rule = (&'static str, fn(&Tree) -> Result<Vec<Finding>>);

/// Cheapest first.
const RULES: &[Rule] = &[
    ("files, functions and lines are short", size::check),
    ("words", words::check),
    ("documents point at what exists", documents::check),
    ("crates depend as the table says", dependencies::edges),
    ("one version of every dependency", dependencies::versions),
    ("formatted", |_| whole(format::run(true), "run `cargo xtask fmt`")),
    ("generated files are up to date", |_| {
        whole(generate::run(true), "run `cargo xtask generate`")
    }),
    ("licences, bans, sources, advisories", dependencies::deny),
    ("clippy, and no panic on the request's way", lints::check),
];

/// Runs every rule.
pub fn run() -> Result {
    let tree = Tree::read()?;
    let mut kept = 0;
    for (name, rule) in RULES {
        let mut findings = rule(&tree).map_err(|error| format!("{name}: {error}"))?;
        findings.sort();
        if findings.is_empty() {
            kept += 1;
            println!("tidy: {name}: ok");
            continue;
        }
        println!("tidy: {name}: {} to mend", findings.len());
        for finding in findings {
            println!("  {finding}");
        }
    }
    match RULES.len() - kept {
        0 => Ok(()),
        broken => Err(format!("{broken} of {} rules are not kept", RULES.len())),
    }
}

/// The outcome of a check that reports by itself.
fn whole(outcome: Result, remedy: &str) -> Result<Vec<Finding>> {
    Ok(match outcome {
        Ok(()) => Vec::new(),
        Err(error) => vec![Finding::new("repository", 0, format!("{error}: {remedy}"))],
    })
}
