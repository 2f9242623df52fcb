//! Limits, where requests last.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Gateway, Peer, curl, python, read_line, status, until};

const ONE: &str = "policies: [ { concurrency: { limit: 1, by: none } } ]";

/// Seen to fail with the place given back on the way back (`on_response`), not at the end.
#[test]
fn a_stream_keeps_its_place_until_its_reader_leaves() {
    for flag in ["--http1.1", "--http2-prior-knowledge"] {
        let origin = Peer::origin("one");
        let gateway = Gateway::start(&format!(
            "apis:\n\
             \x20 - {{ name: all, upstream: \"http://127.0.0.1:{port}\", {ONE} }}\n\
             \x20 - {{ name: next, path: /next, strip_path: false, \
             upstream: \"http://127.0.0.1:{port}\" }}\n",
            port = origin.port,
        ));
        let mut reader = Command::new("curl")
            .args(["-sSN", flag, "--max-time", "60", &gateway.url("/events")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = reader.stdout.take().unwrap();
        curl(&[&gateway.url("/next")]);
        assert_eq!(read_line(&mut out), "data: 0", "{flag}");
        assert_eq!(status(&[&gateway.url("/a")]), "429", "{flag}: the stream has the only place");
        reader.kill().unwrap();
        reader.wait().unwrap();
        until("the place is free", || status(&[&gateway.url("/a")]) == "200");
    }
}

#[test]
fn a_websocket_keeps_its_place_until_it_closes() {
    let server = Peer::python("websocket_peer.py", &["server"]);
    let gateway = Gateway::start(&format!(
        "apis: [ {{ name: chat, path: /chat, upstream: \"http://127.0.0.1:{}\", {} }} ]\n",
        server.port, ONE
    ));
    let script = "import sys, websockets.sync.client as c\n\
        w = c.connect(sys.argv[1])\n\
        w.send('here'); print(w.recv(), flush=True)\n\
        sys.stdin.readline(); w.close()\n";
    let program = python("origin.py", &[]).get_program().to_owned();
    let mut client = Command::new(program)
        .args(["-c", script, &format!("ws://127.0.0.1:{}/chat", gateway.port)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = client.stdout.take().unwrap();
    assert_eq!(read_line(&mut out), "here");
    assert_eq!(status(&[&gateway.url("/chat")]), "429", "the WebSocket has the only place");
    client.stdin.take().unwrap().write_all(b"close\n").unwrap();
    assert!(client.wait().unwrap().success());
    // What the server says to a plain request does not matter here.
    until("the place is free", || status(&[&gateway.url("/chat")]) != "429");
}

#[test]
fn callers_that_leave_before_the_answer_give_their_place_back() {
    let origin = Peer::origin("one");
    let gateway = Gateway::start(&format!(
        "apis: [ {{ name: all, upstream: \"http://127.0.0.1:{}\", {} }} ]\n",
        origin.port, ONE
    ));
    let mut waiting = Command::new("curl")
        .args(["-sS", "--max-time", "60", &gateway.url("/slow")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("it waits at the upstream", || {
        let metrics = curl(&[&gateway.admin_url("/metrics")]);
        let mut lines = metrics.lines();
        lines.any(|line| line.contains("endpoint_active_requests{") && line.ends_with(" 1"))
    });
    assert_eq!(status(&[&gateway.url("/a")]), "429");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    until("the place is free", || status(&[&gateway.url("/a")]) == "200");
}
