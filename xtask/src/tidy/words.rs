//! Words that may not stand in the repository: paths of somebody's machine, reminders nobody owns.

use super::Finding;
use super::tree::{File, Tree};
use crate::Result;

/// Written in two halves, so that this file does not hold them.
const MACHINE_PATHS: &[(&str, &str)] =
    &[("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("/Us", "ers/")];

const REMINDERS: &[(&str, &str)] = &[("TO", "DO"), ("FIX", "ME"), ("XX", "X:")];

pub fn check(tree: &Tree) -> Result<Vec<Finding>> {
    Ok(tree.files.iter().flat_map(in_file).collect())
}

fn in_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        if let Some(path) = machine_path(line) {
            let what =
                format!("`{path}…` is a path of one machine: write it relative or ask for it");
            findings.push(Finding::new(&file.path, number, what));
        }
        if let Some(word) = reminder(line) {
            let what = format!("`{word}`: do it, or open an issue and leave it out here");
            findings.push(Finding::new(&file.path, number, what));
        }
    }
    findings
}

/// An absolute path below a folder that only some machines have; a URL's path is none.
fn machine_path(line: &str) -> Option<String> {
    MACHINE_PATHS.iter().map(|(a, b)| format!("{a}{b}")).find(|path| {
        line.match_indices(path.as_str()).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + path.len()..].chars().next();
            before.is_none_or(|c| " \t\"'`(=:,[".contains(c))
                && after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
        })
    })
}

fn reminder(line: &str) -> Option<String> {
    REMINDERS.iter().map(|(a, b)| format!("{a}{b}")).find(|word| {
        line.match_indices(word.as_str()).any(|(at, _)| {
            let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
            !line[..at].chars().next_back().is_some_and(letter)
                && !line[at + word.len()..].chars().next().is_some_and(letter)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        in_file(&File { path: "a.rs".into(), text: line.into() }).len()
    }

    #[test]
    fn a_path_of_one_machine_is_found_and_a_url_is_not() {
        assert_eq!(found(&format!("let p = \"{}{}ann/x\";", "/ho", "me")), 0);
        assert_eq!(found(&format!("let p = \"{}{}ann/x\";", "/ho", "me/")), 1);
        assert_eq!(found(&format!("GET https://a.example{}{}items", "/wo", "rk/")), 0);
        assert_eq!(found(&format!("cd {}{}project", "/wo", "rk/")), 1);
    }

    #[test]
    fn a_reminder_is_found_and_a_word_that_holds_it_is_not() {
        assert_eq!(found(&format!("// {}{} mend", "TO", "DO")), 1);
        assert_eq!(found(&format!("{}{}S = 1", "TO", "DO")), 0);
    }
}
