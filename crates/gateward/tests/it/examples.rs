//! Every document under examples/ compiles, and keeps to the committed schema's editor-visible
//! form.

use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};

use crate::certificates::Authority;
use crate::harness::{GATEWARD, Gateway, Peer, curl, status, text, until};
use crate::tokens::Provider;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_example = |path: &PathBuf| {
        !path.ends_with("contracts") && path.extension().is_none_or(|it| it != "md")
    };
    entries.filter(is_example).collect()
}

/// Puts the contracts of the examples into `dir`.
fn contracts(dir: &Path) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/contracts");
    let copied = Command::new("cp").arg("-r").arg(folder).arg(dir).status();
    assert!(copied.unwrap().success());
}

#[test]
fn every_example_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let certs = dir.path().join("certs");
    std::fs::create_dir(&certs).unwrap();
    Authority::new(&certs, "ca").sign(&certs, "api", &["api.example.com"]);
    contracts(dir.path());
    let mut checked = 0;
    for example in examples() {
        let name = example.file_name().unwrap();
        let copied = Command::new("cp").arg("-r").arg(&example).arg(dir.path()).status();
        assert!(copied.unwrap().success());
        let (code, out, err) = text(Command::new(GATEWARD).arg("check").arg(dir.path().join(name)));
        assert_eq!(code, 0, "{}: {out}{err}", name.display());
        checked += 1;
    }
    assert!(checked >= 10, "only {checked} examples were found");
}

#[test]
fn every_example_keeps_to_the_committed_schema() {
    let schema =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/config.v1.schema.json");
    let script = "import json, sys, tomllib, yaml, jsonschema, pathlib\n\
        validator = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))\n\
        bad = 0\n\
        for name in sys.argv[2:]:\n\
        \x20   text = pathlib.Path(name).read_text()\n\
        \x20   kind = name.rsplit('.', 1)[1]\n\
        \x20   data = tomllib.loads(text) if kind == 'toml' else json.loads(text) if kind == 'json' else yaml.safe_load(text)\n\
        \x20   for error in validator.iter_errors(data): bad += 1; print(name, error.json_path, error.message)\n\
        sys.exit(bad > 0)\n";
    let mut files = Vec::new();
    for example in examples() {
        match example.is_dir() {
            true => {
                files.extend(std::fs::read_dir(example).unwrap().map(|entry| entry.unwrap().path()))
            }
            false => files.push(example),
        }
    }
    let mut command = crate::harness::python("origin.py", &[]);
    let program = command.get_program().to_owned();
    command = Command::new(program);
    command.args(["-c", script]).arg(schema).args(files);
    let (code, out, err) = text(&mut command);
    assert_eq!(code, 0, "{out}{err}");
}

/// The example with a real provider, a real upstream and this key in it.
fn company(key: &str, provider: &Provider, origin: &Peer) -> Gateway {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let written = std::fs::read_to_string(folder.join("company.yaml")).unwrap();
    let hash = digest(&SHA256, key.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut document = written.replace("version: 1\n", "");
    for (example, real) in [
        ("9c1b9b5f3cc8f6e0f4e4f0a0d7b8c2f3a1d4e5f60718293a4b5c6d7e8f901234", hash.as_str()),
        ("https://idp.example.com", &provider.issuer()),
        ("http://127.0.0.1:9001", &format!("http://127.0.0.1:{}", origin.port)),
        ("0.0.0.0:8080", "127.0.0.1:@WEB@"),
        ("127.0.0.1:8090", "127.0.0.1:@ADMIN@"),
    ] {
        assert!(document.contains(example), "{example}");
        document = document.replace(example, real);
    }
    Gateway::start_with(&document, &[], contracts)
}

/// What it says of callers, plans, contract, pages and logs holds.
#[test]
fn what_a_company_could_start_from_does_what_it_says() {
    let (provider, origin) = (Provider::start(), Peer::origin("orders"));
    let key = "0123456789abcdef0123456789abcdef";
    let gateway = company(key, &provider, &origin);
    let orders = gateway.url("/v1/orders");
    let key = format!("X-Api-Key: {key}");
    let with_key = |more: &[&str]| curl(&[&["-i", "-H", &key], more].concat());

    let stranger = curl(&["-i", &orders]);
    assert!(stranger.starts_with("HTTP/1.1 401 "), "{stranger}");
    assert!(
        stranger.contains("Bearer") && stranger.contains("x-content-type-options: nosniff"),
        "{stranger}"
    );
    let known = with_key(&[&orders]);
    assert!(known.starts_with("HTTP/1.1 200 ") && known.contains("orders /orders"), "{known}");
    assert!(known.to_lowercase().contains("ratelimit: "), "{known}");

    for (wrong, what) in [
        (vec![format!("{orders}?limit=0")], "/query/limit"),
        (vec![format!("{orders}/none")], "/path/id"),
        (
            vec!["--json".into(), "{\"article\":\"ABC-1\",\"quantity\":0}".into(), orders.clone()],
            "/body/quantity",
        ),
    ] {
        let said = with_key(&wrong.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(said.starts_with("HTTP/1.1 400 ") && said.contains(what), "{said}");
    }
    let made = with_key(&["--json", "{\"article\":\"ABC-1\",\"quantity\":2}", &orders]);
    assert!(made.starts_with("HTTP/1.1 200 "), "{made}");
    assert_eq!(status(&["-H", &key, "-X", "DELETE", &orders]), "405");

    let token = format!("Authorization: Bearer {}", provider.token(&["-d", "resource=urn:orders"]));
    let tried: Vec<String> = (0..7).map(|_| status(&["-H", &token, &orders])).collect();
    assert_eq!(tried, ["200", "200", "200", "200", "200", "429", "429"], "the trial's five calls");
    assert_eq!(status(&["-H", &key, &orders]), "200", "the other plan has more");

    for (page, answer) in [("https://shop.example.com", "204"), ("https://evil.example", "403")] {
        let asked = format!("Origin: {page}");
        let preflight =
            ["-X", "OPTIONS", "-H", &asked, "-H", "Access-Control-Request-Method: POST"];
        assert_eq!(status(&[&preflight[..], &[&orders]].concat()), answer, "{page}");
    }
    until("the log is written", || gateway.access_log().lines().count() >= 15);
    let log = gateway.access_log();
    for told in [
        "\"application\":\"shop\"",
        "\"application\":\"machine\"",
        "contract_broken",
        "quota_exceeded",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    assert!(!log.contains("0123456789abcdef0123456789abcdef"), "a key is logged");
}
