//! What many routes cost: time to compile them, memory they take, time to find one. `cargo bench -p
//! gateward-snapshot`.

use std::hint::black_box;
use std::time::Duration;

use config::{Memory, Schema};
use gateward_snapshot::{Found, Inputs, Snapshot, compile};
use policy::Values;
use policy::message::{Method, Request};
use policy::{Carry, Registry};

static NO_POLICIES: Registry = Registry::new(&[]);

fn main() {
    println!("{:>8} {:>8} {:>12} {:>12} {:>12}", "hosts", "routes", "compile", "memory", "find");
    for (hosts, routes) in [(1, 1), (1, 1_000), (1_000, 100), (1, 100_000)] {
        measure(hosts, routes);
    }
}

fn measure(hosts: usize, routes: usize) {
    let text = document(hosts, routes);
    let around = Memory::default();
    let written = config::read_text("scale.json", &text, &Schema::any_policy(), &around)
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
    let before = resident();
    let start = cpu_time();
    let snapshot = compile(&written, &inputs).unwrap_or_else(|problems| panic!("{problems:?}"));
    let compiled = cpu_time() - start;
    let memory = resident().saturating_sub(before);
    let find = find(&snapshot, hosts, routes);
    println!(
        "{hosts:>8} {:>8} {:>9} ms {:>8} KiB {:>9} ns",
        hosts * routes,
        compiled.as_millis(),
        memory / 1024,
        find.as_nanos()
    );
}

/// One API a host.
fn document(hosts: usize, routes: usize) -> String {
    let apis: Vec<String> = (0..hosts)
        .map(|host| {
            let routes: Vec<String> = (0..routes)
                .map(|route| {
                    format!(r#"{{ "match": {{ "path": "/r{route}/{{id}}", "methods": ["GET"] }} }}"#)
                })
                .collect();
            format!(
                r#"{{ "name": "a{host}", "hosts": ["h{host}.example.com"], "path": "/v1", "upstream": "http://127.0.0.1:9001", "routes": [{}] }}"#,
                routes.join(",")
            )
        })
        .collect();
    format!(
        r#"{{ "version": 1, "listeners": [{{ "name": "web", "bind": "127.0.0.1:8080" }}], "apis": [{}] }}"#,
        apis.join(",")
    )
}

/// The time to find a route, over requests for routes all over the document.
fn find(snapshot: &Snapshot, hosts: usize, routes: usize) -> Duration {
    const ROUNDS: u32 = 2_000_000;
    let requests: Vec<Request> = (0..4096)
        .map(|number| {
            let mut request = Request { method: Method::Get, ..Request::default() };
            let (host, route) = (number * 7919 % hosts, number * 104_729 % routes);
            request.target.authority.set(&format!("h{host}.example.com"), None);
            request.target.path = format!("/v1/r{route}/42");
            request
        })
        .collect();
    let mut params = Values::new();
    let start = cpu_time();
    for request in requests.iter().cycle().take(ROUNDS as usize) {
        let found = snapshot.router.find(0, black_box(request), &mut params);
        assert!(matches!(found, Found::Route(_)), "{}", request.target.path);
    }
    (cpu_time() - start) / ROUNDS
}

/// Time this thread has run, whoever else runs, too, as Linux counts it.
fn cpu_time() -> Duration {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = status.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Bytes of memory in use, as Linux counts them.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|n| n.parse().ok());
    kib.unwrap_or(0) * 1024
}
