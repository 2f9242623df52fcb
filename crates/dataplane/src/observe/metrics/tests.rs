//! The page as a whole: what is on it, that scrapers can read it, that it is documented and
//! bounded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use policy::codes;

use super::family::{self, Kind};
use super::*;
use crate::observe::testing::{DOCUMENT, compile, exchange};
use crate::overload::OverloadStatus;
use crate::relay::Outcome;
use crate::status::{EndpointStatus, UpstreamStatus};

fn endpoint(address: &str, healthy: bool) -> EndpointStatus {
    EndpointStatus {
        endpoint: "http://10.0.0.7:9001".into(),
        address: Some(address.into()),
        healthy,
        ejected: !healthy,
        why: None,
        active: 3,
        connections: 5,
        idle: 2,
        ..EndpointStatus::default()
    }
}

/// A page with something of everything on it.
fn page(format: Format) -> String {
    let metrics = Metrics::new(2);
    let snapshot = compile(DOCUMENT);
    let handles = metrics.resolve(&snapshot);
    let mut x = exchange(Some(0), 200);
    x.bytes_in = 10;
    x.bytes_out = 95;
    x.times.total = Duration::from_millis(3);
    metrics.count(&handles, 0, &x);
    metrics.count(&handles, 1, &x);
    let mut x = exchange(None, 404);
    x.refusal = Some(&codes::ROUTE_NOT_FOUND);
    metrics.count(&handles, 1, &x);
    let tried = |endpoint, outcome, again| {
        let took = Duration::from_millis(2);
        handles.tried(&TryCount { core: 0, upstream: 0, endpoint, outcome, took, again });
    };
    tried(0, Err(&codes::CONNECT_FAILED), false);
    tried(1, Ok(2), true);
    tried(1, Err(&codes::CALLER_GONE), false);
    let listener = metrics.listener(&"web".into());
    let _open = listener.open(0);
    listener.open(1);
    listener.refused(1, TurnedAway::Address);
    listener.paused(0);
    listener.handshake(0, true);
    listener.handshake(0, false);
    listener.passed(0, 8, 15);
    listener.ended(1, Outcome::Done);
    let upstreams = [UpstreamStatus {
        name: "orders".into(),
        panic: false,
        endpoints: vec![
            endpoint("10.0.0.7:9001", true),
            endpoint("10.0.0.8:9001", false),
            endpoint("10.0.0.7:9001", true),
        ],
        ..UpstreamStatus::default()
    }];
    let overload = OverloadStatus {
        level: "saving",
        level_number: 1,
        memory_used: 850,
        memory_budget: 1000,
        memory_percent: 85,
        connections: 1,
        connections_max: 448,
        lag_us: vec![20, 1500],
        shed_for_memory: [("low", 1), ("normal", 0)].into(),
        shed_for_time: [("low", 2)].into(),
        streams_refused: 3,
        idle_closed: 4,
    };
    let gauges = Gauges {
        snapshot: Some(&*snapshot),
        ready: true,
        workers: 2,
        uptime: 12.5,
        started: 1_767_225_600.25,
        reloaded: Some(1_767_225_601.0),
        upstreams: &upstreams,
        overload: &overload,
        past: &crate::admin::Past::default(),
    };
    metrics.page(&gauges, format)
}

/// What this machine adds is left out.
fn golden(page: &str) -> String {
    let of_machine = ["process_cpu", "process_res", "process_open", "process_max", "process_thr"];
    let stays = |line: &&str| !of_machine.iter().any(|name| line.starts_with(name));
    page.lines().filter(stays).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_page_is_as_agreed() {
    let page = golden(&page(Format::Prometheus)).replace(crate::VERSION, "VERSION");
    assert_eq!(page, include_str!("golden.txt"), "{page}");
}

/// A sample's name, its labels, its value.
type Sample<'p> = (&'p str, Vec<(&'p str, String)>, f64);

/// Reads a line strictly, as the formats say.
fn sample(line: &str) -> Sample<'_> {
    let at = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(at);
    let is_name = |name: &str| {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
    };
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    while let Some(more) = rest.strip_prefix(['{', ',']) {
        let (label, value) = more.split_once("=\"").unwrap();
        assert!(is_name(label), "{line}");
        let mut text = String::new();
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next().expect("the value ends") {
                (at, '"') => break at,
                (_, '\\') => text.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c} in {line}"),
                }),
                (_, c) => text.push(c),
            }
        };
        labels.push((label, text));
        rest = &value[end + 1..];
    }
    if !labels.is_empty() {
        rest = rest.strip_prefix('}').unwrap();
    }
    let value = rest.strip_prefix(' ').unwrap().parse().expect("a number and nothing else");
    (name, labels, value)
}

