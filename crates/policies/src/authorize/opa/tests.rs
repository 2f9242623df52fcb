use std::sync::Arc;
use std::time::Duration;

use policy::message::Body;
use policy::{Answer, Exchange, Flow, Policy};
use serde_json::{Value, json};
use testkit::Servers;

use super::*;
use crate::harness::{Bench, exchange, flow};

fn policy(settings: Value) -> (Arc<dyn Policy>, Servers) {
    let servers = Servers::default();
    let mut bench = Bench::default();
    bench.world.remote = Arc::new(servers.clone());
    let policy = bench.compile(&KIND, &settings).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    (policy, servers)
}

fn answer(status: u16, body: &str) -> Option<Answer> {
    Some(Answer { status, body: body.to_owned().into(), ..Answer::default() })
}

/// The code of a refusal; empty where the request goes on.
fn code(policy: &dyn Policy, x: &mut Exchange) -> &'static str {
    match flow(policy.on_request(x)) {
        Flow::Refuse(refusal) => refusal.code.name,
        Flow::Continue => "",
        Flow::Reply(_) => "reply",
    }
}

#[test]
fn only_a_clear_yes_lets_a_request_on() {
    let long = format!(r#"{{"result":true,"pad":"{}"}}"#, "a".repeat(65 << 10));
    for (answer, expected) in [
        (answer(200, r#"{"result":true}"#), ""),
        (answer(200, r#"{"result":{"allow":true}}"#), ""),
        (answer(200, r#"{"result":false}"#), "opa_denied"),
        (answer(200, r#"{"result":{"allow":false,"status":401}}"#), "opa_unauthenticated"),
        (answer(200, r#"{"result":{"allow":false,"status":404}}"#), "opa_hidden"),
        (answer(200, r#"{"result":{"allow":false,"status":429}}"#), "opa_limited"),
        (answer(200, "{}"), "opa_undefined"),
        (answer(200, r#"{"warning":{"code":"api_usage_warning"}}"#), "opa_undefined"),
        (answer(200, r#"{"result":"yes"}"#), "opa_unavailable"),
        (answer(200, &long), "opa_unavailable"),
        (answer(500, r#"{"code":"internal_error","result":true}"#), "opa_unavailable"),
        (answer(301, r#"{"result":true}"#), "opa_unavailable"),
        (None, "opa_unavailable"),
    ] {
        let shown = format!("{answer:?}");
        let (policy, servers) = policy(json!({ "url": "http://opa:8181/", "decision": "a/allow" }));
        servers.answer(answer);
        assert_eq!(code(&*policy, &mut exchange()), expected, "{shown}");
        let call = servers.asked().pop().unwrap();
        assert_eq!((call.method, call.url.as_str()), ("POST", "http://opa:8181/v1/data/a/allow"));
        let input: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(input["input"]["request"]["path"], "/");
    }
}

#[test]
fn a_decisions_fields_pass_by_the_lists_alone() {
    let (policy, servers) = policy(json!({
        "url": "http://opa", "decision": "a", "upstream_headers": ["x-tenant"],
        "client_headers": ["x-note"],
    }));
    let body = r#"{"result":{"allow":true,"headers":{"x-tenant":"7","x-no":"1"},
        "response_headers":{"x-note":"n","x-no":"1"}}}"#;
    servers.answer(answer(200, body));
    let mut x = exchange();
    x.request.headers.append("X-Tenant", "forged");
    assert_eq!(code(&*policy, &mut x), "");
    assert_eq!(format!("{:?}", x.request.headers), r#"{"x-tenant": "7"}"#);
    flow(policy.on_response(&mut x));
    assert_eq!(format!("{:?}", x.response.headers), r#"{"x-note": "n"}"#);
    let broken = r#"{"result":{"allow":true,"headers":{"x-tenant":"7\r\nx-admin: 1"}}}"#;
    servers.answer(answer(200, broken));
    assert_eq!(code(&*policy, &mut exchange()), "opa_unavailable");
}

#[test]
fn decisions_are_used_again_for_the_same_input_alone() {
    let settings = json!({
        "url": "http://opa", "decision": "a", "request_headers": ["x-a"], "body": 8,
        "cache": { "ttl": "5s" },
    });
    let (policy, servers) = policy(settings);
    let asks = |value: &str, body: &'static str, seconds: u64, said: Option<Answer>| {
        servers.answer(said);
        let mut x = exchange();
        x.wall = Duration::from_secs(1_000 + seconds);
        x.request.headers.append("x-a", value);
        x.request.headers.append("x-b", seconds.to_string());
        x.request.body = Body::from(body);
        (code(&*policy, &mut x), servers.asked().len())
    };
    let yes = || answer(200, r#"{"result":true}"#);
    assert_eq!(asks("1", "a", 0, yes()), ("", 1));
    assert_eq!(asks("1", "a", 4, None), ("", 0));
    assert_eq!(asks("2", "a", 4, None), ("opa_unavailable", 1));
    assert_eq!(asks("1", "b", 4, None), ("opa_unavailable", 1));
    assert_eq!(asks("1", "a", 5, None), ("opa_unavailable", 1), "it is over");
    assert_eq!(asks("2", "a", 5, yes()), ("", 1), "no answer is not kept for long");
}

#[test]
fn the_agents_token_is_told_to_it_alone() {
    let (policy, servers) = policy(json!({ "url": "http://opa", "decision": "a", "token": "t0k" }));
    assert_eq!(code(&*policy, &mut exchange()), "opa_unavailable");
    let call = servers.asked().pop().unwrap();
    assert!(call.headers.contains(&("authorization".into(), b"Bearer t0k".to_vec())));
    assert!(!format!("{policy:?}").contains("t0k"));
}
