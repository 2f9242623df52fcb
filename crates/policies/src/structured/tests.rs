//! What is written against the public vectors, read where they lie.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::*;

/// The vectors of `file`; none, and said so, where there are no vectors.
fn vectors(file: &str) -> Vec<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = here
        .ancestors()
        .map(|above| above.join("shared/vectors/structured-fields").join(file))
        .find(|place| place.is_file());
    let Some(place) = place else {
        eprintln!("not run: no shared/vectors/structured-fields/{file} above {}", here.display());
        return Vec::new();
    };
    serde_json::from_str(&fs::read_to_string(place).unwrap()).unwrap()
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn strings_are_written_as_the_vectors_have_them() {
    let vectors = vectors("string-generated.json");
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let Some(text) = vector["expected"][0].as_str() else {
            assert_eq!(vector["must_fail"], true, "{name}");
            continue;
        };
        let ours = string(text);
        let canonical = vector.get("canonical").unwrap_or(&vector["raw"])[0].as_str().unwrap();
        // Quotes and backslashes are never written, so that no reader has to know of escapes.
        assert_eq!(ours, canonical.replace("\\\\", "-").replace("\\\"", "-"), "{name}");
    }
}

#[test]
fn what_a_string_can_not_hold_is_left_out() {
    assert_eq!(string("a\r\nb\u{7f}\u{e9}\"\\"), "\"a--b----\"");
}

#[test]
fn integers_stay_within_15_digits() {
    for vector in vectors("number-generated.json") {
        let Some(number) = vector["expected"][0].as_u64() else { continue };
        let raw = vector["raw"][0].as_str().unwrap();
        let ours = written(|out| write_integer(out, number));
        assert_eq!(ours, raw.trim_start_matches('0').to_owned().max("0".into()), "{raw}");
    }
    assert_eq!(written(|out| write_integer(out, u64::MAX)), "999999999999999");
}
