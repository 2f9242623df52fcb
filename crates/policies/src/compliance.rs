//! What every policy in the table must be and have. A new policy needs no line here.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use base::{Pointer, Problem};
use config::v1::{Document, PolicyUse};
use config::{Machine, Schema};
use policy::message::{Body, Method, Status};
use policy::{Flow, Phase, PolicyKind, Step, codes};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Bench, exchange, refusal};
use crate::{REGISTRY, schemas};

fn folder(kind: &PolicyKind) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src").join(kind.phase.word()).join(kind.name)
}

/// The files in `sub` of the policy's folder that end in `ending`: name and text.
fn files(kind: &PolicyKind, sub: &str, ending: &str) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(folder(kind).join(sub)) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The document `text`, to which what every document needs is added.
fn document(name: &str, text: &str, schema: &Schema) -> Document {
    let text = format!("version: 1\nlisteners: [{{ name: web, bind: 127.0.0.1:0 }}]\n{text}");
    match config::read_text("example.yaml", &text, schema, &Machine) {
        Ok(written) => written.document,
        Err(report) => panic!("{name}: {report}"),
    }
}

/// The files that manual pages name.
fn files_of_manuals() -> HashMap<String, Vec<u8>> {
    let (countries, systems) = (
        include_bytes!("admit/ip/cases/countries.mmdb"),
        include_bytes!("admit/ip/cases/systems.mmdb"),
    );
    let contract = include_bytes!("protect/contract/cases/orders.yaml");
    let notes = include_bytes!("protect/contract/cases/notes.yaml");
    HashMap::from([
        ("orders.yaml".to_owned(), contract.to_vec()),
        ("notes.yaml".to_owned(), notes.to_vec()),
        ("GeoLite2-Country.mmdb".to_owned(), countries.to_vec()),
        ("GeoLite2-ASN.mmdb".to_owned(), systems.to_vec()),
    ])
}

/// All uses of policies in a document; a contract is one that stands beside them.
fn uses(document: &Document) -> Vec<PolicyUse> {
    let apis = &document.apis;
    let routes = apis.iter().flat_map(|api| &api.routes);
    let contracts = apis.iter().filter_map(|api| api.contract.as_ref()).map(|contract| {
        let settings = serde_json::to_value(contract.full()).unwrap();
        PolicyUse { name: "contract".into(), settings, when: None, id: None }
    });
    document
        .policies
        .iter()
        .chain(apis.iter().flat_map(|api| &api.policies))
        .chain(routes.flat_map(|route| &route.policies))
        .cloned()
        .chain(contracts)
        .collect()
}

#[test]
fn the_table_stands_in_the_order_policies_run() {
    let names: Vec<_> = REGISTRY.kinds().iter().map(|kind| kind.name).collect();
    assert_eq!(
        names,
        [
            "access_log",
            "https_only",
            "security_headers",
            "cors",
            "maintenance",
            "method",
            "csrf",
            "bot",
            "ip",
            "body_size",
            "api_key",
            "basic",
            "jwt",
            "mtls",
            "oidc",
            "hmac",
            "signature",
            "introspect",
            "external",
            "any_of",
            "all_of",
            "optional",
            "anonymous",
            "acl",
            "scope",
            "subscription",
            "schedule",
            "rule",
            "cedar",
            "opa",
            "rate",
            "quota",
            "concurrency",
            "spike",
            "bandwidth",
            "json_threat",
            "xml_threat",
            "schema",
            "contract",
            "graphql",
            "patterns",
            "jwks",
            "header",
            "identity",
            "identity_jwt",
            "upstream_auth",
        ]
    );
    let phases: Vec<Phase> = REGISTRY.kinds().iter().map(|kind| kind.phase).collect();
    assert!(phases.is_sorted(), "{phases:?}");
}

#[test]
fn every_policy_stands_in_the_folder_of_its_phase_and_name() {
    for kind in REGISTRY.kinds() {
        assert!(folder(kind).join("mod.rs").is_file(), "{}", folder(kind).display());
    }
}

#[test]
fn every_setting_is_described_and_unknown_ones_are_refused() {
    for (name, schema) in schemas() {
        let definitions = schema["$defs"].as_object();
        let objects = definitions.into_iter().flat_map(|all| all.values()).chain([&schema]);
        for object in objects.filter(|object| object.get("properties").is_some()) {
            assert_eq!(object["additionalProperties"], false, "{name} takes anything: {object}");
            for (setting, schema) in object["properties"].as_object().unwrap() {
                let described = schema.get("description").or(schema.get("$ref"));
                assert!(described.is_some(), "{name}: `{setting}` has no description");
            }
        }
        assert!(schema["properties"].is_object(), "{name} has no settings at its root: {schema}");
        let kind = REGISTRY.find(name).unwrap();
        let problems = Bench::default().compile(kind, &json!({ "no_such_setting": 1 }));
        let problems = problems.expect_err(name);
        assert!(problems[0].what.contains("no_such_setting"), "{name}: {problems:?}");
    }
}

