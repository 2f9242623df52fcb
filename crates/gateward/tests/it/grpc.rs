//! gRPC end to end: a server and a client in another language, all four kinds of call, deadlines
//! and errors.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Gateway, Peer, python, text};

#[test]
fn all_kinds_of_call_deadlines_and_errors_pass_through() {
    let server = Peer::python("grpc_peer.py", &["server"]);
    let gateway = Gateway::start(&format!(
        "upstreams: [ {{ name: echo, endpoints: [\"http://127.0.0.1:{}\"], protocol: http2 }} ]\n\
         apis: [ {{ name: echo, path: /gateward.test.Echo, strip_path: false, upstream: echo }} ]\n",
        server.port
    ));
    let (code, out, err) =
        text(&mut python("grpc_peer.py", &["client", &format!("127.0.0.1:{}", gateway.port)]));
    assert_eq!(code, 0, "{out}{err}");
    let results: BTreeMap<String, Value> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["call"].as_str().unwrap().to_owned(), line["result"].clone()))
        .collect();
    let expected = [
        ("unary", json!(["echo:hi", "42"])),
        ("server_stream", json!(["item:0", "item:1", "item:2"])),
        ("client_stream", json!("joined:x,y,z")),
        ("both_stream", json!(["back:a", "back:b", "back:c"])),
        ("fails", json!({ "status": "FAILED_PRECONDITION", "message": "not today: x" })),
        ("big", json!(3_000_005)),
    ];
    for (call, result) in expected {
        assert_eq!(results[call], result, "{call}");
    }
    assert_eq!(results["deadline"]["status"], "DEADLINE_EXCEEDED");
    assert_eq!(results["unknown"]["status"], "UNIMPLEMENTED");
    assert_eq!(results["no_route"]["status"], "UNIMPLEMENTED", "a refusal is a gRPC status");
    let message = results["no_route"]["message"].as_str().unwrap();
    assert!(message.contains("No API answers here"), "{message}");
}
