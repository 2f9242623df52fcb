//! Documents as people write them, read with nothing around them: no file, no environment.

use std::sync::LazyLock;

use config::{Memory, Report, Schema, Written, read_text};

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::with_policies(policies::schemas()));

/// Reads `text`, in the format that the ending of `name` tells.
pub fn read(name: &str, text: &str) -> Result<Written, Report> {
    read_text(name, text, &SCHEMA, &Memory::default())
}

/// Panics where `report` does not say what is wrong, and where in `text`.
pub fn check(report: &Report, text: &str) {
    assert!(!report.findings().is_empty(), "refused without a reason");
    let lines = text.lines().count().max(1) + 1;
    for finding in report.findings() {
        assert!(!finding.what.is_empty(), "a finding that says nothing");
        for at in [Some(&finding.at), finding.see.as_ref().map(|(at, _)| at)].into_iter().flatten()
        {
            assert!((1..=lines).contains(&at.line), "line {} of {lines}", at.line);
            assert!((1..=text.len() + 2).contains(&at.column), "column {}", at.column);
        }
    }
    // Long lines are cut and long lists too: a report stays readable.
    assert!(report.render(false).len() <= 100 * 8192, "a report without a bound");
    assert!(report.to_json().as_array().is_some_and(|all| !all.is_empty()));
}
