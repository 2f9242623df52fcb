//! Files that a document names and that are written like one: their values alone.

use std::path::Path;

use serde_json::Value;

use crate::fault::Faults;
use crate::format::Format;
use crate::read::decode;

/// The value that the file `name` holds, as YAML, JSON or TOML by its ending; without one it is
/// YAML, which JSON is too. Nothing in it is resolved. Keys that stand twice, aliases that grow
/// without bound and lists nested too deep are refused, as in documents.
///
/// # Errors
/// What is wrong first, with its line and column.
pub fn read_value(name: &str, bytes: Vec<u8>) -> Result<Value, String> {
    let text = decode(bytes)?;
    let format = Format::of(Path::new(name)).unwrap_or(Format::Yaml);
    let mut faults = Faults::default();
    let tree = format.parse(0, &text, &mut faults);
    match (tree, faults.kept().first()) {
        (Some(tree), None) => Ok(tree.value(&|_| None)),
        (_, Some(fault)) => {
            let (line, column) = position(&text, fault.place.start as usize);
            Err(format!("line {line}, column {column}: {}", fault.what))
        }
        (None, None) => Err("nothing could be read".into()),
    }
}

/// The line and column, from 1, of the byte `at` of `text`.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..text.floor_char_boundary(at)).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_read_by_its_ending_and_what_is_wrong_has_a_place() {
        let read = |name: &str, text: &str| read_value(name, text.as_bytes().to_vec());
        assert_eq!(
            read("a.yaml", "a: [1, no, '2']\n200: x"),
            Ok(json!({"a": [1, "no", "2"], "200": "x"}))
        );
        assert_eq!(read("a.json", r#"{"a": null}"#), Ok(json!({ "a": null })));
        assert_eq!(read("a", "a: ${env:HOME}"), Ok(json!({ "a": "${env:HOME}" })));
        let twice = read("a.yaml", "b: 1\na: 1\na: 2\n").unwrap_err();
        assert!(twice.starts_with("line 3, column 1: "), "{twice}");
        let cut = read("a.json", "{\n  \"a\": ").unwrap_err();
        assert!(cut.starts_with("line 2, column 8: "), "{cut}");
        assert!(read("a.json", "").is_err());
    }
}
