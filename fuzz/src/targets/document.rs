//! Documents in YAML, JSON and TOML. What is refused is refused with a reason and its place; what
//! is taken means the same when it is written as JSON, and JSON the same when it is read as YAML.

use super::documents::{check, read};

/// Bytes of a text; longer ones teach nothing more.
const TEXT_MAX: usize = 16 << 10;

/// A text, read in every format.
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if text.len() > TEXT_MAX {
        return;
    }
    let [_, json, yaml] =
        ["fuzz.toml", "fuzz.json", "fuzz.yaml"].map(|name| match read(name, text) {
            Ok(written) => {
                as_json(&written);
                Some(written)
            }
            Err(report) => {
                check(&report, text);
                None
            }
        });
    if let (Some(json), Some(yaml)) = (&json, &yaml) {
        assert_eq!(json.digest, yaml.digest, "one text, two meanings");
    }
}

/// Written as JSON it is the same document, unless a secret is masked in it.
fn as_json(written: &config::Written) {
    let text = written.masked().to_string();
    if text.contains("***") {
        return;
    }
    match read("again.json", &text) {
        Ok(again) => assert_eq!(again.digest, written.digest, "it means another thing as JSON"),
        Err(report) => panic!("it is refused as JSON: {report}"),
    }
}
