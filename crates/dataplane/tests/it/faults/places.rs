//! Section L: places among the calls that may run at once, and how they get free.
#![allow(non_snake_case, reason = "cases are called by their number")]

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Pointer, Problems};
use config::{Memory, Schema, read_text};
use gateward_dataplane::{MemoryMeter, Options, start};
use policy::{
    Carry, Compile, Exchange, Flow, Phase, Policy, PolicyKind, Posture, Registry, Stage, Step,
};
use serde_json::Value;
use snapshot::Inputs;
use testkit::attack::frames::{Block, Frame, Peer, code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::memory::{Bench, Client, Upstream};
use crate::support::WALL;

/// One place for all calls.
const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:80' } ]
policies: [ { concurrency: { limit: 1, by: none } } ]
upstreams:
  - { name: up, endpoints: [ 'http://10.0.0.1:80' ], timeouts: { total: 0s, first_byte: 300s } }
apis:
  - { name: up, hosts: [ a.test ], upstream: up }
  - { name: fixed, path: /fixed, routes: [ { respond: { body: 'hello' } } ] }
";

const OPENING: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Whether a call finds the place free; it gives it back at once.
async fn is_free(bench: &Bench) -> bool {
    // Time that stands still moves on when nothing is left to do.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut client = bench.client();
    client.send("GET /fixed HTTP/1.1\r\nHost: b.test\r\n\r\n").await;
    let answer = client.answer().await;
    if answer.status == 429 {
        assert_eq!(answer.field("retry-after"), Some("1"));
        assert!(answer.body.contains("\"code\":\"concurrency_limited\""), "{}", answer.body);
    }
    answer.status == 200
}

/// A call that has the place and waits for the endpoint.
async fn waiting(bench: &mut Bench) -> (Client, Upstream) {
    let mut client = bench.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n").await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    assert!(!is_free(bench).await, "it has the place");
    (client, upstream)
}

/// A call of whose answer a part has come.
async fn streaming(bench: &mut Bench) -> (Client, Upstream) {
    let (mut client, mut upstream) = waiting(bench).await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789").await;
    client.until("0123456789").await;
    assert!(!is_free(bench).await, "its answer has not ended");
    (client, upstream)
}

/// A WebSocket.
async fn tunnel(bench: &mut Bench) -> (Client, Upstream) {
    let mut client = bench.client();
    client.send(OPENING).await;
    let mut upstream = bench.arrival().await;
    upstream.request().await;
    upstream.send(SWITCHING).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(!is_free(bench).await, "it is open");
    (client, upstream)
}

/// A call has its place until the last byte of its answer; it is free when the answer was sent, the
/// client left before or within it, the endpoint broke off or did not answer in time.
///
/// Seen to fail: with a `Place` that gives nothing back when it is dropped, the place is never free
/// again.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_L11_a_every_way_out_gives_the_place_back() {
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    for _ in 0..3 {
        let (mut client, mut upstream) = streaming(&mut bench).await;
        upstream.send(&"x".repeat(90)).await;
        client.until(&"x".repeat(90)).await;
        assert!(is_free(&bench).await, "it was answered");
        drop((client, upstream));
        let (client, _upstream) = waiting(&mut bench).await;
        drop(client);
        assert!(is_free(&bench).await, "the client left before the answer");
        let (client, _upstream) = streaming(&mut bench).await;
        drop(client);
        assert!(is_free(&bench).await, "the client left within the answer");
        let (_client, upstream) = streaming(&mut bench).await;
        drop(upstream);
        assert!(is_free(&bench).await, "the endpoint broke off");
        let (mut client, _upstream) = waiting(&mut bench).await;
        bench.pass(Duration::from_secs(301)).await;
        assert_eq!(client.answer().await.status, 504);
        assert!(is_free(&bench).await, "the endpoint was too slow");
    }
}

/// A WebSocket has its place until both ends have closed it, and through a reload.
///
/// Seen to fail: as `fa_L11_a`; with `held` cleared before `Client::tunnel`, it is free while the
/// tunnel is open.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_L11_b_a_websocket_has_its_place_until_it_is_closed() {
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    for _ in 0..3 {
        let (client, upstream) = tunnel(&mut bench).await;
        bench.run_by(DOCUMENT);
        assert!(!is_free(&bench).await, "it was open before the reload");
        drop(client);
        assert!(!is_free(&bench).await, "the endpoint may still have something to say");
        drop(upstream);
        assert!(is_free(&bench).await, "the client closed it, then the endpoint");
        let (client, upstream) = tunnel(&mut bench).await;
        drop(upstream);
        drop(client);
        assert!(is_free(&bench).await, "the endpoint closed it, then the client");
    }
}

