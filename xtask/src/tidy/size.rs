//! Functions of at most 70 lines, files of at most 600 (from 400 on a warning), lines of at most
//! 100 columns.

use super::Finding;
use super::exceptions::{FILES, FUNCTIONS};
use super::source::{Source, lines_cut_by_a_string};
use super::tree::{File, Tree};
use crate::Result;

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 600;
const FILE_LINES_WARN: usize = 400;
/// Columns of a line.
pub const COLUMNS: usize = 100;

pub fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut functions = Lengths::new(FUNCTION_LINES, "function", FUNCTIONS);
    let mut files = Lengths::new(FILE_LINES, "file", FILES);
    for file in tree.ending(".rs") {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_WARN && lines <= FILE_LINES {
            println!("tidy: warning: {}: {lines} lines; think of splitting it", file.path);
        }
        files.measured(&file.path, 0, &file.path, lines);
        findings.extend(columns(file));
        match Source::parse(&file.text) {
            Ok(source) => {
                for function in source.functions {
                    let name = format!("{}::{}", file.path, function.name);
                    let (first, last) = function.lines.into_inner();
                    functions.measured(&file.path, first, &name, last + 1 - first);
                }
            }
            Err(error) => findings.push(Finding::new(&file.path, 0, error)),
        }
    }
    findings.extend(functions.findings());
    findings.extend(files.findings());
    Ok(findings)
}

fn columns(file: &File) -> Vec<Finding> {
    let long = |line: &str| line.chars().count() > COLUMNS && !line.contains("://");
    if !file.text.lines().any(long) {
        return Vec::new();
    }
    let excused = lines_cut_by_a_string(&file.text, COLUMNS);
    let numbered = file.text.lines().zip(1..);
    numbered
        .filter(|(line, number)| long(line) && !excused.contains(number))
        .map(|(line, number)| {
            let width = line.chars().count();
            Finding::new(
                &file.path,
                number,
                format!(
                    "{width} columns, at most {COLUMNS}: `cargo xtask fmt`, or break it by hand"
                ),
            )
        })
        .collect()
}

/// Holds lengths against a limit and a list of exceptions that may only shrink.
struct Lengths {
    limit: usize,
    what: &'static str,
    exceptions: &'static [(&'static str, usize)],
    used: Vec<&'static str>,
    findings: Vec<Finding>,
}

impl Lengths {
    fn new(limit: usize, what: &'static str, exceptions: &'static [(&'static str, usize)]) -> Self {
        Self { limit, what, exceptions, used: Vec::new(), findings: Vec::new() }
    }

    fn measured(&mut self, path: &str, line: usize, name: &str, lines: usize) {
        let Self { limit, what, .. } = *self;
        let exception = self.exceptions.iter().find(|(excepted, _)| *excepted == name);
        let allowed = exception.map_or(limit, |(_, lines)| *lines);
        if let Some((excepted, _)) = exception {
            self.used.push(excepted);
        }
        let message = if lines > allowed {
            format!("{what} of {lines} lines, at most {allowed}: split it by topic")
        } else if exception.is_some() && lines <= limit {
            format!("{what} of {lines} lines: take `{name}` off the exceptions")
        } else if lines < allowed && exception.is_some() {
            format!("{what} of {lines} lines: lower the exception of `{name}` from {allowed}")
        } else {
            return;
        };
        self.findings.push(Finding::new(path, line, message));
    }

    fn findings(mut self) -> Vec<Finding> {
        let gone = self.exceptions.iter().filter(|(name, _)| !self.used.contains(name));
        self.findings.extend(gone.map(|(name, _)| {
            let what = format!("no such {}: take `{name}` off the exceptions", self.what);
            Finding::new("xtask/src/tidy/exceptions.rs", 0, what)
        }));
        self.findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCEPTIONS: &[(&str, usize)] = &[("a.rs::long", 90)];

    fn lengths(measured: &[(&str, usize)]) -> Vec<String> {
        let mut lengths = Lengths::new(70, "function", EXCEPTIONS);
        for (name, lines) in measured {
            lengths.measured("a.rs", 1, name, *lines);
        }
        lengths.findings().into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_function_at_the_limit_passes_and_one_above_fails() {
        let found = lengths(&[("a.rs::long", 90), ("a.rs::b", 70), ("a.rs::c", 71)]);
        assert_eq!(found, ["function of 71 lines, at most 70: split it by topic"]);
    }

    #[test]
    fn an_exception_that_is_too_generous_or_no_longer_needed_fails() {
        for (measured, expected) in [
            (&[("a.rs::long", 80)][..], "lower the exception of `a.rs::long` from 90"),
            (&[("a.rs::long", 60)][..], "take `a.rs::long` off the exceptions"),
            (&[("a.rs::long", 91)][..], "at most 90"),
            (&[][..], "no such function"),
        ] {
            let found = lengths(measured);
            assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
        }
    }

    #[test]
    fn a_line_too_wide_is_found_but_for_addresses_and_strings() {
        let wide = "a".repeat(101);
        for (text, count) in [
            (format!("// {wide}\n"), 1),
            (format!("// https://{wide}\n"), 0),
            (format!("const A: &str = \"{wide}\";\n"), 0),
            (format!("/// {wide}\nconst A: u8 = 1;\n"), 1),
        ] {
            let file = File { path: "a.rs".into(), text };
            assert_eq!(columns(&file).len(), count, "{}", file.text);
        }
    }
}
