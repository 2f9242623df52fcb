//! D09: router, policies, log and origin all see one request.

use config::v1::{DotSegments, DoubleSlash, EncodedSlash, Paths, Semicolon};
use policy::message::{Method, Request, Scheme};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use testkit::attack::oracle::Seen;
use testkit::attack::raw;

use super::super::contract::{Bench, eventually};

/// What each of them has to say of a request ends up in a place of its own: the router's view in a
/// parameter that a policy writes into `X-Route`, a condition's in `X-Agreed`, the log's in its
/// file, and the origin's in what it got.
const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, PATHS, bind: '127.0.0.1:0' } ]
upstreams: [ { name: up, endpoints: [ 'http://@UP@' ] } ]
policies:
  - access_log: { to: { file: 'LOG' }, query: true, request_headers: [ x-mine ],
      fields: [ id, method, path, query ] }
apis:
  - name: echo
    hosts: [ a.test ]
    upstream: up
    routes:
      - match: { path: '/{all*}' }
        policies:
          - header: { request: { set: { X-Route: '/{all}' } } }
          - header: { request: { set: { X-Agreed: 'yes' } } }
            when: \"'x-path' in request.headers && request.headers['x-path'] == request.path
              && request.headers['x-mine'] == request.headers['x-same']\"
";

/// Targets that come close to what is special.
fn target() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "...", "%2e", "%2E", "%2f", "%2F", "%5c", "%25", "%252f",
        "%c3%a9", "%ff", "%00", ";", "%3b", ";a=b", "a", "admin", "A", "%61", "%41", "{", "}", "|",
        "\\", "%", "%4", "//", "~", "%7E", "?", "*", ":", "@", "&", "=", "+", "\"", "<", "'", "#",
        "-", "_", "b.c",
    ]);
    prop::collection::vec(part, 0..10).prop_map(|parts| format!("/{}", parts.concat()))
}

fn paths() -> impl Strategy<Value = Paths> {
    let slash = prop::sample::select(vec![EncodedSlash::Refuse, EncodedSlash::Keep]);
    let double =
        prop::sample::select(vec![DoubleSlash::Merge, DoubleSlash::Refuse, DoubleSlash::Keep]);
    let dots = prop::sample::select(vec![DotSegments::Remove, DotSegments::Refuse]);
    let semicolon = prop::sample::select(vec![Semicolon::Keep, Semicolon::Refuse]);
    (slash, double, dots, semicolon).prop_map(
        |(encoded_slash, double_slash, dot_segments, semicolon)| Paths {
            version: 1,
            encoded_slash,
            double_slash,
            dot_segments,
            semicolon,
        },
    )
}

fn canonical(target: &str, paths: Paths) -> Option<Request> {
    gateward_dataplane::canonical(Method::Get, Scheme::Http, "a.test", target, &[], paths).ok()
}

/// Path and query of a request, as they are written.
fn written(request: &Request) -> String {
    let target = &request.target;
    let query = target.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", target.path)
}

/// The canonical form of a path is its own canonical form, by every listener's rules.
/// Seen to fail: with `set_path` undoing the escapes of `%`.
#[test]
fn fa_D09_a_the_canonical_form_is_its_own() {
    let mut runner = TestRunner::new(Config { cases: 100_000, ..Config::default() });
    let same = runner.run(&(target(), paths()), |(target, paths)| {
        if let Some(once) = canonical(&target, paths) {
            let again = canonical(&written(&once), paths);
            prop_assert_eq!(again.map(|again| written(&again)), Some(written(&once)));
        }
        Ok(())
    });
    same.unwrap_or_else(|error| panic!("{error}"));
}

/// Whatever is sent, and whatever the listener's rules: the path the router matched, the one a
/// condition saw, the one that was logged and the one the origin got are the same, as are the
/// values of fields; and what is refused reaches nobody. Seen to fail: with `Composed::path`
/// sending the path in lower case.
#[tokio::test]
async fn fa_D09_b_all_see_the_same_request() {
    const POLICIES: usize = 8;
    const EACH: usize = 250;
    let mut runner = TestRunner::deterministic();
    for _ in 0..POLICIES {
        let rules = paths().new_tree(&mut runner).expect("a value").current();
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let json = serde_json::to_string(&rules).expect("JSON");
        let document = DOCUMENT
            .replace("PATHS", &format!("paths: {json}"))
            .replace("LOG", &log.display().to_string());
        let bench = Bench::new(&document).await;
        let mut expected = Vec::new();
        let mut bytes = Vec::new();
        for number in 0..EACH {
            let target = target().new_tree(&mut runner).expect("a value").current();
            let Some(request) = canonical(&target, rules) else {
                refused(&bench, &target).await;
                continue;
            };
            let path = &request.target.path;
            let mine = format!("value {number}");
            bytes.extend_from_slice(
                format!(
                    "GET {target} HTTP/1.1\r\nHost: A.test:80\r\nX-Path: {path}\r\n\
                     x-MINE:{mine} \r\nX-Same: {mine}\r\n\r\n"
                )
                .as_bytes(),
            );
            expected.push((request, mine));
        }
        let count = expected.len();
        let told = raw::exchange(bench.address, &bytes, raw::Until::Answers(count)).await;
        assert_eq!(told.answers.len(), count, "{rules:?}");
        let seen = bench.oracle.take();
        let lines = async || {
            bench.handle.observer().flush(raw::PATIENCE);
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let lines = text.lines().filter(|line| line.contains("\"request_x-mine\""));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        eventually("all lines", async || lines().await.len() == count).await;
        assert_eq!(seen.len(), count);
        for ((wanted, seen), line) in expected.iter().zip(&seen).zip(lines().await) {
            agree(wanted, seen, &line);
        }
    }
}

async fn refused(bench: &Bench, target: &str) {
    let bytes = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let told = raw::exchange(bench.address, bytes.as_bytes(), raw::Until::End).await;
    assert_eq!(told.answers.first().map(|one| one.status), Some(400), "{target}");
    assert_eq!(bench.oracle.take(), [], "{target}");
}

fn agree((request, mine): &(Request, String), seen: &Seen, line: &str) {
    let target = written(request);
    assert_eq!(seen.target, target, "the origin");
    assert_eq!(seen.all("x-route"), [request.target.path.as_str()], "the router of {target}");
    assert_eq!(seen.all("x-agreed"), ["yes"], "a condition about {target}");
    assert_eq!(seen.all("host"), ["a.test"]);
    assert_eq!(seen.all("x-mine"), [mine.as_str()]);
    let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    assert_eq!(line["path"], request.target.path.as_str(), "the log of {target}");
    assert_eq!(line["query"].as_str(), request.target.query.as_deref(), "the log of {target}");
    assert_eq!(line["request_x-mine"], mine.as_str(), "the log of {target}");
    assert_eq!(seen.all("x-request-id"), [line["id"].as_str().expect("an id")], "{target}");
}
