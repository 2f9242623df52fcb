//! Requests signed by a library that nobody here wrote, and passwords hashed by our own command.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Gateway, Peer, python, status, text};

const ALGORITHMS: [&str; 6] = [
    "hmac-sha256",
    "rsa-pss-sha512",
    "rsa-v1_5-sha256",
    "ecdsa-p256-sha256",
    "ecdsa-p384-sha384",
    "ed25519",
];

#[test]
fn what_another_library_signs_passes_once_and_unchanged_in_every_algorithm() {
    let origin = Peer::origin("one");
    let keys: String = ALGORITHMS
        .iter()
        .map(|name| {
            let field = if *name == "hmac-sha256" { "secret" } else { "public_key" };
            format!(
                "        - {{ id: {name}, algorithm: {name}, {field}: \"${{file:{name}.pub}}\" }}\n"
            )
        })
        .collect();
    let document = format!(
        "apis:
  - name: all
    upstream: \"http://127.0.0.1:{}\"
    policies:
    - signature:
        components: [ \"@method\", \"@authority\", \"@path\", \"@query\", x-note ]
        keys:
{keys}",
        origin.port
    );
    let gateway = Gateway::start_with(&document, &[], |dir| {
        let made = text(&mut python("signer.py", &["keys", &dir.display().to_string()]));
        assert_eq!(made.0, 0, "{}", made.2);
    });
    let (url, dir) = (gateway.url("/echo/a?b=c"), gateway.dir().display().to_string());
    let (exit, out, error) = text(&mut python("signer.py", &["call", &url, &dir]));
    assert_eq!(exit, 0, "{error}");
    let told: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 6 * ALGORITHMS.len(), "{out}");
    for one in told {
        let expected = match one["what"].as_str().unwrap() {
            "good" => (200, Value::Null),
            "again" => (401, "signature_replayed".into()),
            "other body" => (400, "digest_mismatch".into()),
            _ => (401, Value::from("signature_invalid")),
        };
        assert_eq!((one["status"].as_u64().unwrap(), one["code"].clone()), expected, "{one}");
    }
}

#[test]
fn a_password_that_was_hashed_by_the_command_lets_its_user_in() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateward"))
        .args(["password", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    command.stdin.take().unwrap().write_all("gr\u{fc}n: 1\n".as_bytes()).unwrap();
    let out = command.wait_with_output().unwrap();
    assert!(out.status.success());
    let origin = Peer::origin("one");
    let document = format!(
        "apis:
  - name: all
    upstream: \"http://127.0.0.1:{}\"
    policies: [ basic: {{ files: [ users.htpasswd ] }} ]
",
        origin.port
    );
    let hash = String::from_utf8(out.stdout).unwrap();
    let gateway = Gateway::start_with(&document, &[], |dir| {
        std::fs::write(dir.join("users.htpasswd"), format!("anna:{hash}")).unwrap();
    });
    let url = gateway.url("/echo/a");
    assert_eq!(status(&["-u", "anna:gr\u{fc}n: 1", &url]), "200");
    assert_eq!(status(&["-u", "anna:green", &url]), "401");
    assert_eq!(status(&[&url]), "401");
    assert!(!gateway.log().contains("gr\u{fc}n") && !gateway.log().contains("argon2"));
}