/// Holds a page against the rules of its format; gives the metrics it has.
fn check(page: &str, format: Format) -> Vec<(String, String)> {
    let (mut families, mut seen) = (Vec::new(), HashSet::new());
    let mut buckets: HashMap<String, (f64, f64)> = HashMap::new();
    let mut lines = page.lines().peekable();
    assert!(page.ends_with('\n'));
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            assert!(format == Format::OpenMetrics && lines.next().is_none(), "EOF comes last");
            return families;
        }
        let (name, help) = line.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(!help.is_empty() && !help.contains('\\'));
        let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
        assert!(!families.iter().any(|(known, _)| known == name), "{name} comes twice");
        families.push((name.to_owned(), kind.to_owned()));
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (full, labels, value) = sample(line);
            assert!(seen.insert((full.to_owned(), labels.clone())), "twice: {line}");
            assert!(value >= 0.0 && value.is_finite(), "{line}");
            let suffix = full.strip_prefix(name).unwrap();
            match (kind, format, suffix) {
                ("gauge", _, "")
                | ("counter", Format::Prometheus, "")
                | ("counter", Format::OpenMetrics, "_total")
                | ("histogram", _, "_sum") => {}
                ("histogram", _, "_bucket") => {
                    let (le, labels) = labels.split_last().unwrap();
                    assert_eq!(le.0, "le");
                    let le = le.1.replace("+Inf", "inf").parse::<f64>().unwrap();
                    let last = buckets.entry(format!("{name}{labels:?}")).or_insert((-1.0, 0.0));
                    assert!(le > last.0 && value >= last.1, "buckets grow: {line}");
                    *last = (le, value);
                }
                ("histogram", _, "_count") => {
                    let last = buckets[&format!("{name}{labels:?}")];
                    assert_eq!(last, (f64::INFINITY, value), "{line}");
                }
                other => panic!("{other:?}: {line}"),
            }
        }
    }
    assert_eq!(format, Format::Prometheus, "OpenMetrics has an end");
    families
}

#[test]
fn scrapers_can_read_the_page_and_every_family_is_on_it() {
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let found = check(&page(format), format);
        let expected: Vec<_> = family::ALL
            .iter()
            .map(|family| {
                let base = family.name.strip_suffix("_total").unwrap_or(family.name);
                let name = if format == Format::OpenMetrics { base } else { family.name };
                (name.to_owned(), family.kind.word().to_owned())
            })
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_counter_is_called_total_and_nothing_else_is() {
    for family in family::ALL {
        assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{family:?}");
    }
}

#[test]
fn the_manual_has_every_metric_and_no_other() {
    let manual = include_str!("../../../../../docs/manual/metrics.md");
    let rows = manual
        .lines()
        .filter(|line| line.starts_with("| `gateward_") || line.starts_with("| `process_"));
    let expected: Vec<_> = family::ALL
        .iter()
        .map(|family| {
            let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind) = (family.name, family.kind.word());
            format!("| `{name}` | {kind} | {} | {} |", labels.join(", "), family.help)
        })
        .collect();
    assert_eq!(rows.collect::<Vec<_>>(), expected, "the rows must be:\n{}", expected.join("\n"));
    let bounds: Vec<_> = histogram::LE.iter().map(|le| format!("`{le}`")).collect();
    assert!(manual.contains(&bounds.join(", ")), "the buckets must be:\n{}", bounds.join(", "));
}

/// The series of requests on a page: API, route and count.
fn requests(metrics: &Metrics, handles: &Handles, snapshot: &Arc<Snapshot>) -> Vec<String> {
    for route in 0..snapshot.routes.len() {
        let mut x = exchange(Some(route), 200);
        x.times.total = Duration::from_millis(1);
        metrics.count(handles, 0, &x);
    }
    let mut text = String::new();
    for series in metrics.routes.list() {
        let count = series.cores.sum(|counts| counts.requests.get(1));
        let [api, _, route] = &series.labels;
        text.push_str(&format!("{api} {route} {count}\n"));
    }
    text.lines().map(str::to_owned).collect()
}

#[test]
fn counters_outlive_a_reload_that_keeps_their_names() {
    let metrics = Metrics::new(1);
    let first = compile(DOCUMENT);
    let handles = metrics.resolve(&first);
    let before = requests(&metrics, &handles, &first);
    assert_eq!(before, ["none none 0", "orders GET /{id} 1", "orders rest 1"]);
    let second = compile(&DOCUMENT.replace("name: rest", "name: others"));
    let next = metrics.resolve(&second);
    let both = requests(&metrics, &next, &second);
    assert_eq!(both[1..4], ["orders GET /{id} 2", "orders others 1", "orders rest 1"]);
    drop(handles);
    let after = requests(&metrics, &next, &second);
    assert_eq!(after[1..3], ["orders GET /{id} 3", "orders others 2"], "what is gone is forgotten");
}

#[test]
fn series_are_bounded_and_the_rest_is_counted_together() {
    let bounds = Bounds { routes: 1, upstreams: 1, endpoints: 1 };
    let metrics = Metrics { bounds, ..Metrics::new(1) };
    let more = "  - { name: more, endpoints: [ 'http://10.0.0.9:9001' ] }\napis:";
    let snapshot = compile(&DOCUMENT.replace("apis:", more));
    let handles = metrics.resolve(&snapshot);
    let found = requests(&metrics, &handles, &snapshot);
    assert_eq!(found, ["none none 0", "orders GET /{id} 1", "other other 1"]);
    let endpoints: Vec<_> = metrics.endpoints.list().iter().map(|s| s.labels.join(" ")).collect();
    assert_eq!(endpoints, ["orders http://10.0.0.7:9001", "orders other", "other other"]);
}

#[test]
fn numbers_beyond_the_snapshot_count_nothing_and_break_nothing() {
    let metrics = Metrics::new(1);
    let handles = metrics.resolve(&compile(DOCUMENT));
    metrics.count(&handles, 9, &exchange(Some(99), 200));
    let took = Duration::ZERO;
    let tried = TryCount { core: 0, upstream: 9, endpoint: 9, outcome: Ok(2), took, again: true };
    handles.tried(&tried);
    handles.tried(&TryCount { upstream: 0, ..tried });
    assert_eq!(handles.unrouted.cores.sum(|counts| counts.requests.get(1)), 1);
}