/// A stream of HTTP/2 that is reset gives its place back, as does a connection that is gone.
///
/// Seen to fail: as `fa_L11_a`.
#[tokio::test(flavor = "local", start_paused = true)]
async fn fa_L11_c_a_stream_that_is_reset_gives_the_place_back() {
    let mut bench = Bench::new(DOCUMENT, 64 << 10);
    for resets in [true, false, true, false] {
        let mut peer = Peer::client_with(bench.connect("web", 1 << 20), &[]).await;
        peer.send(&Frame::head(1, true, &Block::request("GET", "/", "a.test"))).await;
        let mut upstream = bench.arrival().await;
        upstream.request().await;
        assert!(!is_free(&bench).await, "it runs");
        if resets {
            peer.send(&Frame::reset(1, code::CANCEL)).await;
        } else {
            drop(peer);
        }
        assert!(is_free(&bench).await, "reset: {resets}");
    }
}

/// A policy that panics as its settings say.
#[derive(Debug)]
struct Panics(String);

impl Policy for Panics {
    fn on_request<'a>(&'a self, _: &'a mut Exchange) -> Step<'a> {
        match self.0.as_str() {
            "request" => panic!("on_request"),
            "wait" => Step::Wait(Box::pin(async {
                tokio::task::yield_now().await;
                if true { panic!("while it waits") } else { Flow::Continue }
            })),
            _ => Step::next(),
        }
    }

    fn on_response<'a>(&'a self, _: &'a mut Exchange) -> Step<'a> {
        if self.0 == "response" { panic!("on_response") } else { Step::next() }
    }

    fn on_end(&self, _: &Exchange) {
        assert!(self.0 != "end", "on_end");
    }
}

fn panics(settings: &Value, _: &Pointer, _: &mut Compile<'_>) -> Result<Arc<dyn Policy>, Problems> {
    Ok(Arc::new(Panics(settings["at"].as_str().unwrap_or_default().to_owned())))
}

static PANICS: PolicyKind = PolicyKind {
    name: "panics",
    phase: Phase::Upstream,
    manual: "Panics.",
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: |generator| generator.subschema_for::<Value>(),
    compile: panics,
};

/// Where another policy panics, at once or after it waited, on the way forth, back or when all is
/// over, the place is free again.
///
/// Seen to fail: as `fa_L11_a`.
#[tokio::test]
async fn fa_L11_d_a_panic_gives_the_place_back() {
    let concurrency = policies::REGISTRY.find("concurrency").expect("it is there");
    let registry = Registry::new(Box::leak(Box::new([concurrency, &PANICS])));
    for at in ["request", "wait", "response", "end"] {
        let text = format!(
            "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
apis:
  - name: bad
    policies: [ {{ concurrency: {{ limit: 1 }} }}, {{ panics: {{ at: {at} }} }} ]
    routes: [ {{ name: a, respond: {{ status: 204 }} }} ]
"
        );
        let around = Memory::default();
        let written = read_text("test.yaml", &text, &Schema::any_policy(), &around).expect("read");
        let inputs = Inputs {
            registry: &registry,
            remotes: &snapshot::Nowhere,
            carry: &Carry::default(),
            around: &around,
            authorities: &Vec::new,
            ledger: None,
            wall: WALL,
            revision: 1,
        };
        let snapshot = Arc::new(snapshot::compile(&written, &inputs).expect("it compiles"));
        let options = Options { workers: 1, clock: Clock::system(), memory: MemoryMeter::system() };
        let handle = start(snapshot, options).expect("it starts");
        let expected = if at == "end" { "HTTP/1.1 204 " } else { "HTTP/1.1 500 " };
        for _ in 0..3 {
            let mut client = handle.connect("web", 64 << 10);
            let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            client.write_all(request.as_bytes()).await.expect("sent");
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.expect("answered");
            assert!(answer.starts_with(expected), "{at}: {answer}");
        }
    }
}
