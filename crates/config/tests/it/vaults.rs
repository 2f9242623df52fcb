//! `${vault:…}`, with a vault that is made up.

use std::env::VarError;
use std::io;
use std::path::Path;

use gateward_config::{Memory, Report, Surroundings, Wanted, Written, read_text};

use crate::broken::schema;

/// Holds `secret/app#key` for those who show the token `t0k`.
struct Around(Memory);

impl Surroundings for Around {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.0.variable(name)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.0.read(path, limit)
    }

    fn list(&self, path: &Path) -> io::Result<Option<Vec<String>>> {
        self.0.list(path)
    }

    fn secret(&self, wanted: &Wanted<'_>) -> Result<String, String> {
        let token = wanted.vault.token.as_ref().map(|token| token.expose());
        match (token, wanted.path, wanted.field) {
            (Some("t0k"), "secret/app", "key") => Ok("hunter2-${env:HOME}".into()),
            (Some("t0k"), "secret/app", "packed") => Ok("aHVudGVy\nMg==".into()),
            _ => Err("there is none".into()),
        }
    }
}

fn read(vault: &str, name: &str) -> Result<Written, Report> {
    let text =
        format!("version: 1\nsecrets: {{ vault: {vault} }}\napis: [ {{ name: \"{name}\" }} ]\n");
    let around = Around(Memory::default().set("TOKEN", "t0k"));
    // The file's name tells its format; nothing is read from there.
    read_text("a.yaml", &text, &schema(), &around)
}

#[test]
fn a_secret_stands_where_it_is_referred_to_and_is_shown_nowhere() {
    let written = read("{ token: \"${env:TOKEN}\" }", "a-${vault:secret/app#key}");
    let written = written.unwrap_or_else(|report| panic!("{report}"));
    let name = &written.document.apis[0].name;
    assert_eq!(name, "a-hunter2-${env:HOME}", "what it holds is not expanded again");
    let shown = format!("{} {written:?}", written.masked());
    assert!(!shown.contains("hunter2") && !shown.contains("t0k"), "{shown}");
    let packed = read("{ token: t0k }", "${vault:secret/app#packed|base64}").unwrap();
    assert_eq!(packed.document.apis[0].name, "hunter2");
}

#[test]
fn what_is_not_there_refuses_the_document() {
    for (vault, name, what) in [
        ("{ token: t0k }", "${vault:secret/app#none}", "there is none"),
        ("{ token: wrong }", "${vault:secret/app#key}", "there is none"),
        ("{ token: t0k }", "${vault:secret/app}", "names no field"),
        ("{ token: t0k }", "${vault:secret#key}", "names no field"),
        ("{ token: t0k }", "${vault:secret/../sys#key}", "names no field"),
        ("{ token: t0k }", "${vault:secret/app?x#key}", "names no field"),
        ("{ token: t0k }", "${vault:secret/app#key|base64}", "is not base64"),
        ("{ token: \"${vault:secret/app#key}\" }", "a", "the vault's own settings"),
        ("{ token: 7, colour: red }", "${vault:secret/app#key}", "not what it should be"),
    ] {
        let report = read(vault, name).unwrap_err();
        assert!(report.to_string().contains(what), "{vault} {name}: {report}");
        assert!(!report.to_string().contains("hunter2"), "{report}");
    }
}
