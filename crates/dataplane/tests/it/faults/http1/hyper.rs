//! A34: the same bytes to the gateway and to hyper. What both take they read alike; what only one
//! takes is explained in `docs/differential.md`.

use std::collections::BTreeMap;
use std::convert::Infallible;

use base::Clock;
use config::Memory;
use config::v1::Paths;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use policy::message::{Method, Scheme};
use testkit::attack::mutate::Mutator;
use testkit::attack::oracle::{Oracle, answer_to};
use testkit::attack::raw::{self, Answer, Until};
use tokio::net::TcpListener;

use super::super::contract::Bench;

const TABLE: &str = include_str!("../../../../../../docs/differential.md");

const COUNT: u64 = 3_000;

const SILENCE: std::time::Duration = std::time::Duration::from_millis(100);

const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:0',
  limits: { header_timeout: 500ms, body_idle_timeout: 500ms } } ]
upstreams: [ { name: up, endpoints: [ 'http://@UP@' ], retry: { attempts: 0 } } ]
apis: [ { name: echo, upstream: up } ]
";

/// A request that was taken: method, target, body. Answers to HEAD have no body to tell it in, so
/// that both tell it in a field.
type Taken = (String, String, String);

fn told(method: &str, target: &str, body: &[u8]) -> String {
    let body = body.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{method} {target} {body}.")
}

/// hyper, telling what it read.
async fn peer() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: hyper::Request<Incoming>| async move {
                let (head, body) = request.into_parts();
                let Ok(body) = body.collect().await else {
                    let broken = hyper::Response::builder().status(400);
                    return Ok(broken.body(Full::from("")).expect("an answer"));
                };
                let told = told(head.method.as_str(), &head.uri.to_string(), &body.to_bytes());
                let answer = hyper::Response::builder().header("x-told", told);
                Ok::<_, Infallible>(answer.body(Full::<Bytes>::from("")).expect("an answer"))
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                // What it refuses is told by its answers.
                let _ = serving.await;
            });
        }
    });
    address
}

fn taken(answers: &[Answer]) -> Vec<Taken> {
    let told = answers.iter().map_while(|answer| answer.field("x-told"));
    let parts = told.map(|told| {
        let mut parts = told.trim_end_matches('.').splitn(3, ' ').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        (part(), part(), part())
    });
    parts.collect()
}

/// The canonical form of what hyper read as target.
fn canonical(target: &str) -> Option<String> {
    let host = target.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next());
    let host = host.unwrap_or("a.test");
    let read = gateward_dataplane::canonical(
        Method::Get,
        Scheme::Http,
        host,
        target,
        &[],
        Paths::default(),
    );
    let target = read.ok()?.target;
    let query = target.query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{query}", target.path))
}

/// Every disagreement is one of those that the table explains; every row of it was seen.
/// Seen to fail: with `content_length` of the codec reading lengths as octal ("read in two ways").
#[tokio::test]
async fn fa_A34_b_hyper_reads_alike() {
    let oracle = Oracle::answering(|seen| {
        let line = format!("x-told: {}\r\n", told(&seen.method, &seen.target, &seen.body));
        answer_to(seen, "200 OK", &line, b"").into()
    });
    let bench = Bench::by(Clock::system(), oracle.await, DOCUMENT, Memory::default());
    let peer = peer().await;
    let mut unexplained: BTreeMap<String, String> = BTreeMap::new();
    for first in (0..COUNT).step_by(20) {
        let tasks = (first..first + 20).map(|number| {
            let bytes = Mutator::seeded(77 << 32 | number).conversation();
            let address = bench.address;
            tokio::spawn(async move {
                let ours = raw::exchange(address, &bytes, Until::Silence(SILENCE)).await;
                let theirs = raw::exchange(peer, &bytes, Until::Silence(SILENCE)).await;
                (bytes, ours, theirs)
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            let (bytes, ours, theirs) = task.await.expect("a conversation");
            if let Some(reason) = disagreement(&bytes, &ours.answers, &theirs.answers)
                && !TABLE.contains(&format!("| `{reason}` |"))
            {
                unexplained.entry(reason).or_insert_with(|| bytes.escape_ascii().to_string());
            }
        }
    }
    assert!(unexplained.is_empty(), "not explained in docs/differential.md: {unexplained:#?}");
}

/// Why the two disagree, as the table names it; none where they do not.
fn disagreement(bytes: &[u8], ours: &[Answer], theirs: &[Answer]) -> Option<String> {
    let (our, their) = (taken(ours), taken(theirs));
    for (our, their) in our.iter().zip(&their) {
        let read = canonical(&their.1);
        let same = our.0 == their.0 && our.2 == their.2 && read.as_deref() == Some(&*our.1);
        assert!(same, "read in two ways: {our:?} and {their:?}: {}", bytes.escape_ascii());
    }
    if our.len() < their.len() {
        let Some(refusal) = ours.get(our.len()) else {
            return Some("the end of the connection".into());
        };
        let problem: serde_json::Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let (code, detail) = (text("code"), text("detail"));
        return Some(if detail.is_empty() { code } else { format!("{code}: {detail}") });
    }
    if our.len() > their.len() {
        return Some(match theirs.get(their.len()) {
            Some(refusal) => format!("hyper: {}", refusal.status),
            None => "hyper: the end of the connection".into(),
        });
    }
    None
}
