//! `docs/faults.md`: every fault and attack of the list with the tests that prove it is withstood,
//! found by their names.

mod list;

use std::collections::BTreeMap;
use std::fmt::Write;

use list::{Case, SECTIONS, Section};

use super::{Generated, cell};
use crate::Result;
use crate::tidy::tree::{File, Tree};

const PATH: &str = "docs/faults.md";

const HEAD: &str = "\
<!-- Made by `cargo xtask generate` from the names of the tests. -->

# Faults and attacks

What Gateward is tested to withstand. The numbers are for good: the test `fa_A01_…` is case A01, and says in its comment what is expected and how it
was seen to fail with the defence taken out. Run one with `cargo xtask test -- fa_A01`.

";

/// A test, by the case it is of.
#[derive(Clone)]
struct Test<'t> {
    name: &'t str,
    path: &'t str,
    /// What is expected: the first sentence of its comment.
    expects: String,
}

/// The table, and what is wrong with the tests it is made from.
pub fn generate() -> Result<Generated> {
    let tree = Tree::read()?;
    let mut tests: BTreeMap<&str, Vec<Test<'_>>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in tree.ending(".rs").filter(|file| file.path.starts_with("crates/")) {
        for (id, test) in tests_of(file, &mut wrong) {
            tests.entry(id).or_default().push(test);
        }
    }
    let known = |id: &str| SECTIONS.iter().flat_map(|section| section.cases).any(|c| c.id == id);
    wrong.extend(tests.keys().filter(|id| !known(id)).map(|id| format!("no case {id}")));
    let mut text = HEAD.to_owned();
    summary(&mut text, &tests);
    for section in SECTIONS {
        table(&mut text, section, &tests, &mut wrong);
    }
    if wrong.is_empty() {
        return Ok(Generated { path: PATH.into(), text });
    }
    Err(format!("{PATH}: {}", wrong.join("; ")))
}

fn summary(text: &mut String, tests: &BTreeMap<&str, Vec<Test<'_>>>) {
    text.push_str("| section | cases | apply by now | tested |\n|---|---:|---:|---:|\n");
    for Section { title, cases } in SECTIONS {
        let apply = cases.iter().filter(|case| case.not_yet.is_none()).count();
        let tested = cases.iter().filter(|case| tests.contains_key(case.id)).count();
        let _ = writeln!(text, "| {title} | {} | {apply} | {tested} |", cases.len());
    }
}

fn table(
    text: &mut String,
    section: &Section,
    tests: &BTreeMap<&str, Vec<Test<'_>>>,
    wrong: &mut Vec<String>,
) {
    let _ = write!(text, "\n## {}\n\n| | case | tests |\n|---|---|---|\n", section.title);
    for Case { id, what, not_yet } in section.cases {
        let proof = match (tests.get(id), not_yet) {
            (Some(_), Some(_)) => {
                wrong.push(format!("{id} has tests and a reason to have none"));
                continue;
            }
            (Some(tests), None) => tests.iter().map(row).collect::<Vec<_>>().join("<br>"),
            (None, Some(why)) => format!("not yet: {why}"),
            (None, None) => "**none yet**".to_owned(),
        };
        let _ = writeln!(text, "| {id} | {} | {proof} |", cell(what));
    }
}

fn row(test: &Test<'_>) -> String {
    let cases = cases_of(test.name).map(|id| id.len() + 1).sum::<usize>();
    let slug = test.name.get("fa_".len() + cases..).unwrap_or(test.name);
    format!("[`{slug}`](../{}) {}", test.path, cell(&test.expects))
}

/// The tests of a file that are named for a case.
fn tests_of<'f>(file: &'f File, wrong: &mut Vec<String>) -> Vec<(&'f str, Test<'f>)> {
    let mut found = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in file.text.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("///") {
            comment.push(said.trim());
        } else if let Some(name) = test_name(line) {
            let said = comment.join(" ");
            let Some((expects, _)) = said.split_once("Seen to fail:") else {
                wrong.push(format!("{}: {name} does not say how it was seen to fail", file.path));
                continue;
            };
            let expects =
                expects.split_inclusive(". ").next().unwrap_or_default().trim().to_owned();
            let test = Test { name, path: &file.path, expects };
            found.extend(cases_of(name).map(|id| (id, test.clone())));
        }
        if !line.starts_with("///") && !line.starts_with("#[") {
            comment.clear();
        }
    }
    found
}

/// The name of the test for a case that is declared on this line.
fn test_name(line: &str) -> Option<&str> {
    let declared = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    declared.split('(').next().filter(|name| name.starts_with("fa_"))
}

/// The cases a test is of: `fa_D18_D21_…` is of two.
fn cases_of(name: &str) -> impl Iterator<Item = &str> {
    let is_case = |part: &&str| {
        matches!(part.as_bytes(), [b'A'..=b'Z', tens, ones]
            if tens.is_ascii_digit() && ones.is_ascii_digit())
    };
    name.split('_').skip(1).take_while(is_case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_by_name_with_what_they_expect() {
        let text = "\
/// One meaning. Not two. Seen to fail: with the
/// check removed.
#[tokio::test]
async fn fa_A01_a_request() {}

/// Nothing said.
#[test]
fn fa_B02_frames() {}

fn fa() {}
";
        let file = File { path: "a.rs".into(), text: text.into() };
        let mut wrong = Vec::new();
        let found = tests_of(&file, &mut wrong);
        let told: Vec<_> =
            found.iter().map(|(id, test)| (*id, test.name, test.expects.as_str())).collect();
        assert_eq!(told, [("A01", "fa_A01_a_request", "One meaning.")]);
        assert_eq!(wrong, ["a.rs: fa_B02_frames does not say how it was seen to fail"]);
    }

    #[test]
    fn the_list_is_in_order_and_has_every_number_once() {
        for section in SECTIONS {
            let letter = &section.title[..1];
            for (number, case) in section.cases.iter().enumerate() {
                assert_eq!(case.id, format!("{letter}{:02}", number + 1));
            }
        }
    }
}
