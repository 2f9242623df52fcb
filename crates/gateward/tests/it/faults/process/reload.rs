//! One document after the other, in a process that goes on.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use super::{fixed, replaced};
use crate::certificates::Authority;
use crate::harness::{Gateway, PATIENCE, Peer, curl, signal, text, until};
use crate::traffic::Traffic;

/// Twenty documents published under traffic of several kinds: no call fails.
///
/// Seen to fail: with every listener opened anew on a swap, its address is in use and the reload is
/// refused.
#[test]
fn fa_J01_reloads_fail_no_request() {
    let (origin, grpc) = (Peer::origin("one"), Peer::python("grpc_peer.py", &["server"]));
    let document = |n: usize| {
        format!(
            "upstreams: [ {{ name: echo, endpoints: [\"http://127.0.0.1:{}\"], protocol: http2 }} ]\n\
             apis:\n  - {{ name: echo, path: /gateward.test.Echo, strip_path: false, upstream: echo }}\n  \
             - {{ name: all, upstream: \"http://127.0.0.1:{}\", routes: [ {{ match: {{ path: /name }} }}, \
             {{ match: {{ path: \"/extra-{n}\" }} }} ] }}\n",
            grpc.port, origin.port
        )
    };
    let gateway = Gateway::start_with(&document(0), &["--no-watch"], |_| {});
    let loads = [("kept", "/name"), ("fresh", "/name"), ("grpc", "/gateward.test.Echo/Unary")]
        .map(|(kind, path)| Traffic::start(kind, gateway.port, path, 2, 0));
    for n in 1..=20 {
        gateway.write(&document(n));
        let (answer, body) = gateway.reload();
        assert_eq!(answer, "200", "reload {n}: {body}");
        let url = gateway.url(&format!("/extra-{n}"));
        assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", &url]), "200");
    }
    for load in loads {
        load.stop_unharmed();
    }
}

/// A connection that is kept, and asks when it is told to.
struct Kept(TcpStream);

