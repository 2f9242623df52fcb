//! The router against a matcher that is written straight from the rules in
//! `docs/manual/routing.md`: it asks every route by itself, and sorts.

use std::cmp::Reverse;

use policy::message::Request;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::support::{compile, request};
use gateward_snapshot::{Found, Snapshot, Verdict};
use policy::Values;

/// A route, as the rules see it.
#[derive(Clone, Debug)]
struct Rule {
    host: &'static str,
    base: &'static str,
    path: PathRule,
    methods: Vec<&'static str>,
    header: Option<&'static str>,
    query: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum PathRule {
    Everything,
    Template(&'static str),
    Prefix(&'static str),
    /// The expression, how many whole segments of text it starts with, and what it means.
    Regex(&'static str, usize, fn(&str) -> bool),
}

/// What a path says at each place, from the left; the greater goes first.
type Weight = Vec<(u8, usize, usize)>;

const TEXT: u8 = 9;
const END: u8 = 8;
const PARAM: u8 = 5;
const REGEX: u8 = 3;
const REST: u8 = 2;
const PREFIX: u8 = 1;

impl Rule {
    fn json(&self) -> Value {
        let path = match self.path {
            PathRule::Everything => Value::Null,
            PathRule::Template(text) => json!(text),
            PathRule::Prefix(prefix) => json!({ "prefix": prefix }),
            PathRule::Regex(regex, ..) => json!({ "regex": regex }),
        };
        let mut matches = json!({ "methods": self.methods });
        if !path.is_null() {
            matches["path"] = path;
        }
        for (list, name, wanted) in [("headers", "h", self.header), ("query", "q", self.query)] {
            match wanted {
                Some("yes") => matches[list] = json!({ name: { "present": true } }),
                Some("no") => matches[list] = json!({ name: { "present": false } }),
                Some(value) => matches[list] = json!({ name: value }),
                None => {}
            }
        }
        matches
    }

    /// How well the host fits, none where it does not: exact, longest wildcard, any.
    fn host(&self, host: &str) -> Option<usize> {
        match self.host.strip_prefix('*') {
            Some(suffix) => {
                (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len())
            }
            None if self.host.is_empty() => Some(0),
            None => (self.host == host).then_some(usize::MAX),
        }
    }

    /// What the path says, none where it does not fit.
    fn path(&self, path: &str) -> Option<Weight> {
        let base = self.base.trim_end_matches('/');
        let below = path.strip_prefix(base)?;
        if !below.is_empty() && !below.starts_with('/') {
            return None;
        }
        let mut weight: Weight = base.split('/').skip(1).map(|_| (TEXT, 0, 0)).collect();
        match &self.path {
            PathRule::Everything => weight.push((PREFIX, 0, 0)),
            PathRule::Prefix(prefix) => {
                let prefix = prefix.trim_end_matches('/');
                let rest = below.strip_prefix(prefix)?;
                if !rest.is_empty() && !rest.starts_with('/') {
                    return None;
                }
                weight.extend(prefix.split('/').skip(1).map(|_| (TEXT, 0, 0)));
                weight.push((PREFIX, 0, 0));
            }
            PathRule::Regex(_, texts, means) => {
                if !means(if below.is_empty() { "/" } else { below }) {
                    return None;
                }
                weight.extend((0..*texts).map(|_| (TEXT, 0, 0)));
                weight.push((REGEX, 0, 0));
            }
            PathRule::Template("/") => {
                match below {
                    "" => {}
                    "/" => weight.push((TEXT, 0, 0)),
                    _ => return None,
                }
                weight.push((END, 0, 0));
            }
            PathRule::Template("/{r*}") => weight.push((PREFIX, 0, 0)),
            PathRule::Template(template) => {
                let found: Vec<&str> = below.split('/').skip(1).collect();
                let wanted: Vec<&str> = template.split('/').skip(1).collect();
                for (at, segment) in wanted.iter().enumerate() {
                    if *segment == "{r*}" {
                        found.get(at)?;
                        weight.push((REST, 0, 0));
                        return Some(weight);
                    }
                    weight.push(said(segment, found.get(at)?)?);
                }
                if found.len() != wanted.len() {
                    return None;
                }
                weight.push((END, 0, 0));
            }
        }
        Some(weight)
    }

    fn fields(&self, header: Option<&str>, query: Option<&str>) -> bool {
        let holds = |wanted: Option<&str>, value: Option<&str>| match wanted {
            None => true,
            Some("yes") => value.is_some(),
            Some("no") => value.is_none(),
            Some(wanted) => value == Some(wanted),
        };
        holds(self.header, header) && holds(self.query, query)
    }
}

/// What a segment of a template says of a segment of a path, none where it does not fit.
fn said(segment: &str, found: &str) -> Option<(u8, usize, usize)> {
    let Some((before, tail)) = segment.split_once('{') else {
        return (segment == found).then_some((TEXT, 0, 0));
    };
    let after = tail.split_once('}')?.1;
    let fits = found.len() > before.len() + after.len()
        && found.starts_with(before)
        && found.ends_with(after);
    fits.then_some((PARAM, before.len() + after.len(), before.len()))
}

/// A request as the rules see it.
#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    host: &'static str,
    path: String,
    header: Option<&'static str>,
    query: Option<&'static str>,
}

impl Asked {
    fn request(&self) -> Request {
        let query = self.query.map(|value| format!("?q={value}")).unwrap_or_default();
        let line = format!("{} {}{}{query}", self.method, self.host, self.path);
        let headers: Vec<(&str, &str)> = self.header.iter().map(|value| ("H", *value)).collect();
        request(&line, &headers)
    }
}

/// The route that takes the request by the rules; else the methods that would do.
fn by_the_rules(rules: &[Rule], asked: &Asked) -> Result<usize, Vec<&'static str>> {
    let mut matches = Vec::new();
    let mut methods = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let (Some(host), Some(path)) = (rule.host(asked.host), rule.path(&asked.path)) else {
            continue;
        };
        if !rule.fields(asked.header, asked.query) {
            continue;
        }
        if rule.methods.is_empty() || rule.methods.contains(&asked.method) {
            let fields = (!rule.methods.is_empty(), rule.header.is_some(), rule.query.is_some());
            matches.push((Reverse((host, path, fields)), number));
        } else {
            methods.extend_from_slice(&rule.methods);
        }
    }
    methods.sort_unstable();
    methods.dedup();
    matches.into_iter().min().map(|(_, number)| number).ok_or(methods)
}

fn path_rules() -> impl Strategy<Value = PathRule> {
    fn below_a(path: &str) -> bool {
        path.strip_prefix("/a/").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| matches!(byte, b'a' | b'b'))
        })
    }
    fn first_of_two(path: &str) -> bool {
        path.split('/').nth(1).is_some_and(|first| {
            !first.is_empty() && first.bytes().all(|byte| matches!(byte, b'a' | b'b'))
        }) && path.split('/').count() > 2
    }
    let templates = [
        "/",
        "/a",
        "/a/",
        "/b",
        "/a/b",
        "/{p}",
        "/{p}/b",
        "/a/{p}",
        "/a{p}",
        "/{p}b",
        "/a{p}b",
        "/{r*}",
        "/a/{r*}",
        "/{p}/{r*}",
        "/{p}/{s}",
    ];
    prop_oneof![
        1 => Just(PathRule::Everything),
        8 => select(templates.to_vec()).prop_map(PathRule::Template),
        3 => select(&["/", "/a", "/a/b", "/b/"][..]).prop_map(PathRule::Prefix),
        1 => Just(PathRule::Regex("/a/[ab]+", 1, below_a)),
        1 => Just(PathRule::Regex("/[ab]+/(?<rest>.*)", 0, first_of_two)),
    ]
}

