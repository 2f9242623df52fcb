//! What holds for every request, and what is said when a contract can't be held to.

use std::sync::Arc;

use policy::message::{Body, Method};
use policy::{RouteFacts, RouteNames, Step};
use proptest::prelude::*;
use serde_json::json;

use super::KIND;
use crate::harness::{Bench, exchange, flow, refusal};

/// A bench with the contract that the cases are held to.
fn bench() -> Bench {
    let mut bench = Bench::default();
    for (name, bytes) in [
        ("orders.yaml", &include_bytes!("cases/orders.yaml")[..]),
        ("notes.yaml", &include_bytes!("cases/notes.yaml")[..]),
    ] {
        bench.world.files.insert(name.into(), bytes.to_vec());
    }
    bench
}

#[test]
fn patterns_that_look_around_are_refused_or_left_out() {
    let contract = r##"{"openapi":"3.1.0","paths":{"/":{"get":{"parameters":[
        {"name":"a","in":"query","schema":{"type":"string","pattern":"^(?!x)a"}},
        {"name":"b","in":"query","schema":{"type":"string","pattern":"^b$"}}]}}}}"##;
    let mut bench = Bench::default();
    bench.world.files.insert("a.json".into(), contract.as_bytes().to_vec());
    let problems = bench.compile(&KIND, &json!({ "file": "a.json" })).unwrap_err();
    let what = &problems[0].what;
    assert!(what.contains("/paths/~1/get/parameters/0/schema/pattern"), "{what}");
    assert!(problems[0].hint.as_ref().unwrap().contains("hard_patterns: ignore"), "{problems:?}");

    let settings = json!({ "file": "a.json", "hard_patterns": "ignore" });
    let policy = bench.compile(&KIND, &settings).unwrap();
    for (query, fits) in [("a=anything&b=b", true), ("b=c", false)] {
        let mut exchange = exchange();
        exchange.request.target.query = Some(query.into());
        exchange.route = Some(route(0, ""));
        let said = flow(policy.on_request(&mut exchange));
        assert_eq!(matches!(said, policy::Flow::Continue), fits, "{query}: {said:?}");
    }
}

/// The route of the operation `number`, with the one parameter that `path` is.
fn route(number: u32, path: &str) -> RouteFacts {
    let names = RouteNames { operation: Some(number), ..RouteNames::default() };
    let end = u32::try_from(path.len()).unwrap();
    RouteFacts { number: 0, names: Arc::new(names), values: [(0, end)].into_iter().collect() }
}

#[test]
fn forms_have_a_bound_of_fields() {
    let policy = bench().compile(&KIND, &json!({ "file": "orders.yaml" })).unwrap();
    for (more, code) in [(998, None), (999, Some("contract_broken"))] {
        let mut exchange = exchange();
        exchange.request.method = Method::Post;
        exchange.request.headers.append("content-type", "application/x-www-form-urlencoded");
        let body = "article=a&quantity=1".to_owned() + &"&tags=a".repeat(more);
        exchange.request.body = Body::from(body.into_bytes());
        exchange.route = Some(route(1, ""));
        let refused = refusal(policy.on_request(&mut exchange));
        let said = refused.as_ref().map(|refusal| refusal.code.name);
        assert_eq!(said, code, "{more}: {refused:?}");
    }
}

/// Types of bodies.
const KINDS: &[&str] =
    &["application/json", "application/x-www-form-urlencoded", "text/plain", "image/png", "", ";"];

proptest! {
    #[test]
    fn no_request_and_no_response_make_it_panic(
        (number, path) in (0u32..7, ".{0,12}"),
        query in concat!(
            "([a-z]{0,5}(%5B|\\[)?[a-z0-9]{0,3}(\\]|%)?=?",
            "(%[0-9a-fA-F]{0,2}|[a-z0-9,|{\\[\"+.]){0,6}&?){0,6}",
        ),
        body in "(\\{|\\[|article|quantity|tags|[a-z\"=&:,0-9%+\\[\\]]){0,20}",
        kind in proptest::sample::select(KINDS.to_vec()),
    ) {
        let settings = json!({ "file": "orders.yaml", "responses": { "mode": "refuse" } });
        let policy = bench().compile(&KIND, &settings).unwrap();
        let mut exchange = exchange();
        exchange.request.method = Method::Post;
        exchange.request.target.path = path.clone();
        exchange.request.target.query = Some(query);
        exchange.request.headers.append("content-type", kind);
        exchange.request.headers.append("cookie", &body);
        exchange.request.body = Body::from(body.clone().into_bytes());
        exchange.response.headers.append("content-type", kind);
        exchange.response.headers.append("x-total", &body);
        exchange.response.body = Body::from(body.into_bytes());
        exchange.upstream.status = Some(200);
        exchange.route = Some(route(number, &path));
        if let Step::Wait(_) = policy.on_request(&mut exchange) {
            prop_assert!(false, "all of the body is there");
        }
        flow(policy.on_response(&mut exchange));
    }
}
