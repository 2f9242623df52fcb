//! Section E, the engine's part: what was decided about a call holds, whatever the policies do and
//! by whatever way it comes.
#![allow(non_snake_case, reason = "a test's name starts with its number in docs/faults.md")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Pointer, Problems};
use bytes::Bytes;
use config::{Memory, Schema, read_text};
use gateward_dataplane::{MemoryMeter, Options, start};
use h2::ext::Protocol;
use http::{Method, Request};
use policy::{
    Carry, Compile, Exchange, Flow, Phase, Policy, PolicyKind, Posture, Registry, Stage, Step,
};
use serde_json::Value;
use snapshot::Inputs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Gateway, WALL};

/// A policy that fails as its settings say.
#[derive(Debug)]
struct Fails(String);

impl Policy for Fails {
    fn on_request<'a>(&'a self, _: &'a mut Exchange) -> Step<'a> {
        match self.0.as_str() {
            "request" => panic!("on_request"),
            "wait" => Step::Wait(Box::pin(async {
                tokio::task::yield_now().await;
                panic!("while it waits")
            })),
            "hang" => Step::Wait(Box::pin(std::future::pending::<Flow>())),
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

fn fails(settings: &Value, _: &Pointer, _: &mut Compile<'_>) -> Result<Arc<dyn Policy>, Problems> {
    Ok(Arc::new(Fails(settings["at"].as_str().unwrap_or_default().to_owned())))
}

static FAILS: PolicyKind = PolicyKind {
    name: "fails",
    phase: Phase::Authorize,
    manual: "Fails.",
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: |generator| generator.subschema_for::<Value>(),
    compile: fails,
};

static REGISTRY: Registry = Registry::new(&[&FAILS]);

/// What is answered, one call after the other, by an API whose policy fails there and by one that
/// has none.
async fn answered(at: &str) -> (String, String) {
    let text = format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
apis:
  - name: bad
    path: /bad
    policies: [ {{ fails: {{ at: {at} }} }} ]
    routes: [ {{ name: a, respond: {{ status: 204 }} }} ]
  - {{ name: good, path: /good, routes: [ {{ name: a, respond: {{ status: 204 }} }} ] }}
"
    );
    let around = Memory::default();
    let written = read_text("test.yaml", &text, &Schema::any_policy(), &around).expect("read");
    let inputs = Inputs {
        registry: &REGISTRY,
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
    let mut all = Vec::new();
    for path in ["/bad", "/good"] {
        let mut client = handle.connect("web", 64 << 10);
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        let read = client.read_to_string(&mut answer);
        let patience = Duration::from_secs(if at == "hang" { 1 } else { 60 });
        let _ = tokio::time::timeout(patience, read).await;
        all.push(answer);
    }
    let good = all.pop().unwrap_or_default();
    (all.pop().unwrap_or_default(), good)
}

/// A policy that panics, at once or after it waited, on the way forth or back, is a 500 with a code
/// of its own: never an answer as if it had agreed. Others are served.
///
/// Seen to fail: with `Flow::Continue` in place of the refusal in `enforce::guard`, 204.
#[tokio::test]
async fn fa_E24_a_policy_that_panics_fails_its_own_request_alone() {
    for at in ["request", "wait", "response"] {
        let (bad, good) = answered(at).await;
        assert!(bad.starts_with("HTTP/1.1 500 "), "{at}: {bad}");
        assert!(bad.contains("\"code\":\"policy_error\""), "{at}: {bad}");
        assert!(!bad.contains("panicked"), "{at}: what it failed with is for the log: {bad}");
        assert!(good.starts_with("HTTP/1.1 204 "), "{at}: {good}");
    }
    let (bad, good) = answered("end").await;
    assert!(bad.starts_with("HTTP/1.1 204 ") && good.starts_with("HTTP/1.1 204 "), "{bad}{good}");
}

/// One that never comes to an end holds its own request alone, which is never answered as if it had
/// agreed. That its time is bounded is not tested here: the bound is minutes.
#[tokio::test]
async fn a_policy_that_hangs_holds_its_own_request_alone() {
    let (bad, good) = answered("hang").await;
    assert_eq!(bad, "", "no answer yet");
    assert!(good.starts_with("HTTP/1.1 204 "), "{good}");
}

/// The API `/secret` is for nobody; the rest for all.
const GUARDED: &str = "version: 1
listeners: [ { name: web, bind: '127.0.0.1:0' } ]
policies:
  - header: { request: { set: { X-Role: admin } } }
apis:
  - name: all
    path: /
    upstream: http://127.0.0.1:9
    policies:
      - rule:
          rules:
            - { if: 'request.path.startsWith(\"/secret\")', then: deny }
            - { if: '\"x-role\" in request.headers', then: deny, detail: the role was seen }
          otherwise: allow
    routes:
      - { name: own, match: { path: /secret }, rewrite: { path: /open } }
      - { name: any, respond: { status: 204 } }
";

/// What is authorised is what the caller sent: what `transform` writes, and what a route makes of
/// the path, comes after it, wherever it stands in the document. There is no way to write it
/// before.
///
/// Seen to fail: with the phase of `header` set to `admit`, the role is seen.
#[tokio::test]
async fn fa_E23_nothing_is_changed_between_what_is_authorised_and_its_authorisation() {
    let gateway = Gateway::new(GUARDED);
    for (path, role, status) in
        [("/a", false, 204), ("/a", true, 403), ("/secret", false, 403), ("/secret/", false, 403)]
    {
        let role = if role { "X-Role: admin\r\n" } else { "" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{role}\r\n");
        let told = gateway.tell(request.as_bytes(), 1, 64 << 10).await;
        assert!(told.contains(&status.to_string()), "{path} {role}: {told}");
    }
    for kind in policies::REGISTRY.kinds() {
        // Who is asked may take its credential out, and no more; see docs/add-a-policy.md.
        let changes = ["header", "identity"].contains(&kind.name);
        assert!(!changes || kind.phase > Phase::Authorize, "{} runs in {}", kind.name, kind.phase);
    }
}

/// The same verdict over an upgrade, an extended CONNECT, gRPC and plain calls of either version.
///
/// Seen to fail: with policies run only where `x.request.upgrade` is none, the upgrades are not
/// refused, and wait for the upstream.
#[tokio::test]
async fn fa_E29_a_verdict_is_the_same_by_every_way() {
    let gateway = Gateway::new(GUARDED);
    for extra in [
        "",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade\r\nUpgrade: other\r\n",
        "Content-Type: application/grpc-web\r\n",
    ] {
        let request = format!("GET /secret HTTP/1.1\r\nHost: a\r\n{extra}\r\n");
        let told = gateway.tell(request.as_bytes(), 1, 64 << 10).await;
        assert!(told.contains("403") && told.contains("rule_denied"), "{extra}: {told}");
    }
    let mut said = String::new();
    for (method, protocol, kind) in [
        (Method::GET, None, "text/plain"),
        (Method::CONNECT, Some("websocket"), "text/plain"),
        (Method::POST, None, "application/grpc"),
    ] {
        let (client, connection) =
            h2::client::handshake(gateway.connect(64 << 10)).await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut client = client.ready().await.expect("HTTP/2");
        let mut request = Request::builder().method(method).uri("http://a/secret");
        request = request.header("content-type", kind).header("sec-websocket-version", "13");
        let mut request = request.body(()).expect("a request");
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(Protocol::from_static(protocol));
        }
        let (response, mut send) = client.send_request(request, false).expect("sent");
        let _ = send.send_data(Bytes::new(), true);
        let response = response.await.expect("an answer");
        let grpc = response.headers().get("grpc-status").map(|value| value.to_str().unwrap_or(""));
        let _ = write!(said, "{} {} ", response.status().as_u16(), grpc.unwrap_or("-"));
    }
    assert_eq!(said, "403 - 403 - 200 7 ");
}

const PLUM: &str = "0467255695084cc12ffe0c55105907f74a9c189314b9fe87b878eb6fee787b99";
const ORANGE: &str = "1b4c9133da73a711322404314402765ab0d23fd362a167d6f0c65bb215113d94";

/// How often an application may call in an hour, with all of its keys together.
const QUOTA: usize = 1000;

/// An application with these keys.
fn counted(keys: &[&str]) -> String {
    let keys = keys.iter().map(|sha256| format!("{{ sha256: {sha256} }}")).collect::<Vec<_>>();
    format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
policies: [ api_key: {{}}, rate: {{ limit: {QUOTA}, window: 1h, by: application }} ]
apis: [ {{ name: all, routes: [ {{ name: r, respond: {{ status: 204 }} }} ] }} ]
applications: [ {{ name: shop, keys: [ {} ] }} ]
",
        keys.join(", ")
    )
}

/// Calls with this key until one is refused: how many were not, and how that was.
async fn calls(gateway: Arc<Gateway>, key: &'static str, pause: Duration) -> (usize, String) {
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n\r\n");
    for let_in in 0.. {
        let told = gateway.tell(request.as_bytes(), 1, 64 << 10).await;
        if !told.contains("204") {
            return (let_in, told);
        }
        tokio::time::sleep(pause).await;
    }
    unreachable!("an end")
}

/// A key that is withdrawn while calls with it are counted is refused from then on; what was
/// counted stays counted for the application's other key, and a key that is refused counts nothing.
///
/// Seen to fail: with the counts begun anew by a new document, the application had 1,040 calls;
/// with the first document's keys kept, the withdrawn one was let in until the quota was used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fa_E14_a_key_is_withdrawn_while_its_calls_are_counted() {
    let gateway = Arc::new(Gateway::new(&counted(&[ORANGE, PLUM])));
    let pause = Duration::from_millis(5);
    let all: Vec<_> =
        (0..20).map(|_| tokio::spawn(calls(gateway.clone(), "orange", pause))).collect();
    tokio::time::sleep(pause).await;
    gateway.swap(&counted(&[PLUM]));
    let mut before = 0;
    for one in all {
        let (let_in, end) = one.await.expect("an end");
        assert!(end.contains("401") && end.contains("api_key_invalid"), "{end}");
        before += let_in;
    }
    assert!((1..QUOTA).contains(&before), "{before}");
    for _ in 0..100 {
        let (let_in, _) = calls(gateway.clone(), "orange", Duration::ZERO).await;
        assert_eq!(let_in, 0, "it stays withdrawn");
    }
    let (after, end) = calls(gateway.clone(), "plum", Duration::ZERO).await;
    assert!(end.contains("429"), "{end}");
    assert_eq!(before + after, QUOTA, "{before} before");
    // Given back, it has no quota of its own.
    gateway.swap(&counted(&[ORANGE, PLUM]));
    let (let_in, end) = calls(gateway.clone(), "orange", Duration::ZERO).await;
    assert!(let_in == 0 && end.contains("429"), "{let_in}: {end}");
}
