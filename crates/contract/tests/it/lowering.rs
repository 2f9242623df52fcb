//! Schemas of OpenAPI as JSON Schema has them.

use gateward_contract::Direction;
use serde_json::{Value, json};

use crate::{read, schema};

/// What becomes of `written` in a body, in a document of this version.
fn lowered(version: &str, written: &Value, direction: Direction) -> Value {
    let contract = json!({
        "openapi": version,
        "paths": { "/": { "post": {
            "requestBody": { "content": { "application/json": { "schema": written } } },
            "responses": { "200": { "content": { "application/json": { "schema": written } } } },
        } } },
        "components": { "schemas": { "Id": { "type": "integer", "readOnly": true } } },
    });
    let contract = read(&[("a.json", &contract.to_string())]).unwrap();
    schema(&contract, direction)["$defs"]["0"].clone()
}

#[test]
fn what_older_versions_have_in_their_own_way() {
    for (written, expected) in [
        (json!({ "type": "string", "nullable": true }), json!({ "type": ["string", "null"] })),
        (
            json!({ "type": "string", "enum": ["a"], "nullable": true }),
            json!({ "type": ["string", "null"], "enum": ["a", null] }),
        ),
        (
            json!({ "nullable": true, "allOf": [{ "type": "string" }] }),
            json!({ "anyOf": [{ "type": "null" }, { "allOf": [{ "type": "string" }] }] }),
        ),
        (
            json!({ "minimum": 1, "exclusiveMinimum": true, "maximum": 5,
                "exclusiveMaximum": false }),
            json!({ "exclusiveMinimum": 1, "maximum": 5 }),
        ),
        (
            json!({ "$ref": "#/components/schemas/Id", "description": "left out", "minimum": 7 }),
            json!({ "$ref": "#/$defs/1" }),
        ),
        (
            json!({ "type": "object", "example": { "$ref": "#/nowhere" }, "x-more": 1 }),
            json!({ "type": "object" }),
        ),
    ] {
        assert_eq!(lowered("3.0.3", &written, Direction::Request), expected, "{written}");
    }
}

#[test]
fn since_3_1_schemas_are_json_schema() {
    for (written, expected) in [
        (
            json!({ "$ref": "#/components/schemas/Id", "minimum": 7 }),
            json!({ "$ref": "#/$defs/1", "minimum": 7 }),
        ),
        (
            json!({ "format": "int32", "minimum": 0 }),
            json!({ "format": "int32", "minimum": 0, "maximum": 2_147_483_647 }),
        ),
        (json!({ "exclusiveMinimum": 1 }), json!({ "exclusiveMinimum": 1 })),
        (json!({ "nullable": true, "type": "string" }), json!({ "type": "string" })),
        (
            json!({ "prefixItems": [{ "const": 1 }], "unevaluatedItems": false }),
            json!({ "prefixItems": [{ "const": 1 }], "unevaluatedItems": false }),
        ),
        (json!({ "properties": { "$ref": true } }), json!({ "properties": { "$ref": true } })),
    ] {
        assert_eq!(lowered("3.1.0", &written, Direction::Request), expected, "{written}");
    }
}

#[test]
fn what_goes_the_other_way_only_is_not_required() {
    let written = json!({
        "required": ["id", "other", "secret", "name"],
        "properties": {
            "id": { "readOnly": true },
            "other": { "$ref": "#/components/schemas/Id" },
            "secret": { "writeOnly": true },
            "name": {},
        },
    });
    let request = lowered("3.0.0", &written, Direction::Request);
    assert_eq!(request["required"], json!(["secret", "name"]));
    let response = lowered("3.1.0", &written, Direction::Response);
    assert_eq!(response["required"], json!(["id", "other", "name"]));
}
