//! From one binary to the next.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::fixed;
use crate::certificates::Authority;
use crate::harness::{GATEWARD, Gateway, Peer, curl, text, until};
use crate::traffic::Traffic;

/// Asks for an upgrade; exit code and all it said.
pub fn upgrade(gateway: &Gateway, flags: &[&str]) -> (i32, String) {
    let mut command = Command::new(GATEWARD);
    command.arg("upgrade").arg("--state").arg(gateway.dir().join("state")).args(flags);
    let (code, out, err) = text(&mut command);
    (code, out + &err)
}

/// A gateway by a binary of its own, which can be put another in place of.
fn own(document: &str, flags: &[&str]) -> Gateway {
    let program = |dir: &Path| {
        let path = dir.join("gateward");
        if fs::hard_link(GATEWARD, &path).is_err() {
            fs::copy(GATEWARD, &path).unwrap();
        }
        Command::new(path)
    };
    Gateway::start_by(program, document, flags, |dir| {
        Authority::new(dir, "ca").sign(dir, "a", &["localhost"]);
    })
}

/// Puts a program in place of a gateway's.
fn replace(gateway: &Gateway, program: &str) {
    let new = gateway.dir().join("new");
    fs::write(&new, program).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, gateway.dir().join("gateward")).unwrap();
}

/// Three upgrades under traffic of all kinds: no call fails, and the supervisor is the new binary
/// too.
///
/// Seen to fail: with the old process cutting its connections off at the start of its drain, calls
/// on kept ones are reset; with the supervisor keeping no sockets, the new process finds the
/// address in use.
#[test]
fn fa_J02_upgrades_fail_no_request() {
    let (origin, grpc) = (Peer::origin("one"), Peer::python("grpc_peer.py", &["server"]));
    let ws = Peer::python("websocket_peer.py", &["server"]);
    let secure = testkit::port::reserved();
    let document = format!(
        "listeners:\n  - {{ name: web, bind: \"127.0.0.1:@WEB@\" }}\n  \
         - {{ name: secure, bind: \"127.0.0.1:{secure}\", tls: {{ certificates: [ {{ cert: a.pem, key: a.key }} ] }} }}\n\
         upstreams: [ {{ name: echo, endpoints: [\"http://127.0.0.1:{}\"], protocol: http2 }} ]\n\
         apis:\n  - {{ name: echo, path: /gateward.test.Echo, strip_path: false, upstream: echo }}\n  \
         - {{ name: ws, path: /ws, upstream: \"http://127.0.0.1:{}\" }}\n  \
         - {{ name: all, upstream: \"http://127.0.0.1:{}\" }}\n",
        grpc.port, ws.port, origin.port
    );
    let gateway = own(&document, &[]);
    let tls = Traffic::start("tls", secure, "/name", 2, 0);
    let loads = [
        ("kept", "/name"),
        ("fresh", "/name"),
        ("grpc", "/gateward.test.Echo/Unary"),
        ("websocket", "/ws"),
    ]
    .map(|(kind, path)| Traffic::start(kind, gateway.port, path, 2, 0));
    for _ in 0..3 {
        let before = gateway.serving();
        let (code, said) = upgrade(&gateway, &[]);
        assert_eq!(code, 0, "{said}");
        assert_ne!(gateway.serving(), before);
        let line = fs::read_to_string(format!("/proc/{}/cmdline", gateway.id())).unwrap();
        assert!(line.contains("--resume="), "the supervisor became the new binary: {line}");
    }
    tls.stop_unharmed();
    for load in loads {
        load.stop_unharmed();
    }
}

/// SIGUSR2 upgrades as well.
///
/// Seen to fail: with SIGUSR2 taken out of what the supervisor blocks and reads, it ends the
/// gateway.
#[test]
fn fa_J02_b_a_signal_upgrades_too() {
    let gateway = Gateway::start(&fixed("one"));
    let before = gateway.serving();
    gateway.signal("USR2");
    super::replaced(&gateway, before);
    assert_eq!(curl(&[&gateway.url("/")]), "one");
}