fn rules() -> impl Strategy<Value = Rule> {
    let fields =
        || prop_oneof![4 => Just(None), 1 => select(&["1", "yes", "no"][..]).prop_map(Some)];
    let methods = select(vec![
        vec![],
        vec![],
        vec![],
        vec![],
        vec!["GET"],
        vec!["POST"],
        vec!["GET", "POST"],
    ]);
    let hosts = select(&["", "", "", "", "x.a.t", "*.a.t", "*.t"][..]);
    let bases = select(&["/", "/", "/", "/", "/a", "/a/b"][..]);
    (hosts, bases, path_rules(), methods, fields(), fields()).prop_map(
        |(host, base, path, methods, header, query)| Rule {
            host,
            base,
            path,
            methods,
            header,
            query,
        },
    )
}

fn requests() -> impl Strategy<Value = Asked> {
    let segments = prop::collection::vec(select(&["a", "b", "ab", "aab", "c"][..]), 0..4);
    let fields = || select(&[None, Some("1"), Some("2")][..]);
    let hosts = select(&["x.a.t", "y.a.t", "y.x.a.t", "a.t", "t", ""][..]);
    let methods = select(&["GET", "POST", "PUT"][..]);
    (methods, hosts, segments, any::<bool>(), fields(), fields()).prop_map(
        |(method, host, segments, slash, header, query)| {
            let mut path = segments.iter().map(|segment| format!("/{segment}")).collect::<String>();
            if slash || path.is_empty() {
                path.push('/');
            }
            Asked { method, host, path, header, query }
        },
    )
}

