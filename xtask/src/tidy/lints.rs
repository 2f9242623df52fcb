//! Clippy over everything, and on the request's way no code that can panic.

use std::collections::HashMap;
use std::process::Stdio;

use serde::Deserialize;

use super::Finding;
use super::source::Source;
use super::tree::{File, Tree};
use crate::Result;
use crate::command::cargo;

/// What runs for every request, and so may not panic outside tests.
const WAY: &[&str] = &[
    "crates/policy/src/",
    "crates/policies/src/",
    "crates/snapshot/src/",
    "crates/dataplane/src/",
];

/// What stands there and runs for documents only.
const BESIDE: &[&str] = &["crates/snapshot/src/compile"];

/// Clippy's names for what can panic.
const PANICS: &[&str] = &[
    "expect_used",
    "get_unwrap",
    "indexing_slicing",
    "panic",
    "string_slice",
    "todo",
    "unimplemented",
    "unreachable",
    "unwrap_used",
];

pub fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let way = Way::of(tree);
    let mut findings: Vec<Finding> =
        tree.ending(".rs").filter(|file| way.holds(&file.path)).flat_map(excuses).collect();
    let (messages, succeeded) = clippy()?;
    for message in messages {
        let primary = message.spans.iter().find(|span| span.is_primary);
        let Some(span) = primary.map(Span::written) else { continue };
        let lint = message.code.as_ref().map_or("", |code| code.code.as_str());
        let mut what = format!("{} ({lint})", message.message);
        if PANICS.iter().any(|panic| lint == format!("clippy::{panic}")) {
            if !way.matters(&span.file_name, span.line_start) {
                continue;
            }
            what.push_str(": on the request's way nothing may panic; return a refusal or an error");
        }
        let finding = Finding::new(&span.file_name, span.line_start, what);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    if !succeeded && findings.is_empty() {
        return Err("clippy failed; run `cargo clippy --workspace --all-targets`".into());
    }
    Ok(findings)
}

/// The files on the request's way, with what is for tests only in them.
struct Way {
    sources: HashMap<String, Source>,
}

impl Way {
    fn of(tree: &Tree) -> Self {
        let below = |path: &str, folders: &[&str]| folders.iter().any(|f| path.starts_with(f));
        let on_it = |file: &&File| below(&file.path, WAY) && !below(&file.path, BESIDE);
        let mut sources: HashMap<String, Source> = tree
            .ending(".rs")
            .filter(on_it)
            .filter_map(|file| Some((file.path.clone(), Source::parse(&file.text).ok()?)))
            .collect();
        let test_modules: Vec<String> =
            sources.iter().flat_map(|(path, source)| modules(path, &source.test_modules)).collect();
        sources.retain(|path, _| {
            let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
            !test_modules.iter().any(|test| {
                module
                    .strip_prefix(test)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        });
        Self { sources }
    }

    fn holds(&self, path: &str) -> bool {
        self.sources.contains_key(path)
    }

    /// Whether a lint about panics counts at this place.
    fn matters(&self, path: &str, line: usize) -> bool {
        self.sources.get(path).is_some_and(|source| !source.is_test(line))
    }
}

/// Where the modules are that a file declares, without the ending.
fn modules<'a>(path: &'a str, names: &'a [String]) -> impl Iterator<Item = String> {
    let stem = path.trim_end_matches(".rs");
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let folder = if matches!(name, "mod" | "lib" | "main") { folder } else { stem };
    names.iter().map(move |name| format!("{folder}/{name}"))
}

/// Lints about panics that are silenced without a reason.
fn excuses(file: &File) -> Vec<Finding> {
    let Ok(source) = Source::parse(&file.text) else { return Vec::new() };
    let mut findings = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        let silenced = PANICS.iter().find(|panic| line.contains(&format!("clippy::{panic}")));
        if let Some(lint) = silenced.filter(|_| !source.is_test(number)) {
            let near = file.text.lines().skip(number - 1).take(4).collect::<String>();
            if !near.contains("reason") {
                let what =
                    format!("`{lint}` is silenced: say why it can't panic with `reason = \"…\"`");
                findings.push(Finding::new(&file.path, number, what));
            }
        }
    }
    findings
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
    code: Option<Code>,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    is_primary: bool,
    /// The use of the macro that this came out of.
    expansion: Option<Expansion>,
}

#[derive(Deserialize)]
struct Expansion {
    span: Box<Span>,
}

impl Span {
    /// The place in our own files: where the macro is used, if this is inside somebody else's.
    fn written(&self) -> &Self {
        match &self.expansion {
            Some(expansion) if self.file_name.starts_with('/') => expansion.span.written(),
            _ => self,
        }
    }
}

/// One run for everything, so that nothing is compiled twice.
fn clippy() -> Result<(Vec<Message>, bool)> {
    let mut clippy = cargo();
    clippy.args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--message-format=json",
        "--",
    ]);
    clippy.args(PANICS.iter().flat_map(|panic| ["-W".into(), format!("clippy::{panic}")]));
    let output = clippy
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo clippy did not start: {error}"))?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok())
        .filter(|line| line.reason == "compiler-message")
        .filter_map(|line| line.message)
        .collect();
    Ok((messages, output.status.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn only_code_that_runs_for_requests_is_held_to_it() {
        let tests_inside = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let tests_outside = "#[cfg(test)]\nmod tests;\n";
        let way = Way::of(&Tree {
            files: vec![
                file("crates/dataplane/src/serve.rs", tests_inside),
                file("crates/policies/src/limit/rate/mod.rs", tests_outside),
                file("crates/policies/src/limit/rate/tests.rs", "fn a() {}"),
                file("crates/policies/src/limit/rate/tests/more.rs", "fn a() {}"),
                file("crates/policies/src/limit/rate/tests_of_time.rs", "fn a() {}"),
                file("crates/snapshot/src/router.rs", "fn a() {}"),
                file("crates/snapshot/src/compile.rs", "fn a() {}"),
                file("crates/gateward/src/main.rs", "fn a() {}"),
            ],
        });
        for (path, line, expected) in [
            ("crates/dataplane/src/serve.rs", 1, true),
            ("crates/dataplane/src/serve.rs", 4, false),
            ("crates/policies/src/limit/rate/tests.rs", 1, false),
            ("crates/policies/src/limit/rate/tests/more.rs", 1, false),
            ("crates/policies/src/limit/rate/tests_of_time.rs", 1, true),
            ("crates/snapshot/src/router.rs", 1, true),
            ("crates/snapshot/src/compile.rs", 1, false),
            ("crates/gateward/src/main.rs", 1, false),
        ] {
            assert_eq!(way.matters(path, line), expected, "{path}:{line}");
        }
    }

    #[test]
    fn a_silenced_lint_needs_its_reason() {
        let file = |text: &str| file("crates/policy/src/a.rs", text);
        let bare = file("#[allow(clippy::indexing_slicing)]\nfn a() {}\n");
        let said = file("#[expect(clippy::indexing_slicing, reason = \"0 < len\")]\nfn a() {}\n");
        assert_eq!(excuses(&bare).len(), 1);
        assert_eq!(excuses(&said).len(), 0);
    }
}
