//! WebSocket and server-sent events, with real clients and servers.

use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Gateway, Peer, curl, python, read_line, text};

#[test]
fn websockets_carry_messages_of_all_sizes_both_ways() {
    let server = Peer::python("websocket_peer.py", &["server"]);
    let gateway = Gateway::start(&format!(
        "apis: [ {{ name: chat, path: /chat, upstream: \"http://127.0.0.1:{}\" }} ]\n",
        server.port
    ));
    let url = format!("ws://127.0.0.1:{}/chat", gateway.port);
    let (code, out, err) = text(&mut python("websocket_peer.py", &["client", &url, "20"]));
    assert_eq!(code, 0, "{err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(result["good"], 20, "{result}");
}

#[test]
fn websockets_outlive_a_reload() {
    let server = Peer::python("websocket_peer.py", &["server"]);
    let document = format!(
        "apis: [ {{ name: chat, path: /chat, upstream: \"http://127.0.0.1:{}\" }} ]\n",
        server.port
    );
    let gateway = Gateway::start(&document);
    let script = "import sys, websockets.sync.client as c\n\
        w = c.connect(sys.argv[1])\n\
        w.send('before'); print(w.recv(), flush=True)\n\
        sys.stdin.readline()\n\
        w.send('after'); print(w.recv(), flush=True); w.close()\n";
    let program = python("origin.py", &[]).get_program().to_owned();
    let mut client = Command::new(program)
        .args(["-c", script, &format!("ws://127.0.0.1:{}/chat", gateway.port)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = client.stdout.take().unwrap();
    assert_eq!(read_line(&mut out), "before");
    gateway.write(&format!("{document}policies: [ {{ body_size: {{ max: 1KiB }} }} ]\n"));
    let (status, body) = gateway.reload();
    assert_eq!(status, "200", "{body}");
    drop(client.stdin.take());
    assert_eq!(read_line(&mut out), "after");
    assert!(client.wait().unwrap().success());
}

#[test]
fn events_arrive_one_by_one_as_they_happen() {
    let origin = Peer::origin("one");
    let gateway = Gateway::start(&format!(
        "apis: [ {{ name: all, upstream: \"http://127.0.0.1:{}\" }} ]\n",
        origin.port
    ));
    for flag in ["--http1.1", "--http2-prior-knowledge"] {
        let mut reader = Command::new("curl")
            .args(["-sSN", flag, "--max-time", "60", &gateway.url("/events")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = reader.stdout.take().unwrap();
        for number in 0..3 {
            // The origin sends an event only after this call; it must be readable before the next
            // one is asked for.
            curl(&[&gateway.url("/next")]);
            assert_eq!(read_line(&mut out), format!("data: {number}"), "{flag}");
            assert_eq!(read_line(&mut out), "");
        }
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(reader.wait().unwrap().success());
    }
}
