//! What operations sees: one line, one metric, one document for every refusal; readiness; secrets
//! kept.

use serde_json::Value;

use crate::harness::{GATEWARD, Gateway, Peer, curl, status, text, until};

const KEY: &str = "s3cret-key-nobody-may-see";

fn with_key() -> String {
    // printf %s s3cret-key-nobody-may-see | sha256sum
    let hash = "e4058736b309dfd1b715150b167d654e60afc11d7b44ddc0233716f0473d49ba";
    format!(
        "apis: [ {{ name: a, policies: [ {{ api_key: {{}} }} ], routes: [ {{ respond: {{ body: hi }} }} ] }} ]\n\
         policies: [ {{ access_log: {{ to: stdout }} }} ]\n\
         applications: [ {{ name: shop, keys: [ {{ sha256: \"{hash}\" }} ] }} ]\n"
    )
}

#[test]
fn a_refusal_is_a_problem_document_a_log_line_and_a_metric() {
    let gateway = Gateway::start(&with_key());
    let out = curl(&["-i", &gateway.url("/x")]);
    let (head, body) = out.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{head}");
    assert!(head.to_lowercase().contains("proxy-status: gateward"), "{head}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&"api_key_missing".into(), &401.into()));
    until("the line is written", || gateway.access_log().lines().count() == 1);
    let line: Value = serde_json::from_str(gateway.access_log().trim()).unwrap();
    assert_eq!((&line["code"], &line["status"]), (&"api_key_missing".into(), &401.into()));
    assert!(
        problem["instance"].as_str().unwrap().contains(line["id"].as_str().unwrap()),
        "{problem} {line}"
    );
    let metrics = curl(&[&gateway.admin_url("/metrics")]);
    assert!(metrics.contains("gateward_refusals_total{code=\"api_key_missing\"} 1"), "{metrics}");
}

#[test]
fn a_key_lets_in_and_is_shown_nowhere() {
    let gateway = Gateway::start(&with_key());
    let field = format!("X-API-Key: {KEY}");
    assert_eq!(status(&["-H", &field, &gateway.url("/x")]), "200");
    assert_eq!(status(&["-H", "X-API-Key: wrong", &gateway.url("/x")]), "401");
    until("the lines are written", || gateway.access_log().lines().count() == 2);
    let shown = [
        gateway.access_log(),
        gateway.log(),
        curl(&[&gateway.admin_url("/config")]),
        gateway.status().to_string(),
    ];
    assert!(!shown.concat().contains(KEY));
    assert!(gateway.access_log().contains("\"application\":\"shop\""), "{}", gateway.access_log());
}

#[test]
fn a_port_in_use_is_a_located_problem_and_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateward.yaml");
    let document = format!(
        "version: 1\nlisteners: [ {{ name: web, bind: \"127.0.0.1:{port}\" }} ]\nadmin: {{ bind: \"127.0.0.1:{}\" }}\n\
         apis: [ {{ name: a, routes: [ {{ respond: {{}} }} ] }} ]\n",
        testkit::port::reserved()
    );
    std::fs::write(&path, document).unwrap();
    let (code, _, err) = text(std::process::Command::new(GATEWARD).args(["run", "-c"]).arg(&path));
    assert_eq!(code, 1, "{err}");
    assert!(
        err.contains("gateward.yaml:2:") && err.contains("in use") && err.contains("help"),
        "{err}"
    );
}

#[test]
fn readiness_ends_before_the_listeners_do() {
    let origin = Peer::origin("one");
    let document =
        format!("apis: [ {{ name: a, upstream: \"http://127.0.0.1:{}\" }} ]\n", origin.port);
    let mut gateway = Gateway::start_with(&document, &["--lead", "3"], |_| {});
    assert_eq!(status(&[&gateway.admin_url("/healthz")]), "200");
    assert_eq!(status(&[&gateway.admin_url("/readyz")]), "200");
    gateway.signal("TERM");
    until("it is not ready", || status(&[&gateway.admin_url("/readyz")]) == "503");
    assert_eq!(
        status(&[&gateway.url("/name")]),
        "200",
        "still served, for load balancers to notice"
    );
    assert_eq!(gateway.wait(), 0);
}