/// A new binary that ends, hangs, or is no program at all: the old one goes on, nothing fails, and
/// who asked is told why.
///
/// Seen to fail: with the old process told to leave when the new one is started and not when it is
/// ready, nobody serves.
#[test]
fn fa_J04_a_new_binary_that_is_no_good_changes_nothing() {
    let gateway = own(&fixed("one"), &["--start-patience", "20"]);
    let before = gateway.serving();
    let load = Traffic::start("fresh", gateway.port, "/", 2, 0);
    replace(&gateway, "#!/bin/sh\nexit 7\n");
    let (code, said) = upgrade(&gateway, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("exit code 7"), "{said}");
    replace(&gateway, "no program");
    let (code, said) = upgrade(&gateway, &[]);
    assert_eq!(code, 1, "{said}");
    replace(&gateway, "#!/bin/sh\nexec sleep 1000\n");
    let (code, said) = upgrade(&gateway, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("not ready within 20 s"), "{said}");
    assert_eq!(gateway.serving(), before);
    load.stop_unharmed();
    assert_eq!(gateway.status()["past"]["crashed"], 0);
}

/// A new binary that can't run by the document, and finds no last good one, says what is wrong with
/// it; the old one goes on.
///
/// Seen to fail: with the reason not passed on (`Served::failed`), only an exit code is told.
#[test]
fn fa_J04_b_a_document_that_the_new_binary_refuses_is_told() {
    let gateway = own(&fixed("one"), &["--no-watch"]);
    let before = gateway.serving();
    gateway.write("apis: [ { name: a, upsteam: http://127.0.0.1:1 } ]\n");
    let state = gateway.dir().join("state");
    for entry in fs::read_dir(&state).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("document-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let (code, said) = upgrade(&gateway, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("upsteam"), "{said}");
    assert_eq!(gateway.serving(), before);
    assert_eq!(curl(&[&gateway.url("/")]), "one");
}

/// An upgrade while the document is broken goes through by the last good one, with no call failing.
///
/// Seen to fail: without the store being asked, the upgrade is refused.
#[test]
fn fa_J05_an_upgrade_with_a_broken_document_serves_the_last_good_one() {
    let gateway = Gateway::start(&fixed("one"));
    gateway.write("apis: [ { name: a, upsteam: http://127.0.0.1:1 } ]\n");
    until("the document is refused", || gateway.log().contains("was refused"));
    let load = Traffic::start("fresh", gateway.port, "/", 2, 0);
    let (code, said) = upgrade(&gateway, &[]);
    assert_eq!(code, 0, "{said}");
    load.stop_unharmed();
    assert_eq!(curl(&[&gateway.url("/")]), "one");
    assert!(gateway.status()["past"]["fallback"].to_string().contains("upsteam"));
}

/// Fewer workers after an upgrade, then more: the sockets that nobody would need go on being
/// accepted from, so that no connection waits in one for ever.
///
/// Seen to fail: with `socket::deal` giving each core one socket and leaving the others out, what
/// the kernel puts into those waits for ever.
#[test]
fn fa_J06_fewer_workers_leave_no_connection_behind() {
    let gateway = Gateway::start(&fixed("one"));
    let load = Traffic::start("fresh", gateway.port, "/", 4, 0);
    for workers in ["1", "3", "2"] {
        let (code, said) = upgrade(&gateway, &["--workers", workers]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(gateway.status()["workers"].to_string(), workers);
        for _ in 0..20 {
            assert_eq!(curl(&[&gateway.url("/")]), "one");
        }
    }
    load.stop_unharmed();
}

/// An upgrade waits for the first health checks: who is down is known before traffic is taken.
///
/// Seen to fail: with `prove` not waiting for them, the upgrade is over before the endpoint that
/// accepts and says nothing is found out.
#[test]
fn fa_J04_d_an_upgrade_waits_for_the_first_health_checks() {
    let origin = Peer::origin("one");
    let says_nothing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = says_nothing.local_addr().unwrap();
    let gateway = Gateway::start(&format!(
        "upstreams:\n  - name: up\n    endpoints: [\"http://127.0.0.1:{}\", \"http://{silent}\"]\n    \
         health: {{ path: /name, interval: 1s, timeout: 3s }}\napis: [ {{ name: all, upstream: up }} ]\n",
        origin.port
    ));
    let unhealthy =
        || gateway.status()["upstreams"].to_string().matches("\"healthy\":false").count();
    until("the silent one is found out", || unhealthy() == 1);
    let (code, said) = upgrade(&gateway, &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(unhealthy(), 1, "known from the start");
}

/// A second gateway on the same state directory is refused, with what to do.
///
/// Seen to fail: with the control socket taken over from whoever answers on it, both run.
#[test]
fn fa_J04_c_one_state_directory_has_one_gateway() {
    let gateway = Gateway::start(&fixed("one"));
    let mut command = Command::new(GATEWARD);
    command.args(["run", "--config"]).arg(gateway.document());
    command.arg("--state").arg(gateway.dir().join("state"));
    let (code, _, err) = text(&mut command);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("another gateway uses") && err.contains("--state"), "{err}");
}
