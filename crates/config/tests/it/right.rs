//! Documents that are right, however they are written and spread.

use std::path::{Path, PathBuf};

use gateward_config::v1::Document;
use gateward_config::{Memory, Report, Schema, Written, read, read_text};
use serde_json::{Value, json};

use crate::broken::schema;

fn same(ending: &str) -> String {
    let path = format!("{}/tests/same/orders.{ending}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn text(name: &str, text: &str, around: &Memory) -> Result<Written, Report> {
    read_text(name, text, &schema(), around)
}

fn json_of(document: &Document) -> Value {
    serde_json::to_value(document).unwrap()
}

#[test]
fn yaml_json_and_toml_say_the_same() {
    let documents: Vec<Written> = ["yaml", "json", "toml"]
        .into_iter()
        .map(|ending| {
            let name = format!("orders.{ending}");
            text(&name, &same(ending), &Memory::default())
                .unwrap_or_else(|report| panic!("{report}"))
        })
        .collect();
    for other in &documents[1..] {
        assert_eq!(json_of(&other.document), json_of(&documents[0].document));
        assert_eq!(other.digest, documents[0].digest);
    }
    let document = &documents[0].document;
    assert_eq!(document.apis[0].routes.len(), 3);
    assert_eq!(document.applications[0].labels["motto"], "naïve – ☕");
}

#[test]
fn what_a_document_serialises_to_is_the_same_document() {
    let first = text("a.yaml", &same("yaml"), &Memory::default()).unwrap();
    let again = json_of(&first.document).to_string();
    let second = text("a.json", &again, &Memory::default()).unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(json_of(&second.document), json_of(&first.document));
}

#[test]
fn the_files_of_a_directory_add_up_in_the_order_of_their_names() {
    let around = Memory::default()
        .file("d/20-b.json", r#"{ "apis": [ { "name": "b" } ] }"#)
        .file("d/10-a.yaml", "version: 1\napis: [ { name: a } ]\nadmin: {}\n")
        .file("d/30-c.toml", "version = 1\n[[apis]]\nname = \"c\"\n")
        .file("d/.hidden.yaml", "no document")
        .file("d/notes.md", "none either");
    let written = read(Path::new("d"), &schema(), &around).unwrap_or_else(|r| panic!("{r}"));
    let names: Vec<&str> = written.document.apis.iter().map(|api| api.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(written.folder, Path::new("d"));
    let depends: Vec<&str> = written.depends.iter().filter_map(|path| path.to_str()).collect();
    assert_eq!(depends, ["d", "d/10-a.yaml", "d/20-b.json", "d/30-c.toml"]);

    let together = "version: 1\napis: [ { name: a }, { name: b }, { name: c } ]\nadmin: {}\n";
    let one = text("one.yaml", together, &Memory::default()).unwrap();
    assert_eq!(one.digest, written.digest, "spread over files it is the same document");
}

#[test]
fn references_are_resolved_relative_to_the_file_they_stand_in() {
    let around = Memory::default()
        .file(
            "etc/gateward.yaml",
            concat!(
                "version: 1\n",
                "admin: { bind: \"127.0.0.1:${env:PORT}\" }\n",
                "upstreams:\n",
                "  - name: ${file:secrets/name}\n",
                "    endpoints: [ \"http://${env:HOST:-localhost}:$${x}\" ]\n",
                "    panic_threshold: ${env:PANIC}\n",
            ),
        )
        .file("etc/secrets/name", "orders\r\n")
        .set("PORT", "8090")
        .set("PANIC", "30");
    let path = Path::new("etc/gateward.yaml");
    let written = read(path, &schema(), &around).unwrap_or_else(|r| panic!("{r}"));
    let upstream = &written.document.upstreams[0];
    assert_eq!(written.document.admin.as_ref().unwrap().bind, "127.0.0.1:8090");
    assert_eq!(upstream.name, "orders");
    assert_eq!(upstream.endpoints[0].full().url, "http://localhost:${x}");
    assert_eq!(upstream.panic_threshold, 30);
    let depends = [PathBuf::from("etc/gateward.yaml"), "etc/secrets/name".into()];
    assert_eq!(written.depends, depends);
}

#[test]
fn a_reference_in_what_a_reference_gave_is_just_text() {
    let around = Memory::default().set("OUTER", "${env:INNER}").set("INNER", "secret");
    let written = text("a.yaml", "version: 1\nadmin: { bind: \"${env:OUTER}\" }", &around).unwrap();
    assert_eq!(written.document.admin.unwrap().bind, "${env:INNER}");
}

#[test]
fn the_digest_changes_with_a_resolved_value_and_not_with_the_order_of_keys() {
    let digest = |text_: &str, word: &str| {
        text("a.yaml", text_, &Memory::default().set("WORD", word)).unwrap().digest
    };
    let one = "version: 1\nadmin: { bind: \"${env:WORD}\" }\napis: []\n";
    let other = "apis: []\nadmin:\n  bind: ${env:WORD}\nversion: 1\n";
    assert_eq!(digest(one, "a"), digest(other, "a"));
    assert_ne!(digest(one, "a"), digest(one, "b"));
    assert_eq!(digest(one, "a").len(), 64);
}

#[test]
fn the_schema_holds_the_policies_with_their_own_definitions() {
    let own = |pattern: &str| {
        json!({
            "type": "object",
            "properties": {
                "key": { "$ref": "#/$defs/Key" },
                "other": { "type": ["string", "null"] },
            },
            "required": ["key"],
            "additionalProperties": false,
            "$defs": { "Key": { "type": "string", "pattern": pattern } },
        })
    };
    // `Key` is the document's own already, and another one in each of these.
    let schema = Schema::with_policies([("one", own("^a+$")), ("two", own("^b+$"))]);
    let read = |body: &str| {
        let body = format!("version: 1\npolicies:\n{body}");
        read_text("a.yaml", &body, &schema, &Memory::default()).map(|written| written.document)
    };
    assert!(read("  - one: { key: aaa }\n  - two: { key: bbb, other: x }\n").is_ok());
    assert_eq!(
        read("  - one: { key: bbb }\n  - two: { key: aaa }\n").unwrap_err().findings().len(),
        2
    );
    assert_eq!(read("  - two: { key: bbb, other: ~ }\n").unwrap_err().findings().len(), 1);

    let names = schema.to_json()["$defs"].as_object().unwrap();
    for reference in references(schema.to_json()) {
        let name = reference.strip_prefix("#/$defs/").unwrap();
        assert!(names.contains_key(name), "{reference} leads nowhere");
    }
    assert!(schema.to_json().get("$schema").is_some());
}

fn references(schema: &Value) -> Vec<&str> {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_key_that_comes_twice_is_found_among_many() {
    for (count, twice) in [(5, 0), (5, 4), (17, 3), (18, 17), (1_000, 0), (1_000, 16), (1_000, 999)]
    {
        let labels: String = (0..count).map(|n| format!("k{n}: v, ")).collect();
        let body = format!(
            "version: 1\napplications: [ {{ name: a, labels: {{ {labels}k{twice}: w }} }} ]"
        );
        let report = text("a.yaml", &body, &Memory::default()).unwrap_err();
        let finding = &report.findings()[0];
        assert_eq!(finding.what, format!("`k{twice}` is written twice in one map"), "of {count}");
        let first = body.find(&format!("k{twice}: v")).unwrap() + 1 - body.find('\n').unwrap() - 1;
        assert_eq!(finding.see.as_ref().unwrap().0.column, first);
    }
}