impl Kept {
    fn to(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Asks; the whole answer, whose body is three bytes.
    fn ask(&mut self) -> String {
        self.0.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = String::new();
        let mut byte = [0];
        while !answer.contains("\r\n\r\n") {
            self.0.read_exact(&mut byte).expect("an answer");
            answer.push(char::from(byte[0]));
        }
        let mut body = [0; 3];
        self.0.read_exact(&mut body).expect("a body");
        answer + std::str::from_utf8(&body).unwrap()
    }

    /// Whether the gateway has closed it.
    fn is_closed(&mut self) -> bool {
        self.0.read(&mut [0]).is_ok_and(|read| read == 0)
    }
}

/// A listener that comes or goes concerns nobody else; what was opened on a reload outlives the
/// process that opened it, and what was closed is closed everywhere.
///
/// Seen to fail: with new sockets not kept by the supervisor (`Served::keep` does nothing),
/// connections to the new listener are refused while nobody serves; with removed ones not released,
/// they are accepted for ever.
#[test]
fn fa_J16_only_the_listener_that_changed_drains() {
    let more = testkit::port::reserved();
    let with = |name: &str, body: &str| {
        format!(
            "listeners: [ {{ name: web, bind: \"127.0.0.1:@WEB@\" }}, {{ name: {name}, bind: \"127.0.0.1:{more}\" }} ]\n{}",
            fixed(body)
        )
    };
    let gateway = Gateway::start_with(&fixed("one"), &["--no-watch"], |_| {});
    let mut stays = Kept::to(gateway.port);
    assert!(stays.ask().ends_with("one"));
    gateway.write(&with("more", "two"));
    assert_eq!(gateway.reload().0, "200");
    let mut leaves = Kept::to(more);
    assert!(leaves.ask().ends_with("two"));
    assert!(stays.ask().ends_with("two"), "on the same connection");

    let before = gateway.serving();
    signal("KILL", before);
    drop(TcpStream::connect(("127.0.0.1", more)).expect("the new listener is kept too"));
    replaced(&gateway, before);

    let (mut stays, mut leaves) = (Kept::to(gateway.port), Kept::to(more));
    assert!(stays.ask().ends_with("two") && leaves.ask().ends_with("two"));
    gateway.write(&fixed("six"));
    assert_eq!(gateway.reload().0, "200");
    until("the listener is closed", || TcpStream::connect(("127.0.0.1", more)).is_err());
    assert!(leaves.is_closed(), "what idled there was let go");
    let answer = stays.ask();
    assert!(
        answer.ends_with("six") && !answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
}

/// A pair of certificate and key that do not match, or that are half written, is refused and the
/// one before goes on; a good new pair is used from the next connection on.
///
/// Seen to fail: with the match of key and certificate unchecked in `compile`, the reload succeeds
/// and handshakes fail.
#[test]
fn fa_J17_certificates_are_taken_whole_or_not_at_all() {
    let document = "listeners: [ { name: web, bind: \"127.0.0.1:@WEB@\", tls: { certificates: [ { cert: a.pem, key: a.key } ] } } ]\n";
    let document = format!("{document}{}", fixed("one"));
    let gateway = Gateway::start_with(&document, &["--no-watch"], |dir| {
        Authority::new(dir, "old").sign(dir, "a", &["localhost"]);
        Authority::new(dir, "new").sign(dir, "b", &["localhost"]);
    });
    let dir = gateway.dir();
    let serves = |authority: &str| {
        let ca = dir.join(format!("{authority}.pem"));
        let url = format!("https://localhost:{}/", gateway.port);
        let mut curl = std::process::Command::new("curl");
        curl.args(["-sS", "--max-time", "30", "--cacert"]).arg(ca).arg(url);
        let (code, out, _) = text(&mut curl);
        code == 0 && out == "one"
    };
    let copy = |from: &str, to: &str| fs::copy(dir.join(from), dir.join(to)).map(drop).unwrap();
    assert!(serves("old") && !serves("new"));
    copy("b.key", "a.key");
    assert_eq!(gateway.reload().0, "422", "the key is another certificate's");
    let whole = fs::read_to_string(dir.join("b.pem")).unwrap();
    fs::write(dir.join("a.pem"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(gateway.reload().0, "422", "half a certificate");
    assert!(serves("old"));
    copy("b.pem", "a.pem");
    assert_eq!(gateway.reload().0, "200");
    assert!(serves("new") && !serves("old"));
    let metrics = curl(&[&gateway.admin_url("/metrics")]);
    assert!(
        metrics.contains("\ngateward_certificate_expiry_timestamp_seconds{"),
        "its end is a metric: {metrics}"
    );
}

/// What a process has open: descriptors, threads, series.
fn has(gateway: &Gateway, process: u64) -> [usize; 3] {
    let count = |what: &str| {
        fs::read_dir(Path::new("/proc").join(process.to_string()).join(what)).unwrap().count()
    };
    let series = curl(&[&gateway.admin_url("/metrics")]);
    [count("fd"), count("task"), series.lines().filter(|line| !line.starts_with('#')).count()]
}

/// Reload after reload, with listeners that come and go and upstreams that change, nothing piles
/// up: descriptors, threads and metric series of the serving process, descriptors of the
/// supervisor.
///
/// Seen to fail: with the supervisor keeping what is released (`Kept::release` does nothing), its
/// descriptors grow by two a round.
#[test]
fn fa_J18_reloads_leave_nothing_behind() {
    let origin = Peer::origin("one");
    let gateway = Gateway::start_with(&fixed("one"), &["--no-watch"], |_| {});
    let serving = gateway.serving();
    let round = |n: usize| {
        let port = testkit::port::reserved();
        let up = format!("http://127.0.0.1:{}", origin.port);
        gateway.write(&format!(
            "listeners: [ {{ name: web, bind: \"127.0.0.1:@WEB@\" }}, {{ name: more, bind: \"127.0.0.1:{port}\" }} ]\n\
             upstreams: [ {{ name: up, endpoints: [\"{up}\"], slow_start: {}ms }} ]\n\
             apis: [ {{ name: a, upstream: up }} ]\n",
            2000 + n
        ));
        let (answer, body) = gateway.reload();
        assert_eq!(answer, "200", "{body}");
        assert_eq!(curl(&[&gateway.url("/name")]), "one /name\n");
        gateway.write(&fixed("one"));
        assert_eq!(gateway.reload().0, "200");
    };
    (0..5).for_each(round);
    let supervisor = || fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap().count();
    let (before, kept) = (has(&gateway, serving), supervisor());
    (5..25).for_each(round);
    // Connections of the last round may still be on their way out.
    until("nothing was left behind", || {
        let now = has(&gateway, serving);
        now.iter().zip(&before).all(|(now, before)| now <= before)
    });
    assert_eq!(supervisor(), kept);
}
