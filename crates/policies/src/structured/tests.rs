//! What is written against the public vectors, read where they lie.

use std::fs;
use std::path::Path;

use base64::Engine;
use serde_json::{Value, json};

use super::value::{Bare, Item, Member, write_dictionary, write_list};
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

/// What the vectors write for a bare item.
fn bare(value: &Bare) -> Value {
    let typed = |kind: &str, value: Value| json!({ "__type": kind, "value": value });
    match value {
        Bare::Integer(number) => json!(number),
        Bare::Decimal(thousandths) => json!(*thousandths as f64 / 1_000.0),
        Bare::String(text) => json!(text),
        Bare::Token(text) => typed("token", json!(text)),
        Bare::Bytes(bytes) => typed("binary", json!(base32(bytes))),
        Bare::Boolean(is) => json!(is),
        Bare::Date(seconds) => typed("date", json!(seconds)),
        Bare::Display(text) => typed("displaystring", json!(text)),
    }
}

/// RFC 4648 §6.
fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for five in bytes.chunks(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let bits = bits << (8 * (5 - five.len()));
        let used = (five.len() * 8).div_ceil(5);
        for at in 0..8 {
            let digit = (bits >> (35 - 5 * at) & 31) as usize;
            out.push(if at < used {
                char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[digit])
            } else {
                '='
            });
        }
    }
    out
}

fn params(params: &value::Params) -> Value {
    params.iter().map(|(name, value)| json!([name, bare(value)])).collect()
}

fn item(item: &Item) -> Value {
    json!([bare(&item.value), params(&item.params)])
}

fn member(member: &Member) -> Value {
    match member {
        Member::Item(one) => item(one),
        Member::Inner(items, of) => {
            json!([items.iter().map(item).collect::<Vec<_>>(), params(of)])
        }
    }
}

/// The field read: what it says, and how it is written again.
fn read(kind: &str, field: &[u8]) -> Option<(Value, String)> {
    let mut text = String::new();
    let value = match kind {
        "item" => {
            let one = parse::item(field)?;
            one.write(&mut text);
            item(&one)
        }
        "list" => {
            let members = parse::list(field)?;
            write_list(&members, &mut text);
            members.iter().map(member).collect()
        }
        _ => {
            let members = parse::dictionary(field)?;
            write_dictionary(&members, &mut text);
            members.iter().map(|(name, it)| json!([name, member(it)])).collect()
        }
    };
    Some((value, text))
}

/// Numbers are the same whether written as 1 or as 1.0.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, a)| theirs.get(name).is_some_and(|b| same(a, b)))
        }
        _ => ours == theirs,
    }
}

#[test]
fn fields_are_read_and_written_as_the_vectors_have_them() {
    let mut run = 0;
    for file in [
        "binary",
        "boolean",
        "date",
        "dictionary",
        "display-string",
        "examples",
        "item",
        "key-generated",
        "large-generated",
        "list",
        "listlist",
        "number-generated",
        "number",
        "param-dict",
        "param-list",
        "param-listlist",
        "string-generated",
        "string",
        "token-generated",
        "token",
    ] {
        for vector in vectors(&format!("{file}.json")) {
            let name = format!("{file}: {}", vector["name"].as_str().unwrap());
            let raw: Vec<_> =
                vector["raw"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
            let field = raw.join(", ");
            let found = read(vector["header_type"].as_str().unwrap(), field.as_bytes());
            run += 1;
            if vector["must_fail"] == true {
                assert!(found.is_none(), "{name}: {field:?} is {found:?}");
                continue;
            }
            if vector["can_fail"] == true && found.is_none() {
                continue;
            }
            let (value, written) = found.unwrap_or_else(|| panic!("{name}: {field:?} is not read"));
            assert!(same(&value, &vector["expected"]), "{name}: {value}, not {vector}");
            let canonical = vector.get("canonical").unwrap_or(&vector["raw"]);
            let canonical = canonical.as_array().and_then(|all| all.first());
            let canonical = canonical.and_then(Value::as_str).unwrap_or_default();
            assert_eq!(written, canonical, "{name}");
        }
    }
    eprintln!("{run} vectors");
}

#[test]
fn base32_is_as_the_vectors_write_it() {
    let hello = base64::prelude::BASE64_STANDARD.decode("aGVsbG8=").unwrap();
    assert_eq!(base32(&hello), "NBSWY3DP");
    assert_eq!(base32(b"hell"), "NBSWY3A=");
}
