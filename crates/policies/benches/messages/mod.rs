//! What depends on what a message is: calls of web pages, and bodies that are looked into.

use std::sync::Arc;

use bytes::Bytes;
use policy::message::{Body, Known, Method};
use policy::{RouteFacts, RouteNames};
use serde_json::{Value, json};

use super::{Bench, ready, report, time, time_slow};

/// Reports them; `base` is what making the exchange ready costs.
pub fn report_all(base: f64) {
    let cors = Bench::new("cors", &json!({ "origins": ["https://shop.example.com"] }));
    let cost = time(|exchange| {
        ready(exchange);
        exchange.request.headers.append_known(Known::Origin, "https://shop.example.com");
        cors.run(exchange);
    });
    report("cors, a page's call", cost - base);

    let threat = Bench::new("json_threat", &json!({}));
    let body = Bytes::from(vec![order(); 60].into_iter().collect::<Value>().to_string());
    let cost = time_slow(|exchange| {
        ready(exchange);
        exchange.request.headers.append_known(Known::ContentType, "application/json");
        exchange.request.body = Body::Full(body.clone());
        threat.run(exchange);
    });
    let rate = body.len() as f64 / (cost - base);
    report(&format!("json_threat, {} bytes", body.len()), cost - base);
    println!("{:<34} {rate:>9.2}", "json_threat, GB/s");
    xml(base);
    schemas(base);
    queries(base);
}

fn xml(base: f64) {
    let threat = Bench::new("xml_threat", &json!({}));
    let line = "<line n='1'><article>ABC-1</article><price>9.99</price></line>";
    let body = Bytes::from(format!("<order xmlns='urn:orders'>{}</order>", line.repeat(900)));
    let cost = time_slow(|exchange| {
        ready(exchange);
        exchange.request.headers.append_known(Known::ContentType, "application/xml");
        exchange.request.body = Body::Full(body.clone());
        threat.run(exchange);
        assert!(exchange.note.is_none(), "it is well-formed");
    });
    let rate = body.len() as f64 / (cost - base);
    report(&format!("xml_threat, {} bytes", body.len()), cost - base);
    println!("{:<34} {rate:>9.2}", "xml_threat, GB/s");
}

/// Bodies that fit what is written of them.
fn schemas(base: f64) {
    let schema = Bench::new("schema", &json!({ "schema": schema() }));
    let body = Bytes::from(order().to_string());
    let cost = time(|exchange| {
        ready(exchange);
        exchange.request.headers.append_known(Known::ContentType, "application/json");
        exchange.request.body = Body::Full(body.clone());
        schema.run(exchange);
        assert!(exchange.note.is_none(), "the body fits");
    });
    report(&format!("schema, {} bytes of JSON", body.len()), cost - base);

    let (contract, called) =
        (Bench::new("contract", &json!({ "file": "contract.json" })), operation());
    let cost = time(|exchange| {
        ready(exchange);
        exchange.request.headers.append_known(Known::ContentType, "application/json");
        exchange.request.body = Body::Full(body.clone());
        exchange.route = Some(called.clone());
        contract.run(exchange);
        assert!(exchange.refusal.is_none() && exchange.note.is_none(), "the request fits");
    });
    report(&format!("contract, {} bytes of JSON", body.len()), cost - base);
}

/// What is asked for.
fn queries(base: f64) {
    let graphql = Bench::new("graphql", &json!({}));
    let query = "query Q($n: Int = 10) { users(first: $n) { id name ...F } } fragment F on User { orders(first: 5) { id total lines { article quantity } } }";
    let body = Bytes::from(json!({ "query": query, "variables": { "n": 20 } }).to_string());
    let cost = time(|exchange| {
        ready(exchange);
        exchange.request.method = Method::Post;
        exchange.request.headers.append_known(Known::ContentType, "application/json");
        exchange.request.body = Body::Full(body.clone());
        graphql.run(exchange);
        assert!(exchange.note.is_none(), "it asks for little");
    });
    report(&format!("graphql, {} bytes", body.len()), cost - base);

    let patterns = Bench::new("patterns", &json!({}));
    let cost = time(|exchange| {
        ready(exchange);
        exchange.request.target.query = Some("page=2&sort=-date&q=shoes+and+socks".into());
        patterns.run(exchange);
        assert!(exchange.note.is_none(), "nothing is found");
    });
    report("patterns, path and query", cost - base);
}

/// A contract that takes orders.
pub fn contract() -> Value {
    json!({ "openapi": "3.1.0", "paths": { "/orders/{id}": { "put": {
        "parameters": [{ "name": "id", "in": "path", "schema": { "type": "integer" } }],
        "requestBody": { "content": { "application/json": { "schema": schema() } } },
    } } } })
}

/// The route of its operation.
fn operation() -> RouteFacts {
    let names = RouteNames { operation: Some(0), ..RouteNames::default() };
    RouteFacts { number: 0, names: Arc::new(names), values: [(8, 10)].into_iter().collect() }
}

/// An order of about a KiB.
fn order() -> Value {
    let line = |number: usize| json!({ "article": format!("ABC-{number}"), "quantity": number, "price": 9.99, "note": null });
    let lines: Vec<Value> = (1..=14).map(line).collect();
    json!({ "id": "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "customer": "ann@example.com",
        "ordered": "2026-11-26T21:00:00Z", "lines": lines })
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["id", "customer", "lines"],
        "additionalProperties": false,
        "properties": {
            "id": { "type": "string", "format": "uuid" },
            "customer": { "type": "string", "format": "email" },
            "ordered": { "type": "string", "format": "date-time" },
            "lines": { "type": "array", "minItems": 1, "maxItems": 100, "items": {
                "type": "object",
                "required": ["article", "quantity"],
                "properties": {
                    "article": { "type": "string", "pattern": "^[A-Z]{3}-[0-9]+$" },
                    "quantity": { "type": "integer", "minimum": 1 },
                    "price": { "type": "number", "exclusiveMinimum": 0 },
                    "note": { "type": ["string", "null"], "maxLength": 100 },
                },
            } },
        },
    })
}
