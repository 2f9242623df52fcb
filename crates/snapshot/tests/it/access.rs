//! Who may call, from documents and long lists.

use std::time::Duration;

use config::{Memory, Schema};
use gateward_snapshot::{self as snapshot, Inputs, Snapshot, diff};
use policy::{Carry, KeyState, Standing};

use crate::support::{NO_POLICIES, NOW};

const HEAD: &str = "version: 1
listeners: [ { name: web, bind: '127.0.0.1:1' } ]
apis: [ { name: a, upstream: http://a } ]
plans: [ { name: gold, apis: [ a ] } ]
";

fn compile(text: &str, around: &Memory) -> Result<Snapshot, String> {
    let schema = Schema::any_policy();
    let written = config::read_text("a.yaml", &format!("{HEAD}{text}"), &schema, around);
    let written = written.map_err(|report| report.to_string())?;
    let inputs = Inputs {
        registry: &NO_POLICIES,
        remotes: &snapshot::Nowhere,
        carry: &Carry::default(),
        around,
        authorities: &Vec::new,
        ledger: None,
        wall: NOW,
        revision: 1,
    };
    let compiled = snapshot::compile(&written, &inputs);
    compiled.map_err(|problems| written.report(&problems).to_string())
}

fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn lines(lists: &[(&str, String)]) -> Memory {
    lists.iter().fold(Memory::default(), |around, (name, text)| around.file(*name, text.as_str()))
}

const LISTS: &str =
    "long_lists: { applications: [ a.jsonl, b.jsonl ], subscriptions: [ s.jsonl ] }\n";

#[test]
fn what_stands_in_long_lists_is_as_what_stands_in_the_document() {
    let written = format!(
        "organizations: [ {{ name: acme, enabled: false, labels: {{ tier: gold, land: de }} }} ]
applications:
  - {{ name: shop, organization: acme, labels: {{ land: fr }}, groups: [ x ], keys: [ {{ sha256: {} }} ] }}
  - {{ name: lab, enabled: false, keys: [ {{ id: k, sha256: {}, expires: 2026-02-01, scopes: [ r ] }} ] }}
subscriptions: [ {{ application: lab, plan: gold, until: 2026-02-01 }} ]
",
        hash('a'),
        hash('b')
    );
    let listed =
        "organizations: [ { name: acme, enabled: false, labels: { tier: gold, land: de } } ]\n";
    let around = lines(&[
        (
            "a.jsonl",
            format!(
                "{{\"name\":\"shop\",\"organization\":\"acme\",\"labels\":{{\"land\":\"fr\"}},\"groups\":[\"x\"],\"keys\":[{{\"sha256\":\"{}\"}}]}}\n",
                hash('a')
            ),
        ),
        (
            "b.jsonl",
            format!(
                "\n{{\"name\":\"lab\",\"enabled\":false,\"keys\":[{{\"id\":\"k\",\"sha256\":\"{}\",\"expires\":\"2026-02-01\",\"scopes\":[\"r\"]}}]}}",
                hash('b').to_uppercase()
            ),
        ),
        (
            "s.jsonl",
            "{\"application\":\"lab\",\"plan\":\"gold\",\"until\":\"2026-02-01\"}\r\n".into(),
        ),
    ]);
    for snapshot in [
        compile(&written, &Memory::default()).unwrap(),
        compile(&format!("{listed}{LISTS}"), &around).unwrap(),
    ] {
        let directory = &snapshot.directory;
        let shop = directory.by_key(&[0xaa; 32]).unwrap();
        assert_eq!((&**shop.id(), shop.grant().is_none()), ("1", true));
        assert_eq!(shop.application().standing, Standing::OrganizationDisabled);
        let labels: Vec<_> = shop.application().labels.iter().collect();
        assert_eq!(format!("{labels:?}"), r#"[("land", "fr"), ("tier", "gold")]"#);
        assert_eq!(shop.application().subscriptions.len(), 0);
        let lab = directory.by_key(&[0xbb; 32]).unwrap();
        assert_eq!((&**lab.id(), &*lab.grant().unwrap().scopes[0]), ("k", "r"));
        assert_eq!(lab.application().standing, Standing::Disabled);
        let end = Duration::from_secs(1_769_904_000);
        assert_eq!(lab.state(end), KeyState::Expired);
        assert_eq!(lab.state(end - Duration::from_secs(1)), KeyState::Live);
        let subscriptions = &directory.by_name("lab").unwrap().subscriptions;
        assert_eq!((&*subscriptions[0].plan.name, subscriptions.len()), ("gold", 1));
        assert!(subscriptions[0].has_ended(end));
        assert!(directory.has_organization("acme") && !directory.has_organization("acm"));
    }
}

#[test]
fn what_comes_twice_is_refused_with_both_places() {
    let around = lines(&[
        ("a.jsonl", format!("{{\"name\":\"a\",\"keys\":[{{\"sha256\":\"{}\"}}]}}\n{{\"name\":\"a\"}}\n", hash('a'))),
        ("b.jsonl", format!("{{\"name\":\"b\",\"keys\":[{{\"sha256\":\"{}\"}}]}}\n{{\"name\":\"shop\"}}\n", hash('a'))),
        ("s.jsonl", "{\"application\":\"a\",\"plan\":\"gold\"}\n\n{\"application\":\"a\",\"plan\":\"gold\"}\n{\"application\":\"c\",\"plan\":\"gold\"}\n".into()),
    ]);
    let document = format!("applications: [ {{ name: shop }} ]\n{LISTS}");
    let report = compile(&document, &around).unwrap_err();
    for told in [
        "line 2: there are two applications `a`",
        "line 1: applications `a` and `b` have the same key",
        "line 2: there are two applications `shop`",
        "line 3: application `a` subscribes to plan `gold` twice",
        "line 4: there is no application `c`",
        "line 1: the first one",
    ] {
        assert!(report.contains(told), "`{told}` is missing:\n{report}");
    }
    assert!(report.contains("5 problems"), "{report}");
}

#[test]
fn of_a_list_that_is_all_wrong_the_first_lines_are_told() {
    let wrong = "{\"nmae\":\"a\"}\n".repeat(10_000);
    let around =
        lines(&[("a.jsonl", wrong), ("b.jsonl", String::new()), ("s.jsonl", String::new())]);
    let report = compile(LISTS, &around).unwrap_err();
    assert!(report.contains("50 problems") && report.contains("line 50:"), "{report}");
    assert!(!report.contains("line 51:"), "{report}");
}

#[test]
fn a_list_that_changes_is_a_change_of_applications() {
    let with = |name: &str| {
        let lists = [("a.jsonl", format!("{{\"name\":\"{name}\"}}\n"))];
        compile("long_lists: { applications: [ a.jsonl ] }\n", &lines(&lists)).unwrap()
    };
    assert!(diff(&with("a"), &with("a")).is_empty());
    assert_eq!(diff(&with("a"), &with("b")).to_string(), "applications changed");
    let files = with("a").policy_files;
    assert!(files.iter().any(|file| file.ends_with("a.jsonl")), "it is watched: {files:?}");
}
