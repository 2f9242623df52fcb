//! The command line as its users meet it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{GATEWARD, text};

fn gateward(args: &[&str]) -> (i32, String, String) {
    text(Command::new(GATEWARD).args(args))
}

/// The calls the demo printed: command and expected status.
fn printed_calls(greeting: &[String]) -> Vec<(String, String)> {
    let mut calls = Vec::new();
    for pair in greeting.windows(2) {
        if let Some(expected) = pair[1].trim().strip_prefix("→ ") {
            let status = expected.split(':').next().unwrap().to_owned();
            calls.push((pair[0].trim().to_owned(), status));
        }
    }
    calls
}

#[test]
fn every_call_the_demo_prints_does_what_it_says() {
    let mut demo = Command::new(GATEWARD)
        .args(["demo", "--port", "0", "--admin-port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let greeting: Vec<String> =
        lines.take_while(|line| !line.starts_with("The access log")).collect();
    let calls = printed_calls(&greeting);
    assert!(calls.len() >= 10, "{greeting:#?}");
    for (command, expected) in calls {
        let (_, out, err) = text(Command::new("sh").args(["-c", &command]));
        let statuses: Vec<&str> = out
            .lines()
            .filter(|line| line.starts_with("HTTP/"))
            .filter_map(|line| line.split(' ').nth(1))
            .collect();
        assert_eq!(statuses.last(), Some(&expected.as_str()), "{command}\n{out}{err}");
    }
    let _ = demo.kill();
    let _ = demo.wait();
}

#[test]
fn check_reports_every_problem_and_exits_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateward.yaml");
    std::fs::write(&path, "version: 1\nlisteners: [ { name: web, bind: nowhere } ]\napis: [ { name: a, upstream: b } ]\n").unwrap();
    let (code, _, err) = gateward(&["check", path.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(err.contains("nowhere") && err.contains("gateward.yaml:2:"), "{err}");
    assert!(err.contains("gateward.yaml:3:"), "{err}");
    let (code, out, _) = gateward(&["check", "--format", "json", path.to_str().unwrap()]);
    assert_eq!(code, 3);
    let problems: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(problems["problems"].as_array().unwrap().len(), 2, "{problems:#}");
}

#[test]
fn explain_names_the_route_the_chain_and_why_the_others_lost() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/keys-and-limits.yaml");
    let explain = |args: &[&str]| gateward(&[&["explain", "-c", example], args].concat());
    let (code, out, err) = explain(&["GET", "http://localhost:8080/orders/7"]);
    assert_eq!(code, 0, "{out}{err}");
    for word in ["web", "orders", "/{id}", "access_log", "api_key", "rate", "127.0.0.1:9001"] {
        assert!(out.contains(word), "`{word}` is missing:\n{out}");
    }
    let (code, out, _) = explain(&["GET", "http://localhost:8080/nothing"]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("route_not_found"), "{out}");
    let (code, out, _) = explain(&["--format", "json", "POST", "http://localhost:8080/orders"]);
    assert_eq!(code, 0, "{out}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["api"], "orders v1", "{answer:#}");
}

/// A document whose policies let in a key, or a token that a server knows.
const WHO: &str = "version: 1
listeners: [ { name: web, bind: '127.0.0.1:8080' } ]
apis:
  - name: orders
    upstream: http://127.0.0.1:9001
    policies:
      - ip: { allow: [127.0.0.0/8] }
      - any_of: { policies: [ { api_key: {} }, { anonymous: { application: guests } } ] }
      - rule:
          rules:
            - { if: 'request.method == \"GET\"', then: allow }
            - { if: 'caller.application == \"shop\"', then: allow }
      - { rate: { limit: 1, window: 1m }, when: 'caller.by == \"anonymous\"' }
applications:
  - name: shop
    organization: acme
    keys: [ { sha256: 1b4c9133da73a711322404314402765ab0d23fd362a167d6f0c65bb215113d94 } ]
";

#[test]
fn explain_tells_what_each_policy_decides_and_never_the_credential() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateward.yaml");
    std::fs::write(&path, WHO).unwrap();
    let path = path.to_str().unwrap();
    let explain = |args: &[&str]| {
        let (code, out, err) = gateward(&[&["explain", "-c", path], args].concat());
        assert_eq!(code, 0, "{out}{err}");
        assert!(!out.contains("orange") && !out.contains("hunter2"), "{out}");
        out
    };
    let url = "http://localhost:8080/a";
    let out = explain(&["POST", url, "-H", "x-api-key: orange"]);
    assert!(out.contains("knows the caller: shop, organization acme, by api_key"), "{out}");
    assert!(!out.contains("refuses"), "{out}");
    let out = explain(&["POST", url]);
    assert!(out.contains("knows the caller: guests, by anonymous"), "{out}");
    assert!(out.contains("refuses: 403 rule_denied") && out.contains("no rule allows it"), "{out}");
    let out = explain(&["GET", url, "-H", "X-Api-Key: hunter2"]);
    assert!(out.contains("refuses: 401 api_key_invalid") && out.contains("Check the key"), "{out}");
    assert!(out.contains("is not reached"), "{out}");
    let out = explain(&["GET", url, "--client", "192.0.2.7"]);
    assert!(out.contains("refuses: 403"), "{out}");
    let out = explain(&["--format", "json", "GET", url, "-H", "X_Gateward_Application: shop"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["refusal"]["code"], "field_ambiguous", "{answer:#}");
    assert_eq!(answer["chain"][0]["says"]["verdict"], "not_reached", "{answer:#}");
}

#[test]
fn wrong_command_lines_exit_with_2_and_help_with_0() {
    assert_eq!(gateward(&["fly"]).0, 2);
    assert_eq!(gateward(&["--help"]).0, 0);
    let (code, out, _) = gateward(&["version", "--format", "json"]);
    assert_eq!(code, 0);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = gateward(&["completions", shell]);
        assert!(code == 0 && out.contains("gateward"), "{shell}");
    }
}

#[test]
fn a_key_is_made_and_its_lines_make_a_document_that_takes_it() {
    let args = ["--application", "shop", "--id", "first", "--expires", "90d", "--scope", "a:b"];
    let new = |format| gateward(&[&["key", "new", "--format", format][..], &args].concat());
    let (code, out, err) = new("text");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let key = out.lines().find(|line| line.trim().starts_with("gw_")).unwrap().trim();
    let (_, lines) = out.split_once("applications:").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateward.yaml");
    let document = format!(
        "version: 1\nlisteners: [ {{ name: web, bind: \"127.0.0.1:8080\" }} ]\napplications:{lines}"
    );
    std::fs::write(&path, document).unwrap();
    let (code, out, err) = gateward(&["check", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, _) = new("json");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_ne!(answer["key"], key, "a key is made once");
    assert_eq!(answer["entry"]["scopes"][0], "a:b", "{answer:#}");
    assert_eq!(gateward(&["key", "new", "--scope", "a b"]).0, 2);
    assert_eq!(gateward(&["key", "new", "--expires", "soon"]).0, 2);
}

#[test]
fn the_committed_schema_is_what_the_binary_prints() {
    let committed = include_str!("../../../../contracts/config.v1.schema.json");
    let (code, out, _) = gateward(&["schema"]);
    assert_eq!(code, 0);
    assert_eq!(out.trim_end(), committed.trim_end());
}

#[test]
fn a_document_that_is_not_there_says_so() {
    let (code, _, err) = gateward(&["run", "--config", "/nowhere/gateward.yaml"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("/nowhere/gateward.yaml") && err.contains("help"), "{err}");
}
