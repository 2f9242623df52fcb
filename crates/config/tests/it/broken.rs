//! Every document under `tests/broken/` with the report it must give, which stands beside it as
//! `NAME.txt`.
//!
//! After a change that is meant, run with `BLESS=1` and read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use gateward_config::{Memory, Schema, read};
use serde_json::json;

/// Two policies, as the table of policies would give them.
pub fn schema() -> Schema {
    let rate = json!({
        "type": "object",
        "description": "How many requests a caller may make.",
        "properties": {
            "limit": { "type": "integer", "minimum": 1, "description": "Requests in a window." },
            "window": { "$ref": "#/$defs/Duration" },
            "by": { "type": "string", "enum": ["address", "application"], "default": "address" },
        },
        "required": ["limit", "window"],
        "additionalProperties": false,
        "$defs": { "Duration": { "type": "string", "format": "gateward-duration" } },
    });
    let sign = json!({
        "type": "object",
        "properties": { "secret": { "type": "string", "format": "gateward-secret" }, "for": { "$ref": "#/$defs/Duration" } },
        "additionalProperties": false,
        "$defs": { "Duration": { "type": "string", "format": "gateward-duration" } },
    });
    Schema::with_policies([("rate", rate), ("sign", sign)])
}

#[test]
fn every_broken_document_is_refused_with_the_report_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut documents: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|ending| ending != "txt"))
        .collect();
    documents.sort();
    assert!(documents.len() >= 35, "only {} broken documents", documents.len());
    let schema = schema();
    let mut wrong = Vec::new();
    for document in documents {
        let name = document.file_name().unwrap().to_str().unwrap();
        let expected_path = folder.join(format!("{name}.txt"));
        let got = match read(Path::new(name), &schema, &surroundings(&document, name)) {
            Ok(_) => "it was taken for a good one\n".to_owned(),
            Err(report) => report.to_string(),
        };
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected_path, &got).unwrap();
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if got != expected || got.starts_with("it was") {
            wrong.push(format!("== {name}\n-- expected\n{expected}\n-- got\n{got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The document in memory, and the little world that broken documents refer to.
fn surroundings(document: &Path, name: &str) -> Memory {
    let world = Memory::default()
        .set("WORD", "sesame")
        .set("SECRET_DURATION", "hunter2-is-no-duration")
        .set("NUMBER", "70000")
        .file("binary.key", b"\x00\x01\xff".to_vec())
        .file("latin1.key", b"caf\xe9".to_vec());
    if document.is_dir() {
        return fs::read_dir(document).unwrap().fold(world, |world, entry| {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            world.file(Path::new(name).join(file), fs::read(&path).unwrap())
        });
    }
    world.file(name, fs::read(document).unwrap())
}