/// A document of these rules: an API for each.
fn document(rules: &[Rule]) -> String {
    let apis: Vec<Value> = rules
        .iter()
        .enumerate()
        .map(|(number, rule)| {
            let hosts: Vec<&str> =
                Some(rule.host).filter(|host| !host.is_empty()).into_iter().collect();
            json!({
                "name": number.to_string(),
                "hosts": hosts,
                "path": rule.base,
                "upstream": "http://127.0.0.1:9001",
                "routes": [{ "match": rule.json() }],
            })
        })
        .collect();
    let listeners = json!([{ "name": "web", "bind": "127.0.0.1:8080" }]);
    json!({ "version": 1, "listeners": listeners, "apis": apis }).to_string()
}

fn by_the_router(snapshot: &Snapshot, request: &Request) -> Result<usize, Vec<String>> {
    match snapshot.router.find(0, request, &mut Values::new()) {
        Found::Route(route) => Ok(route.number),
        Found::NotFound => Err(Vec::new()),
        Found::MethodNotAllowed(allow) => {
            let mut methods: Vec<String> =
                allow.methods().iter().map(ToString::to_string).collect();
            methods.sort_unstable();
            Err(methods)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400, failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn the_router_finds_what_the_rules_say(
        rules in prop::collection::vec(rules(), 1..24),
        asked in prop::collection::vec(requests(), 24),
    ) {
        let mut rules = rules;
        // What is never reached must be refused, and nothing else: each such route goes, then the
        // document is right.
        let snapshot = loop {
            match compile(&document(&rules)) {
                Ok(snapshot) => break snapshot,
                Err(problems) => {
                    let mut lost: Vec<usize> = Vec::new();
                    for problem in &problems {
                        prop_assert!(problem.see.is_some(), "{problem:?}");
                        lost.push(problem.at.steps()[1].parse().unwrap());
                    }
                    for asked in &asked {
                        let taken = by_the_rules(&rules, asked);
                        prop_assert!(!taken.is_ok_and(|number| lost.contains(&number)));
                    }
                    let mut number = 0;
                    rules.retain(|_| {
                        number += 1;
                        !lost.contains(&(number - 1))
                    });
                }
            }
        };
        for asked in &asked {
            let request = asked.request();
            let wanted = by_the_rules(&rules, asked)
                .map_err(|methods| methods.iter().map(ToString::to_string).collect::<Vec<_>>());
            prop_assert_eq!(by_the_router(&snapshot, &request), wanted.clone(), "{:?}", asked);
            let explained = snapshot.router.explain(0, &request);
            prop_assert_eq!(explained.len(), rules.len());
            let first = explained.first().filter(|one| one.verdict == Verdict::Takes);
            prop_assert_eq!(first.map(|one| one.route.number), wanted.ok(), "{:?}", asked);
        }
    }
}
