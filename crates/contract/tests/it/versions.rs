//! Versions before and after.

use gateward_contract::{Direction, In, Style};
use serde_json::json;

use crate::{read, said, schema};

#[test]
fn version_2_is_read_as_3_has_it() {
    let contract = read(&[("a.yaml", include_str!("swagger.yaml"))]).unwrap();
    assert_eq!(contract.servers, ["https://pets.example.com/v1"]);
    let [find, add, upload] = contract.operations.as_slice() else { panic!("{contract:?}") };
    let told: Vec<_> = find
        .parameters
        .iter()
        .map(|one| (one.place, one.name.as_str(), one.style, one.explode))
        .collect();
    assert_eq!(
        told,
        [
            (In::Query, "limit", Style::Form, false),
            (In::Query, "tags", Style::Form, true),
            (In::Query, "ids", Style::Pipe, false),
            (In::Header, "X-Some", Style::Simple, false),
        ]
    );
    let media = |number: usize| -> Vec<String> {
        let body = contract.operations[number].body.as_ref().unwrap();
        body.contents.iter().map(|content| content.media.as_str().to_owned()).collect()
    };
    assert!(find.body.is_none() && add.body.as_ref().unwrap().required);
    assert_eq!(
        (media(1), media(2)),
        (
            vec!["application/xml".to_owned(), "application/json".to_owned()],
            vec!["multipart/form-data".to_owned()]
        )
    );
    assert_eq!(upload.parameters.len(), 0);

    let made = schema(&contract, Direction::Request);
    let limit = &made["properties"]["0"]["properties"]["query"]["properties"]["limit"]["$ref"];
    let limit = made.pointer(&limit.as_str().unwrap()[1..]).unwrap();
    assert_eq!(*limit, json!({ "type": "integer", "maximum": 50 }));
    let made = schema(&contract, Direction::Response);
    assert!(
        made["properties"]["0"]["properties"]["0"]["properties"]["body:0"].is_object(),
        "{made}"
    );
}

#[test]
fn what_is_no_contract_is_refused() {
    for (text, what) in [
        ("openapi: 3.2.0\npaths: {}", "version `3.2.0` is not read here"),
        ("swagger: 1.2\npaths: {}", "version `1.2` is not read here"),
        ("info: {}", "neither `openapi` nor `swagger`"),
        ("[1]", "another value"),
        ("openapi: 3.0.0", "there are no `paths`"),
        (
            "openapi: 3.0.0\npaths: { /a: { get: { parameters: [ { name: a } ] } } }",
            "a parameter has a `name`",
        ),
        (
            "openapi: 3.0.0\npaths: { /a: { get: { parameters: [ { name: a, in: path } ] } } }",
            "has no `{a}`",
        ),
        (
            "openapi: 3.0.0\npaths: { /a: { get: { parameters: [ { name: a b, in: header } ] } } }",
            "no name of a header field",
        ),
        (
            "openapi: 3.0.0\npaths: { /a: { get: { parameters: [ { name: a, in: query, style: fancy } ] } } }",
            "`fancy` is no style",
        ),
        ("openapi: 3.0.0\npaths: { /a: { get: { responses: { ok: {} } } } }", "`ok` is no status"),
        (
            "openapi: 3.0.0\npaths: { /a: { get: { operationId: x }, put: { operationId: x } } }",
            "is that of `/paths/~1a/get` too",
        ),
    ] {
        let problems = read(&[("a.yaml", text)]).map(|_| ()).unwrap_err();
        assert!(said(&problems).contains(what), "{text}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.hint.is_some()), "{problems:?}");
    }
}
