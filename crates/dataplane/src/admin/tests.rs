//! The admin listener as its clients see it: bytes in, bytes out, from a thread that blocks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use snapshot::Bind;

use super::*;
use crate::observe::testing::{DOCUMENT, NOW, SECRET, compile, observer};
use crate::status::EndpointStatus;

fn serve(bind: &Bind, instance: Arc<dyn Instance>) -> std::io::Result<Admin> {
    super::serve(bind, instance, &crate::NoKeeper)
}

/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(20);

struct Fake {
    observer: Arc<Observer>,
    snapshot: Option<Arc<Snapshot>>,
    ready: AtomicBool,
    problems: Option<Value>,
    reloads: AtomicUsize,
}

impl Fake {
    fn new(snapshot: Option<Arc<Snapshot>>) -> Self {
        Self {
            observer: observer(),
            snapshot,
            ready: AtomicBool::new(true),
            problems: None,
            reloads: AtomicUsize::new(0),
        }
    }
}

impl Instance for Fake {
    fn observer(&self) -> &Observer {
        &self.observer
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    fn ready(&self) -> Result<(), String> {
        if self.ready.load(Ordering::Relaxed) { Ok(()) } else { Err("draining".into()) }
    }

    fn upstreams(&self) -> Vec<UpstreamStatus> {
        let endpoint = EndpointStatus {
            endpoint: "http://10.0.0.7:9001".into(),
            address: Some("10.0.0.7:9001".into()),
            healthy: false,
            ejected: false,
            why: Some("health check: 503".into()),
            active: 1,
            connections: 2,
            idle: 1,
            ..EndpointStatus::default()
        };
        let (name, endpoints) = ("orders".into(), vec![endpoint]);
        vec![UpstreamStatus { name, endpoints, ..UpstreamStatus::default() }]
    }

    fn reload(&self) -> Reload {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        let outcome = self.problems.clone().map_or(Ok(8), Err);
        Box::pin(async { outcome })
    }
}

fn any_port() -> Bind {
    Bind::Tcp("127.0.0.1:0".parse().unwrap())
}

fn address(admin: &Admin) -> SocketAddr {
    match admin.bind() {
        Bind::Tcp(address) => *address,
        Bind::Unix(path) => panic!("{}", path.display()),
    }
}

/// Sends a request line and fields, and reads head and body of the answer.
fn ask(admin: &Admin, line: &str, fields: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address(admin)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let host = if fields.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let request = format!("{line} HTTP/1.1\r\n{host}{fields}Connection: close\r\n\r\n");
    exchange(&mut stream, &request)
}

fn exchange(stream: &mut (impl Read + Write), request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

fn status_of(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn pages_are_answered_by_path_and_method() {
    let admin = serve(&any_port(), Arc::new(Fake::new(Some(compile(DOCUMENT))))).unwrap();
    for (line, status, media_type) in [
        ("GET /healthz", 200, "text/plain"),
        ("GET /readyz", 200, "text/plain"),
        ("GET /metrics", 200, "text/plain; version=0.0.4"),
        ("GET /status", 200, "application/json"),
        ("GET /config", 200, "application/json"),
        ("GET /config?pretty", 200, "application/json"),
        ("POST /reload", 200, "application/json"),
        ("GET /reload", 405, "application/problem+json"),
        ("POST /status", 405, "application/problem+json"),
        ("DELETE /config", 405, "application/problem+json"),
        ("GET /", 404, "application/problem+json"),
        ("GET /status/", 404, "application/problem+json"),
        ("GET /../config", 404, "application/problem+json"),
    ] {
        let (head, body) = ask(&admin, line, "");
        assert_eq!(status_of(&head), status, "{line}");
        assert!(head.contains(&format!("content-type: {media_type}")), "{line}: {head}");
        assert!(head.contains("cache-control: no-store"), "{line}: {head}");
        if status >= 400 {
            assert_eq!(json_of(&body)["status"], status, "{line}");
        }
        assert_eq!(status == 405, head.contains("\r\nallow: "), "{line}: {head}");
    }
    let (head, body) = ask(&admin, "HEAD /status", "");
    assert_eq!((status_of(&head), &*body), (200, ""));
    let (head, body) = ask(&admin, "GET /metrics", "Accept: application/openmetrics-text\r\n");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(body.ends_with("# EOF\n"));
}

#[test]
fn an_instance_that_starts_or_drains_lives_but_is_not_ready() {
    let fake = Arc::new(Fake::new(None));
    fake.ready.store(false, Ordering::Relaxed);
    let admin = serve(&any_port(), fake).unwrap();
    assert_eq!(status_of(&ask(&admin, "GET /healthz", "").0), 200);
    let (head, body) = ask(&admin, "GET /readyz", "");
    assert_eq!((status_of(&head), &*body), (503, "not ready: draining\n"));
    assert_eq!(status_of(&ask(&admin, "GET /config", "").0), 503);
    let status = json_of(&ask(&admin, "GET /status", "").1);
    assert_eq!((&status["ready"], &status["not_ready"]), (&json!(false), &json!("draining")));
    assert_eq!(status["revision"], Value::Null);
    assert!(ask(&admin, "GET /metrics", "").1.contains("\ngateward_ready 0\n"));
}

#[test]
fn the_status_says_how_everything_is_doing() {
    let fake = Fake::new(Some(compile(DOCUMENT)));
    fake.observer.taken(7);
    let _open = fake.observer.metrics.listener(&"web".into()).open(0);
    fake.observer.clock.advance(Duration::from_secs(90));
    let admin = serve(&any_port(), Arc::new(fake)).unwrap();
    let status = json_of(&ask(&admin, "GET /status", "").1);
    for (pointer, expected) in [
        ("/version", json!(crate::VERSION)),
        ("/ready", json!(true)),
        ("/revision", json!(7)),
        ("/uptime_seconds", json!(90.0)),
        ("/workers", json!(2)),
        ("/listeners/0/name", json!("web")),
        ("/listeners/0/address", json!("127.0.0.1:8080")),
        ("/listeners/0/protocols", json!(["http1", "http2"])),
        ("/listeners/0/connections", json!(1)),
        ("/apis", json!([{ "name": "orders", "version": "v1", "path": "/orders" }])),
        ("/routes", json!(2)),
        ("/upstreams/0/endpoints/0/healthy", json!(false)),
        ("/upstreams/0/endpoints/0/why", json!("health check: 503")),
        ("/reloads/taken", json!({ "revision": 7, "at": NOW.as_secs_f64() })),
        ("/reloads/refused", Value::Null),
        ("/spans", json!({ "exported": 0, "dropped": 0 })),
    ] {
        assert_eq!(status.pointer(pointer), Some(&expected), "{pointer} of {status:#}");
    }
    assert!(status["digest"].as_str().is_some_and(|digest| digest.len() == 64), "{status:#}");
    assert!(status["memory_bytes"].as_u64() > Some(100_000), "{status:#}");
}

#[test]
fn certificates_are_shown_with_their_end() {
    let shown = snapshot::ShownCertificate {
        names: vec!["api.example.com".into()],
        file: "certs/api.pem".into(),
        not_after: NOW.as_secs() as i64 - 1,
    };
    let status = serde_json::to_value(status::certificate(&shown, NOW.as_secs() as i64)).unwrap();
    assert_eq!(status["expires"], "2025-12-31T23:59:59Z");
    assert_eq!(status["expires_in_days"], -1, "it has ended");
}

#[test]
fn a_reload_says_what_runs_now_or_what_is_wrong() {
    let admin = serve(&any_port(), Arc::new(Fake::new(None))).unwrap();
    let (head, body) = ask(&admin, "POST /reload", "");
    assert_eq!((status_of(&head), json_of(&body)), (200, json!({ "revision": 8 })));
    let problems = json!([{ "line": 3, "what": "there is no upstream `orderz`" }]);
    let fake = Fake { problems: Some(problems.clone()), ..Fake::new(None) };
    let admin = serve(&any_port(), Arc::new(fake)).unwrap();
    let (head, body) = ask(&admin, "POST /reload", "");
    assert_eq!((status_of(&head), &json_of(&body)["problems"]), (422, &problems));
}

#[test]
fn web_pages_and_strangers_names_reach_nothing() {
    let fake = Arc::new(Fake::new(Some(compile(DOCUMENT))));
    let admin = serve(&any_port(), fake.clone()).unwrap();
    for (line, fields) in [
        ("POST /reload", "Origin: https://evil.test\r\n"),
        ("POST /reload", "Sec-Fetch-Site: cross-site\r\n"),
        ("POST /reload", "Host: evil.test\r\n"),
        ("GET /config", "Host: evil.test\r\n"),
        ("GET /status", "Host: evil.test:8090\r\n"),
        ("GET http://evil.test/config", "Host: evil.test\r\n"),
    ] {
        let (head, body) = ask(&admin, line, fields);
        assert_eq!(status_of(&head), 403, "{line} {fields:?}");
        assert_eq!(json_of(&body)["code"], "not_allowed");
    }
    assert_eq!(fake.reloads.load(Ordering::Relaxed), 0);
}

#[test]
fn secrets_are_masked_in_the_configuration_and_named_nowhere_else() {
    let text = format!(
        "{DOCUMENT}policies: [ api_key: {{}} ]\n\
         applications: [ {{ name: shop, keys: [ {{ id: k, sha256: '${{env:SECRET}}' }} ] }} ]\n"
    );
    let admin = serve(&any_port(), Arc::new(Fake::new(Some(compile(&text))))).unwrap();
    let (_, config) = ask(&admin, "GET /config", "");
    let shown = &json_of(&config)["applications"][0]["keys"][0]["sha256"];
    assert!(shown.is_string(), "{config}");
    for page in ["/config", "/status", "/metrics"] {
        let (head, body) = ask(&admin, &format!("GET {page}"), "");
        assert!(status_of(&head) == 200 && !body.contains(SECRET), "{page}: {body}");
    }
}

#[test]
fn it_answers_while_every_runtime_of_the_process_is_busy() {
    let admin = serve(&any_port(), Arc::new(Fake::new(Some(compile(DOCUMENT))))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The asking blocks the runtime's only thread: an admin listener that ran on it could not
    // answer.
    runtime.block_on(async {
        assert_eq!(status_of(&ask(&admin, "GET /healthz", "").0), 200);
        assert_eq!(status_of(&ask(&admin, "GET /metrics", "").0), 200);
    });
}

#[test]
fn connections_that_say_nothing_do_not_keep_others_out() {
    let admin = serve(&any_port(), Arc::new(Fake::new(None))).unwrap();
    let silent: Vec<_> = (0..32).map(|_| TcpStream::connect(address(&admin)).unwrap()).collect();
    assert_eq!(status_of(&ask(&admin, "GET /healthz", "").0), 200);
    drop(silent);
}

#[test]
fn a_unix_socket_is_served_too_and_goes_with_the_listener() {
    let path = std::env::temp_dir().join(format!("gateward-admin-{}.sock", std::process::id()));
    let bind = Bind::Unix(path.clone());
    let fake = Arc::new(Fake::new(None));
    let admin = serve(&bind, fake.clone()).unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    let request = "POST /reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(status_of(&exchange(&mut stream, request).0), 200);
    assert!(serve(&bind, fake.clone()).is_err(), "it is taken");
    drop(admin);
    assert!(closed(|| UnixStream::connect(&path).is_err()));
    assert!(serve(&bind, fake).is_ok(), "a leftover gives way");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn dropping_it_closes_the_port() {
    let admin = serve(&any_port(), Arc::new(Fake::new(None))).unwrap();
    let address = address(&admin);
    assert!(TcpStream::connect(address).is_ok());
    drop(admin);
    assert!(closed(|| TcpStream::connect(address).is_err()));
}

/// Waits for a thread to end what it was told to end.
fn closed(done: impl Fn() -> bool) -> bool {
    let until = std::time::Instant::now() + LONG;
    while !done() && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    done()
}
