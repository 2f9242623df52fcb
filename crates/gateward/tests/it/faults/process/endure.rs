//! The same, many times over, with figures: `cargo xtask endure`. It says how often by the
//! environment; the tests above do it a few times.

use std::time::{Duration, Instant};

use super::replaced;
use super::upgrade::upgrade;
use crate::harness::{Gateway, Peer, signal};
use crate::traffic::{Outcome, Traffic};

/// How often, as `cargo xtask endure` says.
fn times() -> usize {
    let times = std::env::var("GATEWARD_ENDURE").expect("run by `cargo xtask endure`");
    times.parse().expect("a number")
}

/// Everything that calls while it endures.
struct Everyone {
    gateway: Gateway,
    loads: Vec<Traffic>,
    since: Instant,
    _peers: [Peer; 3],
}

impl Everyone {
    fn start(retry: u32) -> Self {
        let origin = Peer::origin("one");
        let grpc = Peer::python("grpc_peer.py", &["server"]);
        let ws = Peer::python("websocket_peer.py", &["server"]);
        let gateway =
            Gateway::start_with(&document(0, [&origin, &grpc, &ws]), &["--no-watch"], |_| {});
        let kinds = [
            ("kept", "/name"),
            ("fresh", "/name"),
            ("grpc", "/gateward.test.Echo/Unary"),
            ("websocket", "/ws"),
        ];
        let start = |(kind, path)| Traffic::start(kind, gateway.port, path, 2, retry);
        let loads = kinds.map(start).into();
        Self { gateway, loads, since: Instant::now(), _peers: [origin, grpc, ws] }
    }

    fn document(&self, n: usize) -> String {
        let [origin, grpc, ws] = &self._peers;
        document(n, [origin, grpc, ws])
    }

    /// Stops, says what came of it; nothing may have failed.
    fn stop(self, what: &str) {
        let took = self.since.elapsed().as_secs_f64();
        let outcomes: Vec<Outcome> = self.loads.into_iter().map(Traffic::stop).collect();
        println!("{what} in {took:.1} s");
        for outcome in &outcomes {
            println!("  {}", outcome.line);
        }
        let worst = outcomes.iter().map(|outcome| outcome.worst).fold(0.0, f64::max);
        println!("  the longest call took {worst:.3} s");
        assert!(outcomes.iter().all(|outcome| outcome.bad == 0), "calls failed");
    }
}

fn document(n: usize, [origin, grpc, ws]: [&Peer; 3]) -> String {
    format!(
        "upstreams: [ {{ name: echo, endpoints: [\"http://127.0.0.1:{}\"], protocol: http2 }} ]\n\
         apis:\n  - {{ name: echo, path: /gateward.test.Echo, strip_path: false, upstream: echo }}\n  \
         - {{ name: ws, path: /ws, upstream: \"http://127.0.0.1:{}\" }}\n  \
         - {{ name: all, upstream: \"http://127.0.0.1:{}\", routes: [ {{ match: {{ path: /name }} }}, \
         {{ match: {{ path: \"/extra-{n}\" }} }} ] }}\n",
        grpc.port, ws.port, origin.port
    )
}

fn resident(gateway: &Gateway) -> u64 {
    gateway.status()["memory_bytes"].as_u64().unwrap_or(0) >> 10
}

#[test]
#[ignore = "by `cargo xtask endure reloads`"]
fn endure_reloads() {
    let everyone = Everyone::start(0);
    let warm = times() / 10;
    let mut before = 0;
    for n in 1..=times() {
        everyone.gateway.write(&everyone.document(n));
        let (answer, body) = everyone.gateway.reload();
        assert_eq!(answer, "200", "reload {n}: {body}");
        if n == warm {
            before = resident(&everyone.gateway);
        }
    }
    println!(
        "memory after {warm} reloads: {before} KiB, after all: {} KiB",
        resident(&everyone.gateway)
    );
    everyone.stop(&format!("{} reloads", times()));
}

#[test]
#[ignore = "by `cargo xtask endure upgrades`"]
fn endure_upgrades() {
    let everyone = Everyone::start(0);
    for n in 1..=times() {
        let (code, said) = upgrade(&everyone.gateway, &[]);
        assert_eq!(code, 0, "upgrade {n}: {said}");
    }
    everyone.stop(&format!("{} upgrades", times()));
}

#[test]
#[ignore = "by `cargo xtask endure kills`"]
fn endure_kills() {
    let everyone = Everyone::start(60);
    let mut slowest = Duration::ZERO;
    for _ in 0..times() {
        let before = everyone.gateway.serving();
        let killed = Instant::now();
        signal("KILL", before);
        replaced(&everyone.gateway, before);
        slowest = slowest.max(killed.elapsed());
        std::thread::sleep(Duration::from_secs(4));
    }
    println!("the slowest was ready again after {:.3} s", slowest.as_secs_f64());
    everyone.stop(&format!("{} times kill -9", times()));
}