#[test]
fn every_policy_has_a_manual_page_whose_examples_compile() {
    let schema = Schema::with_policies(schemas());
    for kind in REGISTRY.kinds() {
        let summary = kind.summary();
        assert!(summary.len() > 20 && summary.len() < 120, "{}: {summary}", kind.name);
        let examples: Vec<_> = kind.manual.split("```yaml\n").skip(1).collect();
        assert!(!examples.is_empty(), "{} has no example", kind.name);
        for example in examples {
            let text = example.split("```").next().unwrap();
            let document = document(kind.name, text, &schema);
            let mut bench = Bench::with_applications(&document.applications);
            bench.world.files = files_of_manuals();
            let uses = uses(&document);
            assert!(uses.iter().any(|it| it.name == kind.name), "{} is not used", kind.name);
            for it in uses {
                let kind = REGISTRY.find(&it.name).expect(&it.name);
                if let Err(problems) = bench.compile(kind, &it.settings) {
                    panic!("{}: {problems:?}", kind.name);
                }
            }
        }
    }
}

/// A file of bad settings says in its first lines what is expected, as `# place: what`, one line a
/// problem.
#[test]
fn every_bad_setting_gets_the_problem_it_should() {
    for kind in REGISTRY.kinds() {
        let files = files(kind, "bad", "yaml");
        assert!(!files.is_empty(), "{} has no bad settings", kind.name);
        for (file, text) in files {
            let expected: Vec<_> =
                text.lines().map_while(|line| line.strip_prefix("# ")?.split_once(": ")).collect();
            assert!(!expected.is_empty(), "{file} does not say what is expected");
            let indented: String = text.lines().map(|line| format!("      {line}\n")).collect();
            let text = format!("policies:\n  - {}:\n{indented}", kind.name);
            let document = document(&file, &text, &Schema::any_policy());
            let problems = Bench::default().compile(kind, &document.policies[0].settings);
            let problems = problems.expect_err(&file);
            let found: Vec<_> =
                problems.iter().map(|problem| (problem.at.to_string(), &problem.what)).collect();
            assert_eq!(found.len(), expected.len(), "{file}: {found:?}");
            for (place, what) in expected {
                let place = if place == "." { "" } else { place };
                let is = |(at, text): &(String, &String)| at == place && text.contains(what);
                assert!(found.iter().any(is), "{file}: no `{place}: {what}` in {found:?}");
            }
            assert!(problems.iter().all(has_hint), "{file}: {problems:?}");
        }
    }
}

/// Whether it says what to do; what serde finds says so by itself.
fn has_hint(problem: &Problem) -> bool {
    problem.hint.is_some() || problem.what.contains("expected") || problem.what.contains("missing")
}

#[test]
fn every_code_is_unique_and_says_what_to_do() {
    let mut known: HashMap<&str, &policy::Code> =
        codes::ALL.iter().map(|code| (code.name, *code)).collect();
    for code in REGISTRY.kinds().iter().flat_map(|kind| kind.codes) {
        let first = known.insert(code.name, code);
        assert!(first.is_none_or(|first| std::ptr::eq(first, *code)), "{} is taken", code.name);
        assert!(!code.cure.is_empty() && code.cure.ends_with('.'), "{}: {}", code.name, code.cure);
        assert!(!code.title.ends_with('.'), "{}: {}", code.name, code.title);
        assert!((400..600).contains(&code.status) && code.grpc <= 16, "{}", code.name);
    }
}

#[test]
fn every_policy_has_cases() {
    for kind in REGISTRY.kinds() {
        let cases: usize = files(kind, "cases", "case")
            .iter()
            .map(|(_, text)| text.lines().filter(|line| line.starts_with("# ")).count())
            .sum();
        assert!(cases >= 3, "{} has {cases} cases", kind.name);
    }
}

/// A combination tries the next way only where this one says that nothing was shown.
#[test]
fn who_shows_nothing_is_told_so_by_every_policy_that_asks_who_calls() {
    let schema = Schema::with_policies(schemas());
    for kind in REGISTRY.kinds().iter().filter(|kind| kind.phase == Phase::Authenticate) {
        for example in kind.manual.split("```yaml\n").skip(1) {
            let document = document(kind.name, example.split("```").next().unwrap(), &schema);
            for one in uses(&document).into_iter().filter(|one| one.name == kind.name) {
                let mut bench = Bench::with_applications(&document.applications);
                let policy = bench.compile(kind, &one.settings).unwrap();
                let mut exchange = exchange();
                if let Step::Done(Flow::Refuse(refusal)) = policy.on_request(&mut exchange) {
                    assert!(refusal.absent, "{} does not say `absent`: {refusal:?}", kind.name);
                }
            }
        }
    }
}

