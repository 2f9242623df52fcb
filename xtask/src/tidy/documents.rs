//! Documents whose pointers are dead: links between them, `file.rs::function`, `crates/…` paths.

use std::collections::{HashMap, HashSet};

use super::Finding;
use super::source::Source;
use super::tree::{File, Tree};
use crate::Result;

const NEEDED: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "SECURITY.md"];

/// Written once and not kept up: what was true then may be gone.
const HISTORY: &[&str] = &["docs/adr/", "CHANGELOG.md", "bench/results/"];

/// Where a path named in a document begins.
const ROOTS: &[&str] =
    &["crates/", "xtask/", "bench/", "docs/", "contracts/", "examples/", "tests/", "fuzz/"];

pub fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let known = Known::read(tree);
    let mut findings: Vec<Finding> = NEEDED
        .iter()
        .filter(|path| !known.paths.contains(**path))
        .map(|path| Finding::new(*path, 0, "is missing: write it"))
        .collect();
    for file in tree.ending(".md") {
        let history = HISTORY.iter().any(|path| file.path.starts_with(path));
        for (line, number) in prose(&file.text) {
            let dead = links(line)
                .into_iter()
                .filter_map(|link| known.dead_link(file, link))
                .chain(codes(line).filter(|_| !history).filter_map(|code| known.dead_code(code)));
            findings.extend(dead.map(|what| Finding::new(&file.path, number, what)));
        }
    }
    Ok(findings)
}

/// What documents may point at.
struct Known<'a> {
    paths: HashSet<&'a str>,
    /// Rust files and the names they declare.
    names: HashMap<&'a str, Vec<String>>,
    /// Documents and the anchors of their headings.
    anchors: HashMap<&'a str, Vec<String>>,
}

impl<'a> Known<'a> {
    fn read(tree: &'a Tree) -> Self {
        let mut paths: HashSet<&str> = HashSet::new();
        for file in &tree.files {
            let mut path = file.path.as_str();
            while paths.insert(path) {
                match path.rsplit_once('/') {
                    Some((folder, _)) => path = folder,
                    None => break,
                }
            }
        }
        let names = |file: &File| Source::parse(&file.text).map_or_else(|_| vec![], |s| s.names);
        Self {
            paths,
            names: tree.ending(".rs").map(|file| (file.path.as_str(), names(file))).collect(),
            anchors: tree
                .ending(".md")
                .map(|file| (file.path.as_str(), anchors(&file.text)))
                .collect(),
        }
    }

    fn dead_link(&self, from: &File, link: &str) -> Option<String> {
        if link.contains("://") || link.starts_with("mailto:") {
            return None;
        }
        let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = match target {
            "" => from.path.clone(),
            target => beside(&from.path, target),
        };
        if !path.is_empty() && !self.paths.contains(path.as_str()) {
            return Some(format!("links to `{link}`, and there is no `{path}`"));
        }
        let anchors = self.anchors.get(path.as_str())?;
        (!anchor.is_empty() && !anchors.iter().any(|known| known == anchor))
            .then(|| format!("links to `{link}`, and `{path}` has no heading `#{anchor}`"))
    }

    fn dead_code(&self, code: &str) -> Option<String> {
        if let Some((file, name)) = code.split_once(".rs::") {
            let file = format!("{file}.rs");
            let name = name.trim_end_matches("()");
            let mut files = self
                .names
                .iter()
                .filter(|(path, _)| **path == file || path.ends_with(&format!("/{file}")));
            if files.clone().next().is_none() {
                return Some(format!("names `{code}`, and there is no `{file}`"));
            }
            let declared = files.any(|(_, names)| names.iter().any(|known| known == name));
            return (!declared)
                .then(|| format!("names `{code}`, and `{file}` declares no `{name}`"));
        }
        let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        let path = code.trim_end_matches('/');
        (plain && ROOTS.iter().any(|root| code.starts_with(root)) && !self.paths.contains(path))
            .then(|| format!("names `{code}`, which does not exist"))
    }
}

/// The lines outside fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut fenced = false;
    text.lines().zip(1..).filter(move |(line, _)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)`.
fn links(line: &str) -> Vec<&str> {
    let text: Vec<&str> = line.split('`').step_by(2).collect();
    text.into_iter()
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .collect()
}

/// What stands between backticks.
fn codes(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The anchors a document's headings get.
fn anchors(text: &str) -> Vec<String> {
    prose(text)
        .filter(|(line, _)| line.starts_with('#'))
        .map(|(line, _)| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// A path relative to the folder of the file it stands in.
fn beside(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(markdown: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let mut files: Vec<File> = NEEDED.iter().map(|path| file(path, "")).collect();
        files.push(file("crates/a/src/serve.rs", "impl A { fn serve() {} }"));
        files.push(file("docs/b.md", "# Two words, one `code`"));
        files.push(file("docs/life-of-a-request.md", markdown));
        check(&Tree { files }).unwrap().into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn living_pointers_pass() {
        let text =
            "`a/src/serve.rs::serve` `serve.rs::A::serve()` `crates/a/` [b](b.md) [r](../README.md)
[h](b.md#two-words-one-code) [out](https://example.com/x)
```
[not](prose.md) `serve.rs::nothing`
```";
        assert_eq!(findings(text), [""; 0]);
    }

    #[test]
    fn dead_pointers_are_found() {
        for (text, expected) in [
            ("`serve.rs::gone`", "declares no `gone`"),
            ("`gone.rs::serve`", "there is no `gone.rs`"),
            ("`crates/gone/src`", "does not exist"),
            ("[a](gone.md)", "there is no `docs/gone.md`"),
            ("[a](b.md#gone)", "no heading `#gone`"),
        ] {
            let found = findings(text);
            assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_missing_changelog_is_found() {
        let found = check(&Tree { files: Vec::new() }).unwrap();
        assert!(found.iter().any(|finding| finding.file == "CHANGELOG.md"), "{found:?}");
    }
}
