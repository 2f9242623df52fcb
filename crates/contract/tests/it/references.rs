//! What `$ref` may lead to.

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
