//! No input brings the reader down: it gives a document or a report, and the report can be shown.

use std::path::Path;

use gateward_config::{Memory, read};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::broken::schema;

const ENDINGS: [&str; 3] = ["yaml", "json", "toml"];

fn reads(ending: &str, bytes: &[u8]) {
    let name = format!("a.{ending}");
    let around = Memory::default().file(&name, bytes).set("WORD", "sesame");
    if let Err(report) = read(Path::new(&name), &schema(), &around) {
        assert!(!report.findings().is_empty());
        assert!(!report.render(true).is_empty());
        assert!(!report.to_json().as_array().unwrap().is_empty());
    }
}

/// Pieces that mean something to one of the formats or to the document.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\n    ",
    "\t",
    " ",
    ":",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "|",
    ">",
    "#",
    "&a",
    "*a",
    "!t",
    "<<",
    "---",
    "...",
    "?",
    "%",
    "\\",
    "\\u",
    "é",
    "☕",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\0",
    "\r",
    "\r\n",
    "=",
    "[[",
    "]]",
    "${",
    "${env:WORD}",
    "${file:x}",
    "$${",
    "}",
    "0",
    "-1",
    "1.5",
    "1e99999",
    ".inf",
    "0x",
    "true",
    "null",
    "~",
    "version",
    "apis",
    "policies",
    "rate",
    "upstreams",
    "name",
    "match",
    "path",
    "hash",
    "@",
    "`",
];

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat())
}

/// The right document with some of it cut out, doubled or replaced.
fn mutated(ending: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let path = format!("{}/tests/same/orders.{ending}", env!("CARGO_MANIFEST_DIR"));
    let whole = std::fs::read(path).unwrap();
    let change = (any::<Index>(), 0usize..40, prop::sample::select(PIECES), any::<bool>());
    prop::collection::vec(change, 1..6).prop_map(move |changes| {
        let mut bytes = whole.clone();
        for (at, length, piece, double) in changes {
            let start = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (start + length).min(bytes.len());
            let cut: Vec<u8> = bytes[start..end].to_vec();
            let put = if double { [&cut[..], &cut[..]].concat() } else { piece.into() };
            bytes.splice(start..end, put);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), ending in 0usize..3) {
        reads(ENDINGS[ending], &bytes);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}", ending in 0usize..3) {
        reads(ENDINGS[ending], text.as_bytes());
    }

    #[test]
    fn any_pieces_of_syntax(text in pieces(), ending in 0usize..3) {
        reads(ENDINGS[ending], text.as_bytes());
    }

    #[test]
    fn any_pieces_after_a_good_start(text in pieces()) {
        reads("yaml", format!("version: 1\napis:\n  - name: a\n    {text}").as_bytes());
    }

    #[test]
    fn mutated_yaml(bytes in mutated("yaml")) {
        reads("yaml", &bytes);
    }

    #[test]
    fn mutated_json(bytes in mutated("json")) {
        reads("json", &bytes);
    }

    #[test]
    fn mutated_toml(bytes in mutated("toml")) {
        reads("toml", &bytes);
    }
}
