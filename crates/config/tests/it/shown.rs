//! What is shown of a document: positions for later stages, masks, and nothing of its secrets.

use base::{Pointer, Problem};
use gateward_config::{Memory, Written, read, read_text};
use serde_json::json;
use std::path::Path;

use crate::broken::schema;

fn written(text: &str, around: &Memory) -> Written {
    read_text("a.yaml", text, &schema(), around).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn problems_of_later_stages_are_found_in_the_file_that_holds_them() {
    let around = Memory::default()
        .file("d/a.yaml", "version: 1\napis:\n  - name: orders\n    upstream: gone\n")
        .file("d/b.yaml", "apis:\n  - name: users\n    upstream: lost\n");
    let written = read(Path::new("d"), &schema(), &around).unwrap();
    let api = |index| Pointer::root().key("apis").index(index);
    let report = written.report(&[
        Problem::new(&api(1).key("upstream"), "there is no upstream `lost`").hint("add it"),
        Problem::key(&api(0).key("upstream"), "the key").see(&api(1).key("name"), "another"),
        Problem::new(&api(0).key("timeouts").key("total"), "a field that was left out"),
    ]);
    assert_eq!(
        report.to_json(),
        json!([
            {
                "file": "d/a.yaml", "line": 3, "column": 5, "what": "a field that was left out"
            },
            {
                "file": "d/a.yaml", "line": 4, "column": 5, "what": "the key",
                "see": { "file": "d/b.yaml", "line": 2, "column": 11, "why": "another" }
            },
            {
                "file": "d/b.yaml", "line": 3, "column": 15,
                "what": "there is no upstream `lost`", "hint": "add it"
            },
        ])
    );
}

#[test]
fn columns_are_counted_in_characters() {
    let text = "version: 1\napplications: [ { name: \"naïve ☕\", labels: { a: ☕, b: 5 } } ]\n";
    let report = read_text("a.yaml", text, &schema(), &Memory::default()).unwrap_err();
    let at = &report.findings()[0].at;
    let column = text.lines().nth(1).unwrap().chars().position(|c| c == '5').unwrap() + 1;
    assert_eq!((at.line, at.column), (2, column));
}

#[test]
fn the_masked_document_shows_no_secret() {
    let around = Memory::default().set("TOKEN", "hunter2").file("token", "hunter3\n");
    let written = written(
        "version: 1\nadmin: { bind: \"x${env:TOKEN}\" }\npolicies:\n  - sign: { secret: hunter4 }\n\
         applications: [ { name: \"${file:token}\", labels: { a: \"$${b}\" } } ]\n",
        &around,
    );
    assert_eq!(
        written.masked(),
        json!({
            "version": 1,
            "admin": { "bind": "***" },
            "policies": [ { "sign": { "secret": "***" } } ],
            "applications": [ { "name": "***", "labels": { "a": "$${b}" } } ],
        })
    );
}

#[test]
fn no_report_shows_a_secret() {
    let around = Memory::default().set("TOKEN", "hunter2").set("SHORT", "ab");
    let text = "version: 1\nadmin: { bind: \"Bearer ${env:TOKEN}\" }\n\
                policies: [ { sign: { secret: hünter4 } } ]\napis: [ { name: \"${env:SHORT}\" } ]\n";
    let written = written(text, &around);
    let secret = Pointer::root().key("policies").index(0).key("sign").key("secret");
    let report = written.report(&[
        Problem::new(&secret, "`hünter4` is too short").hint("not hünter4"),
        Problem::new(&Pointer::root().key("admin"), "hunter2 in Bearer hunter2")
            .see(&secret, "hunter2"),
        Problem::new(&Pointer::root().key("apis"), "`ab` is about right"),
    ]);
    for shown in [report.render(false), report.render(true), report.to_json().to_string()] {
        for secret in ["hunter2", "hünter4", "`ab`"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("about right"), "short secrets leave words alone: {shown}");
    }
}

#[test]
fn a_secret_of_the_wrong_type_is_not_shown_either() {
    let text = "version: 1\npolicies: [ { sign: { secret: 314159 } } ]\n";
    let report = read_text("a.yaml", text, &schema(), &Memory::default()).unwrap_err();
    assert!(!report.to_string().contains("314159"), "{report}");
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let report = read_text("a.yaml", "version: 2", &schema(), &Memory::default()).unwrap_err();
    assert!(report.render(true).contains('\u{1b}'));
    assert!(!report.render(false).contains('\u{1b}'));
}

#[test]
fn a_document_that_is_wrong_everywhere_gives_a_report_of_bounded_length() {
    let entries: String =
        (0..5_000).map(|n| format!("  - {{ name: a{n}, x: 1, y: 2 }}\n")).collect();
    let text = format!("version: 1\napis:\n{entries}");
    let report = read_text("a.yaml", &text, &schema(), &Memory::default()).unwrap_err();
    assert_eq!(report.findings().len(), 1_000);
    let shown = report.to_string();
    assert!(shown.len() < 100_000, "{} bytes", shown.len());
    assert!(shown.contains("of them not shown"), "{}", &shown[shown.len() - 200..]);
}

#[test]
fn a_key_written_a_thousand_times_too_often_is_reported_within_bounds() {
    let text = "version: 1\n".repeat(5_000);
    let report = read_text("a.yaml", &text, &schema(), &Memory::default()).unwrap_err();
    assert_eq!(report.findings().len(), 1_000);
    assert!(report.to_string().ends_with("4999 problems, 4899 of them not shown\n"));
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let long = "x".repeat(100_000);
    let text = format!("{{ \"version\": 1, \"{long}\": 1, \"apis\": 5, \"{long}y\": 1 }}");
    let report = read_text("a.json", &text, &schema(), &Memory::default()).unwrap_err();
    assert!(report.to_string().len() < 8_000, "{}", report.to_string().len());
    let place = report.findings().iter().find(|f| f.what.contains("`apis`")).unwrap();
    assert_eq!(place.at.column, text.find(": 5").unwrap() + 3);
}
