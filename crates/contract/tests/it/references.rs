//! What `$ref` may lead to.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use gateward_contract::Direction;

use crate::{read, said, schema};

/// A contract whose body has the schema `schema`, in YAML.
fn with_body(schema: &str) -> String {
    format!(
        "openapi: 3.1.0\npaths:\n  /:\n    post:\n      requestBody:\n        content:\n          \
         application/json: {{ schema: {schema} }}\n"
    )
}

/// What is said of a reference, among files that are there.
fn wrong(reference: &str) -> String {
    let text = with_body(&format!("{{ $ref: \"{reference}\" }}"));
    let files = [
        ("api/a.yaml", text.as_str()),
        ("api/parts/b.yaml", "A: { $ref: \"../c.yaml#/C\" }\nUp: { $ref: \"../../secret.yaml\" }"),
        ("api/c.yaml", "C: { $ref: \"parts/b.yaml#/A\" }\nD: { $anchor: d, type: string }"),
        ("api/broken.yaml", "a: [1"),
        ("secret.yaml", "{ type: string }"),
        ("common.yaml", "E: { type: integer }"),
    ];
    let at = base::Pointer::root();
    match read(&files).and_then(|contract| contract.schema(Direction::Request, &at).map(|_| ())) {
        Ok(()) => String::new(),
        Err(problems) => said(&problems),
    }
}

#[test]
fn files_beside_the_document_and_those_that_are_named_are_followed() {
    for reference in [
        "#/paths/~1",
        "c.yaml#/D",
        "./parts/../c.yaml#d",
        "parts/b.yaml#/A",
        "https://example.com/common#/E",
    ] {
        assert_eq!(wrong(reference), "", "{reference}");
    }
}

#[test]
fn nothing_else_is() {
    for (reference, what) in [
        ("https://example.com/other", "nothing is fetched"),
        ("file:///secret.yaml", "nothing is fetched"),
        ("/secret.yaml", "not beside the document"),
        ("../secret.yaml", "not beside the document"),
        ("parts/%2e%2e/%2e%2e/secret.yaml", "not beside the document"),
        ("parts/b.yaml#/Up", "not beside the document"),
        ("nowhere.yaml", "there is no file `api/nowhere.yaml`"),
        ("broken.yaml", "line 1"),
        ("#/components/schemas/None", "leads nowhere"),
        ("#none", "leads nowhere"),
    ] {
        let said = wrong(reference);
        assert!(said.contains(what), "{reference}: {said}");
    }
}

#[test]
fn references_in_a_circle_end() {
    let text = "openapi: 3.0.0\npaths: { /: { $ref: \"#/x\" } }\nx: { $ref: \"#/y\" }\ny: { $ref: \"#/x\" }";
    let problems = read(&[("a.yaml", text)]).unwrap_err();
    assert!(said(&problems).contains("without an end"), "{problems:?}");

    let tree = with_body("{ $ref: \"#/t\" }") + "t: { properties: { left: { $ref: \"#/t\" } } }\n";
    let contract = read(&[("a.yaml", &tree)]).unwrap();
    let made = schema(&contract, Direction::Request);
    assert_eq!(made["$defs"].as_object().unwrap().len(), 2, "{made}");
}

/// Aliases, paths, nesting and references have a bound, and nothing is fetched.
///
/// Seen to fail: without the bound on operations.
#[test]
fn fa_F05_documents_made_to_hurt_are_refused() {
    let refused = |text: &str| {
        let problems = read(&[("a.yaml", text)]).map(|_| ()).unwrap_err();
        said(&problems)
    };
    let laughs = "openapi: 3.0.0\na: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &(1..9)
            .map(|n| {
                let (this, last) = (char::from(b'a' + n), char::from(b'a' + n - 1));
                format!("{this}: &{this} [{}*{last}]\n", format!("*{last}, ").repeat(9))
            })
            .collect::<String>();
    assert!(refused(&laughs).contains("line "), "{}", refused(&laughs));
    let paths: String = (0..100_000).map(|n| format!("  /{n}: {{ get: {{}} }}\n")).collect();
    let many = refused(&format!("openapi: 3.0.0\npaths:\n{paths}"));
    assert!(many.contains("more than 20000 operations"), "{many}");
    let deep = format!("{{\"openapi\":\"3.0.0\",\"paths\":{}", "[".repeat(100_000));
    assert!(refused(&deep).contains("deep"), "{}", refused(&deep));
    let circle = "openapi: 3.0.0\npaths: { /: { $ref: \"#/paths/~1\" } }";
    assert!(refused(circle).contains("without an end"));
    assert!(wrong("http://127.0.0.1:1/a.yaml").contains("nothing is fetched"));
}
