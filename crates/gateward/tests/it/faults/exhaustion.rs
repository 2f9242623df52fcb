//! Section G: clients that use up what the whole process has.
#![allow(non_snake_case, reason = "cases are called by their number")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::port;

use crate::harness::{GATEWARD, Gateway, PATIENCE, status, until};

/// A request for the fixed answer.
const FIXED: &str = "GET /fixed HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/// A gateway in a process with few file descriptors.
struct Confined {
    child: Child,
    _folder: tempfile::TempDir,
    port: u16,
    admin: u16,
}

impl Confined {
    fn start(files: u32, limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (port::reserved(), port::reserved());
        let document = folder.path().join("gateward.yaml");
        let text = format!(
            "version: 1
limits: {{ {limits} }}
listeners: [ {{ name: web, bind: '127.0.0.1:{port}' }} ]
admin: {{ bind: '127.0.0.1:{admin}' }}
apis: [ {{ name: fixed, routes: [ {{ respond: {{ body: hello }} }} ] }} ]
"
        );
        std::fs::write(&document, text).unwrap();
        let child = Command::new("prlimit")
            .arg(format!("--nofile={files}:{files}"))
            .args([GATEWARD, "run", "--workers", "2", "--lead", "0", "--config"])
            .arg(&document)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut confined = Self { child, _folder: folder, port, admin };
        let ready = format!("http://127.0.0.1:{admin}/readyz");
        let since = Instant::now();
        while !Command::new("curl")
            .args(["-sf", "--max-time", "5", "-o", "/dev/null", &ready])
            .status()
            .unwrap()
            .success()
        {
            assert!(confined.child.try_wait().unwrap().is_none(), "it has ended");
            assert!(since.elapsed() < PATIENCE, "it is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        confined
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).unwrap()
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // A chance to end its children, if it has any.
        let _ = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status();
        let since = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && since.elapsed() < Duration::from_secs(40)
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a request on a connection of its own is answered.
fn is_served(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    stream.write_all(FIXED.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200 ")
}

/// A metric, asked for on a connection to the admin listener that stands already.
fn metric(admin: &mut TcpStream, name: &str) -> f64 {
    admin.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (mut page, mut piece) = (Vec::new(), [0; 16 << 10]);
    loop {
        let read = admin.read(&mut piece).unwrap();
        assert!(read > 0, "the admin listener has closed");
        page.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&page);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        if body.len() < length.expect("it has a length").unwrap() {
            continue;
        }
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        return line.unwrap_or_else(|| panic!("no {name} in {body}")).parse().unwrap();
    }
}

/// With no file descriptor left, the gateway pauses accepting for moments and goes on: it neither
/// ends nor spins, counts what happens, and serves as soon as it can again.
///
/// Seen to fail: with `accept::run` returning on such an error (nobody is served again), and with a
/// pause of nothing (more pauses than there was time for).
#[test]
fn fa_G08_without_file_descriptors_it_waits_and_goes_on() {
    let gateway = Confined::start(128, "connections: 5000, connections_per_address: 5000");
    let mut admin = TcpStream::connect(("127.0.0.1", gateway.admin)).unwrap();
    admin.set_read_timeout(Some(PATIENCE)).unwrap();
    let pauses = "gateward_accept_pauses_total{listener=\"web\"}";
    assert_eq!(metric(&mut admin, pauses), 0.0);
    let since = Instant::now();
    let flood: Vec<TcpStream> = (0..300).map(|_| gateway.connect()).collect();
    until("accepting pauses", || metric(&mut admin, pauses) > 0.0);
    let counted = metric(&mut admin, pauses);
    let most = 2.0 * (since.elapsed().as_millis() as f64 / 50.0 + 2.0);
    assert!(counted <= most, "{counted} pauses of 50 ms on two cores, there was time for {most}");
    drop(flood);
    assert!(is_served(gateway.connect()));
    until("what was there is gone", || {
        metric(&mut admin, "gateward_connections_open{listener=\"web\"}") == 0.0
    });
}

/// Without a word about it, connections are bounded by the file descriptors there are, and those
/// too many are closed before any descriptor is short.
///
/// Seen to fail: with `Machine::connections` not looking at files.
#[test]
fn fa_G08_b_the_bound_on_connections_keeps_descriptors_free() {
    let gateway = Confined::start(256, "");
    let mut admin = TcpStream::connect(("127.0.0.1", gateway.admin)).unwrap();
    admin.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(metric(&mut admin, "gateward_connections_max"), 64.0);
    let flood: Vec<TcpStream> = (0..300).map(|_| gateway.connect()).collect();
    let refused = "gateward_connections_refused_total{listener=\"web\",reason=\"instance\"}";
    until("the others are refused", || metric(&mut admin, refused) >= 236.0);
    assert_eq!(metric(&mut admin, "gateward_accept_pauses_total{listener=\"web\"}"), 0.0);
    drop(flood);
}

/// Memory really fills: work is turned away before the budget is used up, the admin listener
/// answers all along, and when the memory is given back everything is served again.
///
/// Seen to fail: with a meter that always says one byte, nothing is refused.
#[test]
fn fa_G13_f_a_real_budget_holds() {
    let budget = 128 << 20;
    let gateway = Gateway::start(
        "limits: { memory: 128MiB, connections_per_address: 10000, connections: 10000 }
listeners:
  - name: web
    bind: '127.0.0.1:@WEB@'
    limits: { header_bytes: 1MiB, header_timeout: 600s, header_rate: 0 }
apis: [ { name: fixed, path: /fixed, routes: [ { respond: { body: hello } } ] } ]
",
    );
    let overload = || gateway.status()["overload"].clone();
    assert_eq!(overload()["level"], "calm");
    // Heads that never end, each as large as it may be.
    let head = format!("GET /fixed HTTP/1.1\r\nHost: a.test\r\nA: {}", "a".repeat(900 << 10));
    let mut held = Vec::new();
    let mut levels = Vec::new();
    let full = |now: &Value| now["level"] == "full";
    while !levels.last().is_some_and(full) {
        assert!(held.len() < 400, "nothing is refused: {:?}", levels.last());
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        // Where nobody accepts it, the kernel takes a part.
        let _ = stream.write_all(head.as_bytes());
        held.push(stream);
        levels.push(overload());
    }
    let most = levels.iter().map(|level| level["memory_used"].as_u64().unwrap()).max().unwrap();
    assert!(most < budget + budget / 10, "{most} bytes used of {budget}");
    assert_eq!(status(&[&gateway.admin_url("/healthz")]), "200");
    drop(held);
    until("memory is given back", || overload()["level"] == "calm");
    assert_eq!(status(&[&gateway.url("/fixed")]), "200");
    let log = gateway.log();
    let told = log.lines().filter(|line| line.contains("memory is short")).count();
    assert!((1..=8).contains(&told), "one line for each change: {log}");
}

/// Connections closed on one side, at odd moments, keep no core busy.
///
/// Seen to fail: with `Wire::poll_gone` waking itself at the end of the connection's input.
#[test]
fn fa_G18_b_half_closed_connections_cost_no_time() {
    let origin = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = origin.local_addr().unwrap().port();
    // It takes what comes, and closes its own side of half of it.
    std::thread::spawn(move || {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = origin.accept() {
            if taken.len() % 2 == 0 {
                let _ = stream.shutdown(Shutdown::Write);
            }
            taken.push(stream);
        }
    });
    let gateway = Gateway::start(&format!(
        "upstreams: [ {{ name: up, endpoints: [\"http://127.0.0.1:{port}\"], timeouts: {{ total: 0s }} }} ]
apis: [ {{ name: all, upstream: up }} ]
"
    ));
    let post = "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf";
    let mut held = Vec::new();
    for n in 0..40 {
        let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        let said = ["", "GET /x HT", post, "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"][n % 4];
        client.write_all(said.as_bytes()).unwrap();
        if n % 8 < 4 {
            client.shutdown(Shutdown::Write).unwrap();
        }
        held.push(client);
    }
    let mut admin = TcpStream::connect(("127.0.0.1", gateway.admin)).unwrap();
    admin.set_read_timeout(Some(PATIENCE)).unwrap();
    let before = metric(&mut admin, "process_cpu_seconds_total");
    std::thread::sleep(Duration::from_secs(4));
    let used = metric(&mut admin, "process_cpu_seconds_total") - before;
    assert!(used < 0.6, "{used} s of processor time in 4 s of nothing to do");
    drop(held);
}
