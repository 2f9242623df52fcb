//! JSON Schema, without HTTP: a schema made ready once, and what is wrong with a value by it.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use base::{Pointer, Problem};
use contract::Origins;
use jsonschema::{PatternOptions, Retrieve, Uri, ValidationError};
use policy::Violation;
use serde_json::Value;

/// Most bytes of a pointer or a message that are told: both may hold names that were sent.
const TOLD: usize = 200;

/// A schema, made ready.
pub(in crate::protect) struct Validator(jsonschema::Validator);

/// Schemas that others refer to, by the URI they are referred to by.
#[derive(Default)]
pub(in crate::protect) struct References(pub(super) HashMap<String, Value>);

impl Validator {
    /// Makes `schema` ready, of the draft that its `$schema` names, or else 2020-12. Its patterns
    /// run in linear time; what it refers to is among `references` or in itself.
    ///
    /// # Errors
    /// It is no schema, refers to what isn't there, or has a pattern that can't be matched in
    /// linear time.
    pub fn new(schema: &Value, references: References, formats: bool) -> Result<Self, Wrong> {
        let options = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(formats)
            .should_ignore_unknown_formats(true)
            .with_retriever(references);
        options.build(schema).map(Self).map_err(|error| Wrong::new(&error))
    }

    /// What is wrong with `value`, at most `most` of it.
    pub fn judge(&self, value: &Value, most: usize) -> Vec<Violation> {
        // Most bodies are right, and this is several times cheaper than looking for errors.
        if self.0.is_valid(value) {
            return Vec::new();
        }
        self.0.iter_errors(value).take(most.max(1)).map(|error| violation(&error)).collect()
    }
}

/// Takes every pattern out of `schema` that can't be matched in linear time.
pub(in crate::protect) fn without_hard_patterns(schema: &mut Value) {
    let mut known = HashMap::new();
    let mut is_hard = |pattern: &str| {
        *known.entry(pattern.to_owned()).or_insert_with(|| {
            let alone = serde_json::json!({ "pattern": pattern });
            Validator::new(&alone, References::default(), false).is_err()
        })
    };
    remove(schema, &mut is_hard);
}

fn remove(schema: &mut Value, is_hard: &mut impl FnMut(&str) -> bool) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| remove(item, is_hard)),
        Value::Object(members) => {
            let pattern = members.get("pattern").and_then(Value::as_str);
            if pattern.is_some_and(&mut *is_hard) {
                members.remove("pattern");
            }
            if let Some(Value::Object(named)) = members.get_mut("patternProperties") {
                named.retain(|pattern, _| !is_hard(pattern));
            }
            let inner =
                members.iter_mut().filter(|(key, _)| !matches!(key.as_str(), "enum" | "const"));
            inner.for_each(|(_, member)| remove(member, is_hard));
        }
        _ => {}
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

/// Why a schema can't be used.
#[derive(Debug)]
pub(in crate::protect) struct Wrong {
    /// The steps from the schema's root to what is wrong.
    pub at: Vec<String>,
    /// What is.
    pub what: String,
}

impl Wrong {
    fn new(error: &ValidationError<'_>) -> Self {
        let at = error.instance_path().as_str();
        let unescape = |step: &str| step.replace("~1", "/").replace("~0", "~");
        Self { at: at.split('/').skip(1).map(unescape).collect(), what: error.to_string() }
    }
}

impl Wrong {
    /// The same, of a contract that is named at `place`.
    pub(in crate::protect) fn of_contract(self, origins: &Origins, place: &Pointer) -> Problem {
        let at = origins.of(&format!("/{}", self.at.join("/")));
        let hint = "correct the schema there; patterns that look around or back can be left out: \
                    `contract: { file: …, hard_patterns: ignore }`";
        Problem::new(place, format!("at `{at}` of the contract: {}", self.what)).hint(hint)
    }
}

fn violation(error: &ValidationError<'_>) -> Violation {
    Violation {
        pointer: cut(error.instance_path().as_str().to_owned()),
        rule: cut(error.schema_path().as_str().to_owned()),
        what: cut(error.masked_with("it").to_string()),
    }
}

fn cut(mut text: String) -> Box<str> {
    if text.len() > TOLD {
        text.truncate(text.floor_char_boundary(TOLD));
        text.push('…');
    }
    text.into()
}

