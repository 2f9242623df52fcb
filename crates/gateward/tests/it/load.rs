//! Nothing fails under load: reloads, endpoints that die and come back, real load generators.

use std::process::{Child, Command, Stdio};

use crate::harness::{Gateway, Peer, curl, text, until};

/// A load generator that keeps calling until it is told to stop; every answer but 200 is counted.
struct Load(Child);

/// Calls one URL from several threads over kept connections until its standard input ends; prints
/// `good bad`.
const LOAD: &str = r#"
import http.client, sys, threading
host, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
stop, good, bad, why = threading.Event(), [0] * threads, [0] * threads, []
def run(me):
    connection = http.client.HTTPConnection(host, timeout=30)
    while not stop.is_set():
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200: good[me] += 1
            else: bad[me] += 1; why.append((answer.status, body[:300]))
            if answer.will_close: connection.close()
        except Exception as error:
            bad[me] += 1; why.append(repr(error)); connection.close()
all = [threading.Thread(target=run, args=(me,)) for me in range(threads)]
[one.start() for one in all]
print("running", flush=True)
sys.stdin.read()
stop.set()
[one.join() for one in all]
print(sum(good), sum(bad), why[:3])
"#;

impl Load {
    fn start(host: &str, path: &str) -> Self {
        let program = crate::harness::python("origin.py", &[]).get_program().to_owned();
        let child = Command::new(program)
            .args(["-c", LOAD, host, path, "4"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Stops it: answers that were right, and what went wrong.
    fn stop(mut self) -> (u64, u64, String) {
        drop(self.0.stdin.take());
        let out = String::from_utf8(self.0.wait_with_output().unwrap().stdout).unwrap();
        let line = out.lines().last().unwrap().to_owned();
        let mut words = line.split(' ');
        let mut number = || words.next().unwrap().parse().unwrap();
        (number(), number(), line.clone())
    }
}

#[test]
fn two_hundred_reloads_under_load_fail_no_request() {
    let origins = [Peer::origin("one"), Peer::origin("two")];
    let document = |n: usize| {
        let (port, limit) = (origins[n % 2].port, 1_000_000 + n);
        format!(
            "upstreams: [ {{ name: up, endpoints: [\"http://127.0.0.1:{port}\"] }} ]\n\
             apis:\n  - name: all\n    upstream: up\n    policies: [ {{ rate: {{ limit: {limit}, window: 1s, by: client }} }} ]\n    \
             routes: [ {{ match: {{ path: /name }} }}, {{ match: {{ path: \"/extra-{n}\" }} }} ]\n"
        )
    };
    let gateway = Gateway::start_with(&document(0), &["--no-watch"], |_| {});
    let load = Load::start(&format!("127.0.0.1:{}", gateway.port), "/name");
    for n in 1..=200 {
        gateway.write(&document(n));
        let (answer, body) = gateway.reload();
        assert_eq!(answer, "200", "reload {n}: {body}");
        assert_eq!(
            curl(&["-o", "/dev/null", "-w", "%{http_code}", &gateway.url(&format!("/extra-{n}"))]),
            "200"
        );
    }
    let (good, bad, line) = load.stop();
    assert_eq!(bad, 0, "{line}");
    assert!(good > 200, "{line}");
}

#[test]
fn an_endpoint_that_dies_and_comes_back_is_not_seen_by_idempotent_callers() {
    let stays = Peer::origin("stays");
    let port = testkit::port::reserved();
    let mut dies = Peer::origin_at("dies", port);
    let gateway = Gateway::start(&format!(
        "upstreams:\n  - name: up\n    endpoints: [\"http://127.0.0.1:{}\", \"http://127.0.0.1:{port}\"]\n    \
         balance: round_robin\n    retry: {{ attempts: 2 }}\n    slow_start: 0s\n    \
         outlier: {{ consecutive: 3, base: 1s }}\napis: [ {{ name: all, upstream: up }} ]\n",
        stays.port
    ));
    let load = Load::start(&format!("127.0.0.1:{}", gateway.port), "/name");
    for _ in 0..3 {
        drop(dies);
        until("it is out", || {
            gateway.status()["upstreams"].to_string().contains("\"ejected\":true")
        });
        dies = Peer::origin_at("dies", port);
        until("it is back", || curl(&[&gateway.url("/name")]).starts_with("dies"));
    }
    drop(dies);
    let (good, bad, line) = load.stop();
    assert_eq!(bad, 0, "{line}");
    assert!(good > 100, "{line}");
}

#[test]
fn h2load_and_wrk_see_no_failure() {
    let gateway =
        Gateway::start("apis: [ { name: a, routes: [ { respond: { body: hello } } ] } ]\n");
    for flags in [["--h1", "-m1"], ["-m10", "-t1"]] {
        let mut command = Command::new("h2load");
        command.args(["-n20000", "-c20"]).args(flags).arg(gateway.url("/"));
        let (code, out, err) = text(&mut command);
        assert_eq!(code, 0, "{err}");
        let requests = out.lines().find(|line| line.starts_with("requests:")).unwrap();
        assert!(
            requests.contains("20000 succeeded, 0 failed, 0 errored, 0 timeout"),
            "{flags:?}: {out}"
        );
    }
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c20", "-d2s", &gateway.url("/")]);
    let (code, out, err) = text(&mut command);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("Non-2xx") && !out.contains("Socket errors"), "{out}");
    let requests = out.lines().find(|line| line.contains("requests in")).unwrap();
    assert!(!requests.trim().starts_with("0 "), "{out}");
}
