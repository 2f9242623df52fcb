//! What many API keys cost: time to read and compile them, memory they take, time to find one.
//! `cargo bench -p gateward-snapshot --bench keys`.
//!
//! Applications have an organization, a group and a subscription, keys have an id, scopes and an
//! end: everything that may stand there. The dearest form is that each key has an application of
//! its own.

use std::fmt::Write;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use config::{Memory, Schema};
use gateward_snapshot::{Inputs, Snapshot, compile};
use policy::{Carry, Registry};

static NO_POLICIES: Registry = Registry::new(&[]);

/// Where long lists begin to be worth their while.
const WRITTEN_MAX: usize = 10_000;

/// As in the gateway itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each row is measured by a process of its own, so that none gets memory another gave back.
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, form, keys, each] = arguments.as_slice() {
        let number = |text: &String| text.parse().unwrap_or(1);
        return measure(number(keys), number(each), form == "list");
    }
    println!(
        "{:<9} {:>9} {:>14} {:>11} {:>10} {:>10} {:>11} {:>9}",
        "form", "keys", "by application", "file", "load", "a key", "find, cold", "find, hot"
    );
    for (form, keys, each) in [
        ("document", 10_000, 1),
        ("list", 1, 1),
        ("list", 10_000, 1),
        ("list", 100_000, 1),
        ("list", 1_000_000, 1),
        ("list", 1_000_000, 10),
    ] {
        let itself = std::env::current_exe().unwrap_or_default();
        let row = Command::new(itself).args([form, &keys.to_string(), &each.to_string()]).status();
        assert!(row.is_ok_and(|status| status.success()), "{keys} keys in a {form}");
    }
}

fn measure(keys: usize, each: usize, listed: bool) {
    let (text, applications, subscriptions) = document(keys, each, listed);
    let bytes = text.len() + applications.len() + subscriptions.len();
    let around = Memory::default()
        .file("applications.jsonl", applications)
        .file("subscriptions.jsonl", subscriptions);
    settle();
    let before = resident();
    let start = cpu_time();
    let schema = Schema::any_policy();
    let written = config::read_text("scale.json", &text, &schema, &around)
        .unwrap_or_else(|report| panic!("{report}"));
    let inputs = Inputs {
        registry: &NO_POLICIES,
        remotes: &gateward_snapshot::Nowhere,
        carry: &Carry::default(),
        around: &around,
        authorities: &Vec::new,
        ledger: None,
        wall: Duration::ZERO,
        revision: 1,
    };
    let snapshot = compile(&written, &inputs).unwrap_or_else(|problems| panic!("{problems:?}"));
    let loaded = cpu_time() - start;
    assert_eq!(snapshot.directory.keys().len(), keys);
    // The document and its long lists, as read, are gone by the time requests are served; what is
    // left beside the snapshot is what the allocator keeps for the next reload.
    drop((written, text));
    settle();
    let memory = resident().saturating_sub(before) / keys;
    let (cold, hot) = (find(&snapshot, keys, 7919), find(&snapshot, keys, 0));
    println!(
        "{:<9} {keys:>9} {each:>14} {:>7} KiB {:>7} ms {:>8} B {:>8} ns {:>6} ns",
        if listed { "long list" } else { "document" },
        bytes / 1024,
        loaded.as_millis(),
        memory,
        cold.as_nanos(),
        hot.as_nanos()
    );
}

/// A document, and its lists of applications and subscriptions where they stand in files.
fn document(keys: usize, each: usize, listed: bool) -> (String, String, String) {
    let (mut applications, mut subscriptions) = (String::new(), String::new());
    let (between, end) = if listed { ("\n", "\n") } else { (",", "") };
    let all = keys / each;
    for number in 0..all {
        let between = if number + 1 < all { between } else { end };
        let keys: Vec<String> = (0..each).map(|key| written_key(number * each + key)).collect();
        let _ = write!(
            applications,
            r#"{{"name":"application-{number:07}","organization":"o{}","groups":["g{}"],"keys":[{}]}}{between}"#,
            number % 1000,
            number % 7,
            keys.join(","),
        );
        let _ = write!(
            subscriptions,
            r#"{{"application":"application-{number:07}","plan":"p{}"}}{between}"#,
            number % 3
        );
    }
    let head = r#"{ "version": 1,
        "listeners": [{ "name": "web", "bind": "127.0.0.1:8080" }],
        "apis": [{ "name": "a", "upstream": "http://127.0.0.1:9001" }],
        "plans": [{ "name": "p0", "apis": ["a"] }, { "name": "p1", "apis": ["a"] }, { "name": "p2", "apis": ["a"] }],"#;
    match listed {
        true => {
            let lists = r#""long_lists": { "applications": ["applications.jsonl"], "subscriptions": ["subscriptions.jsonl"] } }"#;
            (format!("{head}{lists}"), applications, subscriptions)
        }
        false => {
            assert!(keys <= WRITTEN_MAX);
            let lists = format!(
                r#""applications": [{applications}], "subscriptions": [{subscriptions}] }}"#
            );
            (format!("{head}{lists}"), String::new(), String::new())
        }
    }
}

fn written_key(number: usize) -> String {
    let hash: String = sha256(number).iter().map(|byte| format!("{byte:02x}")).collect();
    let year = 30 + number % 60;
    format!(
        r#"{{"id":"key-{number:07}","sha256":"{hash}","expires":"20{year}-01-01","scopes":["orders:read","orders:write"]}}"#
    )
}

/// What stands for a hash: as evenly spread as one.
fn sha256(number: usize) -> [u8; 32] {
    let mut state = number as u64;
    let mut out = [0; 32];
    for part in out.chunks_mut(8) {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    out
}

/// The time to find a key and its application, each `step` from the one before.
fn find(snapshot: &Snapshot, keys: usize, step: usize) -> Duration {
    const ROUNDS: usize = 1 << 20;
    let wanted: Vec<[u8; 32]> = (0..1 << 16).map(|number| sha256(number * step % keys)).collect();
    let start = Instant::now();
    for round in 0..ROUNDS {
        let found = snapshot.directory.by_key(black_box(&wanted[round % wanted.len()]));
        let found = found.unwrap_or_else(|| panic!("a key is lost"));
        let _ = black_box((found.state(Duration::from_secs(1)), found.application().may_call()));
    }
    start.elapsed() / ROUNDS as u32
}

/// Lets the allocator give back what it was given back; it does so as time goes by, when it is
/// asked for more.
fn settle() {
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        (0..1000).for_each(|size| drop(black_box(vec![0_u8; size * 64])));
    }
}

/// Time this process has had a core.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Bytes of memory in use, as Linux counts them.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}