impl Retrieve for References {
    /// Nothing is ever fetched.
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let asked = uri.as_str();
        // What a schema without an `$id` calls `line.json`.
        let relative = asked.strip_prefix("json-schema:///").unwrap_or(asked);
        let found = self.0.get(asked).or_else(|| self.0.get(relative)).cloned();
        found.ok_or_else(|| format!("`{relative}` is not among `references`").into())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// The official test suite, where it lies.
    fn suite() -> Option<PathBuf> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let places = here.ancestors().map(|above| above.join("shared/vectors/json-schema"));
        let found = places.into_iter().find(|folder| folder.is_dir());
        if found.is_none() {
            eprintln!("not run: no shared/vectors/json-schema above {}", here.display());
        }
        found
    }

    /// The schemas that the suite's refer to, as it wants them served.
    fn remotes(folder: &Path, under: &str, into: &mut HashMap<String, Value>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{under}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                remotes(&path, &name, into);
            } else if let Ok(value) = serde_json::from_slice(&std::fs::read(&path).unwrap()) {
                into.insert(name, value);
            }
        }
    }

    /// What is answered otherwise than the suite has it, and why.
    const DIFFERENT: &[(&str, &str)] = &[];

    /// Cases run, and those that went otherwise, of the suite's files in `draft`.
    fn run(suite: &Path, draft: &str, uri: &str) -> (usize, Vec<String>) {
        let mut served = HashMap::new();
        remotes(&suite.join("remotes"), "http://localhost:1234", &mut served);
        let (mut run, mut otherwise) = (0, Vec::new());
        let mut files: Vec<_> = std::fs::read_dir(suite.join(draft)).unwrap().collect();
        files.sort_by_key(|entry| entry.as_ref().unwrap().path());
        for path in files.into_iter().map(|entry| entry.unwrap().path()).filter(|at| at.is_file()) {
            let groups: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            for group in groups.as_array().unwrap() {
                let mut schema = group["schema"].clone();
                if let Some(object) = schema.as_object_mut() {
                    object.entry("$schema").or_insert_with(|| uri.into());
                }
                let title = format!("{}: {}", path.display(), group["description"]);
                // The suite has formats as annotations; they are tested on their own.
                let made = Validator::new(&schema, References(served.clone()), false);
                for test in group["tests"].as_array().unwrap() {
                    run += 1;
                    let right = made.as_ref().is_ok_and(|validator| {
                        validator.judge(&test["data"], 5).is_empty() == test["valid"]
                    });
                    let known = DIFFERENT.iter().any(|(known, _)| title.contains(known));
                    if right == known {
                        let wrong = made.as_ref().err().map(|wrong| wrong.what.as_str());
                        otherwise.push(format!("{title}: {} {wrong:?}", test["description"]));
                    }
                }
            }
        }
        (run, otherwise)
    }

    #[test]
    fn the_official_suite_passes() {
        let Some(suite) = suite() else { return };
        for (draft, uri, least) in [
            ("draft2020-12", "https://json-schema.org/draft/2020-12/schema", 1200),
            ("draft7", "http://json-schema.org/draft-07/schema#", 850),
        ] {
            let (run, otherwise) = run(&suite, draft, uri);
            assert!(run > least, "{draft}: only {run} were run");
            assert!(otherwise.is_empty(), "{draft}, {run} run:\n{}", otherwise.join("\n"));
        }
    }

    fn ready(schema: &Value) -> Result<Validator, Wrong> {
        Validator::new(schema, References::default(), true)
    }

    #[test]
    fn formats_are_held_to() {
        for (format, good, bad) in [
            ("date-time", "2026-11-26T21:00:00Z", "2026-13-26T21:00:00Z"),
            ("date", "2026-02-28", "2026-02-30"),
            ("email", "a@example.com", "a@@example.com"),
            ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08"),
            ("ipv4", "192.0.2.1", "192.0.2.256"),
            ("ipv6", "2001:db8::1", "2001:db8::1::2"),
            ("uri", "https://example.com/a", "no scheme"),
        ] {
            let validator = ready(&serde_json::json!({ "format": format })).unwrap();
            assert!(validator.judge(&good.into(), 1).is_empty(), "{format}: {good}");
            assert!(!validator.judge(&bad.into(), 1).is_empty(), "{format}: {bad}");
        }
    }

    #[test]
    fn patterns_that_need_backtracking_are_refused() {
        let wrong = ready(&serde_json::json!({ "pattern": "^(?=.*a)b" })).unwrap_err();
        assert!(!wrong.what.is_empty());
        let evil = ready(&serde_json::json!({ "pattern": "^(a+)+$" })).unwrap();
        let text = "a".repeat(100_000) + "b";
        assert_eq!(evil.judge(&text.into(), 1).len(), 1, "in linear time");
    }

    #[test]
    fn what_is_told_is_bounded_and_holds_nothing_of_the_values() {
        let schema = serde_json::json!({
            "additionalProperties": { "type": "integer" },
        });
        let validator = ready(&schema).unwrap();
        let long = "n".repeat(10_000);
        let mut value = serde_json::Map::new();
        for number in 0..1000 {
            value.insert(format!("{number}{long}"), "hunter2".into());
        }
        let told = validator.judge(&value.into(), 3);
        assert_eq!(told.len(), 3);
        for one in told {
            assert!(one.pointer.len() < TOLD + 4 && one.what.len() < TOLD + 4, "{one:?}");
            assert!(!one.what.contains("hunter2"), "{one:?}");
        }
    }

    #[test]
    fn nothing_is_fetched() {
        let schema = serde_json::json!({ "$ref": "file:///etc/hostname" });
        assert!(ready(&schema).unwrap_err().what.contains("is not among `references`"));
    }
}
