//! Section F of the list of faults, as far as bodies are concerned: what is hostile is refused by
//! every policy that looks into them.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use policy::Policy;
use policy::message::{Body, Method};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::REGISTRY;
use crate::harness::{Bench, exchange, refusal};

fn made(name: &str, settings: &Value) -> Arc<dyn Policy> {
    let kind = REGISTRY.find(name).unwrap();
    Bench::default().compile(kind, settings).unwrap_or_else(|bad| panic!("{name}: {bad:?}"))
}

/// The code that a body of this type is refused with; none where it passes.
fn refused(
    policy: &dyn Policy,
    kind: &str,
    coding: Option<&str>,
    body: &str,
) -> Option<&'static str> {
    let mut exchange = exchange();
    exchange.request.method = Method::Post;
    exchange.request.headers.append("content-type", kind);
    if let Some(coding) = coding {
        exchange.request.headers.append("content-encoding", coding);
    }
    exchange.request.body = Body::from(body.as_bytes().to_vec());
    refusal(policy.on_request(&mut exchange)).map(|refusal| refusal.code.name)
}

/// Nothing is inflated here, so that nothing can grow; and nothing passes unseen by being
/// compressed.
///
/// Seen to fail: without the looks at `Content-Encoding`.
#[test]
fn fa_F12_compressed_bodies_are_refused_where_bodies_are_looked_into() {
    for (name, settings, kind) in [
        ("json_threat", json!({ "other_types": "pass" }), "application/json"),
        ("xml_threat", json!({ "other_types": "pass" }), "application/xml"),
        ("schema", json!({ "schema": true, "other_types": "pass" }), "application/json"),
        ("graphql", json!({ "other_types": "pass" }), "application/json"),
        ("patterns", json!({}), "application/json"),
    ] {
        let policy = made(name, &settings);
        for coding in ["gzip", "br", "zstd", "deflate", "gzip, gzip", "identity"] {
            let code = refused(&*policy, kind, Some(coding), "{}");
            let told = [
                "body_type_unsupported",
                "body_type_not_xml",
                "graphql_type_unsupported",
                "body_compressed",
            ];
            assert!(code.is_some_and(|code| told.contains(&code)), "{name}, {coding}: {code:?}");
        }
    }
}

/// What is nested, large, repeated or defines entities is refused by what it is.
///
/// Seen to fail: without the bounds of depth.
#[test]
fn fa_F14_json_and_xml_made_to_hurt_are_refused() {
    let (json, xml) = (made("json_threat", &json!({})), made("xml_threat", &json!({})));
    let many: String = (0..2_000).map(|n| format!("\"k{n}\":1,")).collect();
    for (what, body) in [
        ("nested", "[".repeat(10_000) + &"]".repeat(10_000)),
        ("members", format!("{{{}\"z\":1}}", many)),
        ("a long text", format!("\"{}\"", "x".repeat(100_000))),
        ("a member twice", "{\"a\":1,\"\\u0061\":2}".to_owned()),
        ("a number", "1e999999".to_owned()),
    ] {
        let code = refused(&*json, "application/json", None, &body);
        assert!(matches!(code, Some("json_threat" | "body_not_json")), "{what}: {code:?}");
    }
    let laughs = "<!DOCTYPE a [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><a>&b;</a>";
    for (what, body) in [
        ("nested", "<a>".repeat(10_000) + &"</a>".repeat(10_000)),
        ("children", format!("<a>{}</a>", "<b/>".repeat(2_000))),
        ("a long text", format!("<a>{}</a>", "x".repeat(100_000))),
        ("entities", laughs.to_owned()),
        ("an external entity", "<!DOCTYPE a SYSTEM 'http://a/b.dtd'><a/>".to_owned()),
    ] {
        let code = refused(&*xml, "application/xml", None, &body);
        assert_eq!(code, Some("xml_threat"), "{what}");
    }
}

/// Every expression is matched in time that grows as the text does, and none may be larger than a
/// bound.
///
/// Seen to fail: without `size_limit`.
#[test]
fn fa_F15_expressions_are_linear_and_bounded() {
    let evil = made(
        "patterns",
        &json!({
            "libraries": [], "patterns": [{ "name": "evil", "regex": "^(a+)+$" }],
        }),
    );
    let text = "a".repeat(100 << 10) + "!";
    assert_eq!(refused(&*evil, "text/plain", None, &text), None);
    let schema = made("schema", &json!({ "schema": { "items": { "pattern": "^(a+)+$" } } }));
    let body = format!("[\"{text}\"]");
    assert_eq!(refused(&*schema, "application/json", None, &body), Some("body_invalid"));

    let kind = REGISTRY.find("patterns").unwrap();
    for regex in ["(a{1000}){1000}", "(?=a)b", "(a)\\1"] {
        let settings = json!({ "patterns": [{ "name": "a", "regex": regex }] });
        let problems = Bench::default().compile(kind, &settings).map(|_| ()).unwrap_err();
        assert!(problems[0].what.contains("can't be used"), "{regex}: {problems:?}");
    }
}

/// Aliases, depth, circles and batches have a bound.
///
/// Seen to fail: without the bound on aliases.
#[test]
fn fa_F16_graphql_made_to_hurt_is_refused() {
    let graphql =
        made("graphql", &json!({ "tokens": 100_000, "fields": 100_000, "cost": 100_000 }));
    let aliases: String = (0..10_000).map(|n| format!("a{n}: me ")).collect();
    for (what, query) in [
        ("aliases", format!("{{ {aliases} }}")),
        ("depth", "{ a ".repeat(50) + &"}".repeat(50)),
        ("fragments", "{ ...F } fragment F on T { a { ...F } }".to_owned()),
    ] {
        let body = json!({ "query": query }).to_string();
        let code = refused(&*graphql, "application/json", None, &body);
        assert!(matches!(code, Some("graphql_too_much" | "graphql_malformed")), "{what}: {code:?}");
    }
    let batch = json!([{ "query": "{ a }" }, { "query": "{ a }" }]).to_string();
    assert_eq!(refused(&*graphql, "application/json", None, &batch), Some("graphql_too_much"));
}
