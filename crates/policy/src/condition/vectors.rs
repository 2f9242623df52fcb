//! The CEL conformance vectors that stand without variables of their own, read where they lie.

use std::fs;
use std::path::Path;

use cel::common::types::CelBool;
use cel::{Context, Value};

use super::language;

/// The tests of `file` whose value is a bool: name, expression, value.
fn vectors(file: &Path) -> Vec<(String, String, bool)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split("  test {")
        .skip(1)
        .filter(|test| !BEYOND.iter().any(|word| test.contains(word)))
        .filter_map(|test| {
            let field = |name: &str| {
                let (_, rest) = test.split_once(&format!("    {name}: "))?;
                quoted(rest)
            };
            let value = match test {
                test if test.contains("value: { bool_value: true }") => true,
                test if test.contains("value: { bool_value: false }") => false,
                _ => return None,
            };
            Some((field("name")?, field("expr")?, value))
        })
        .collect()
}

/// The text in quotes at the start of `rest`, with the escapes of the text format resolved where
/// they are simple.
fn quoted(rest: &str) -> Option<String> {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut out = String::new();
    let mut chars = rest.chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Some(out),
            '\\' => match chars.next()? {
                c @ ('"' | '\'' | '\\') => out.push(c),
                'n' => out.push('\n'),
                _ => return None,
            },
            c => out.push(c),
        }
    }
    None
}

/// Marks of vectors for what conditions do not have: messages, times, variables of the test's own.
const BEYOND: &[&str] =
    &["bindings", "container", "google.protobuf", "duration(", "timestamp(", "TestAllTypes"];

#[test]
fn the_language_answers_as_the_vectors_say() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = here.ancestors().map(|above| above.join("shared/vectors/cel"));
    let Some(folder) = places.into_iter().find(|folder| folder.is_dir()) else {
        eprintln!("not run: no shared/vectors/cel above {}", here.display());
        return;
    };
    let (mut run, mut different) = (0, Vec::new());
    for file in
        ["basic", "comparisons", "integer_math", "fp_math", "lists", "logic", "macros", "string"]
    {
        for (name, text, expected) in vectors(&folder.join(format!("{file}.textproto"))) {
            let case = format!("{file}/{name}: {text}");
            let Ok(expression) = language::parse(&text) else { panic!("{case} is not read") };
            let context = Context::with_env(language::environment());
            let value = Value::resolve_val(&expression, &context);
            let value = value.ok().and_then(|v| v.downcast_ref::<CelBool>().map(|b| *b.inner()));
            if value != Some(expected) {
                different.push(case);
            }
            run += 1;
        }
    }
    assert_eq!(different, Vec::<String>::new());
    assert!(run > 100, "only {run} vectors were read");
}