/// Values of all kinds, and words that settings know.
fn value() -> impl Strategy<Value = Value> {
    let words =
        ["x-a", "", "1s", "client", "10.0.0.0/8", "::/0", "{id}", "{", "stdout", "a b", "64KiB"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let names: Vec<String> = schemas().iter().flat_map(|(_, schema)| names(schema)).collect();
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let name = proptest::sample::select(names.clone());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The names of all settings in a schema.
fn names(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("properties").and_then(Value::as_object);
            let own = own.into_iter().flat_map(|own| own.keys().cloned());
            own.chain(fields.values().flat_map(names)).collect()
        }
        Value::Array(items) => items.iter().flat_map(names).collect(),
        _ => Vec::new(),
    }
}

/// An exchange as a stranger may make it.
fn strange() -> impl Strategy<Value = policy::Exchange> {
    let header = ("[a-zA-Z_.-]{1,12}", proptest::collection::vec(any::<u8>(), 0..20));
    let headers = proptest::collection::vec(header, 0..6);
    (headers, proptest::option::of("[ -~]{0,30}"), "/[!-~]{0,20}", any::<u128>(), any::<u64>())
        .prop_map(|(headers, query, path, client, time)| {
            let mut exchange = exchange();
            exchange.request.method = Method::Post;
            exchange.request.target.query = query;
            exchange.request.target.path = path;
            exchange.request.body = Body::from("body");
            exchange.client = std::net::Ipv6Addr::from_bits(client).into();
            exchange.started = base::Instant::from_nanos(time);
            for (name, value) in headers {
                exchange.request.headers.append(&name, &value);
                exchange.response.headers.append(&name, &value);
            }
            exchange
        })
}

proptest! {
    #[test]
    fn no_settings_and_no_request_make_a_policy_panic(
        settings in value(),
        exchanges in proptest::collection::vec(strange(), 3),
    ) {
        let exchanges = std::cell::RefCell::new(exchanges);
        for kind in REGISTRY.kinds() {
            let mut bench = Bench::with_key([7; 32]);
            let mut places = vec![settings.clone(), json!({})];
            // Random settings are rarely right, so right ones come along.
            places.push(match kind.name {
                "ip" => json!({ "deny": ["10.0.0.0/8"] }),
                "body_size" => json!({ "max": 3 }),
                "rate" => json!({ "limit": 2, "window": "1s", "by": { "header": "a" } }),
                "header" => json!({ "request": { "set": { "a": "{b}" } } }),
                "api_key" => json!({ "query": "a", "cookie": "a" }),
                "acl" => json!({ "allow": { "groups": ["a"] } }),
                "scope" => json!({ "any": ["a"] }),
                "subscription" => json!({}),
                "schedule" => json!({ "allow": [{ "from": "08:00", "to": "18:00" }] }),
                "introspect" => json!({ "endpoint": "http://a", "query": "a" }),
                "external" => json!({ "url": "http://a", "request_headers": ["a"] }),
                "opa" => json!({ "url": "http://a", "decision": "a", "body": 2 }),
                "jwt" => json!({
                    "issuers": [{ "keys": { "secret": "0".repeat(32) }, "audiences": ["a"] }],
                    "from": [{ "query": "a" }, { "cookie": "a" }, "authorization"],
                }),
                "mtls" => json!({ "anyone": true }),
                "oidc" => json!({
                    "issuer": "https://a", "client_id": "a", "redirect_uri": "https://b/back",
                    "keys": ["0".repeat(32)],
                }),
                "jwks" => json!({}),
                "identity_jwt" => json!({ "issuer": "a" }),
                "any_of" | "all_of" => {
                    json!({ "policies": [{ "api_key": { "query": "a" } }, { "api_key": {} }] })
                }
                "cedar" => json!({ "policies": "permit(principal, action, resource);" }),
                "rule" => json!({ "rules": [
                    { "if": "request.headers.a == 'a'", "then": "deny" },
                    { "if": "request.path.contains('a')", "then": "allow" },
                ] }),
                "optional" => json!({ "policy": { "api_key": { "query": "a" } } }),
                _ => json!({ "query": true, "request_headers": ["a"] }),
            });
            for settings in places {
                let Ok(policy) = bench.compile(kind, &settings) else { continue };
                for exchange in exchanges.borrow_mut().iter_mut() {
                    if let Some(refusal) = refusal(policy.on_request(exchange)) {
                        exchange.refusal = Some(refusal.code);
                        exchange.response.status = Status::new(refusal.code.status).unwrap();
                    }
                    prop_assert!(refusal(policy.on_response(exchange)).is_none());
                    policy.on_end(exchange);
                }
            }
        }
    }
}

#[test]
fn a_problem_stands_at_the_place_of_what_is_wrong() {
    let mut bench = Bench::default();
    let kind = REGISTRY.find("rate").unwrap();
    let settings = json!({ "windows": [{ "limit": 1, "window": "soon" }] });
    let problems = bench.compile(kind, &settings).unwrap_err();
    assert_eq!(problems[0].at, Pointer::root().key("windows").index(0).key("window"));
}
