//! A34: a search for requests that the origin reads in another way than the gateway meant.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use base::Clock;
use config::Memory;
use serde_json::Value;
use testkit::attack::mutate::Mutator;
use testkit::attack::oracle::{Oracle, Seen};
use testkit::attack::raw::{self, Until};

use super::super::contract::Bench;

/// Conversations in CI. `GATEWARD_SMUGGLE` asks for another number, `GATEWARD_SEED` for others.
const COUNT: u64 = 10_000;

/// Conversations between two looks at the log.
const BATCH: u64 = 500;

/// Conversations at once.
const AT_ONCE: u64 = 250;

/// How long a client waits for more before it ends its direction. The verdict does not depend on
/// it.
const SILENCE: Duration = Duration::from_millis(100);

const DOCUMENT: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:0',
  limits: { header_timeout: 500ms, body_idle_timeout: 500ms } } ]
upstreams: [ { name: up, endpoints: [ 'http://@UP@' ], retry: { attempts: 0 } } ]
policies:
  - access_log: { to: { file: 'LOG' }, query: true,
      fields: [ id, method, host, path, query, status, code, bytes_in, upstream_status ] }
apis: [ { name: echo, hosts: [ a.test, b.test ], upstream: up } ]
";

fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// Whatever the bytes: each request the origin reads is one the gateway logged, with its method,
/// host, target and length of body; each one logged as answered by the origin was read there once;
/// and the origin reads nothing that is none. Seen to fail: with `Transfer-Encoding` left among the
/// fields by `Fields::take` and `is_replaced`, within the first batch.
#[tokio::test]
async fn fa_A34_a_nothing_is_smuggled() {
    let (count, seed) = (asked("GATEWARD_SMUGGLE", COUNT), asked("GATEWARD_SEED", 1));
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let document = DOCUMENT.replace("LOG", &log.display().to_string());
    let oracle = Oracle::start().await;
    let bench = Bench::by(Clock::system(), oracle, &document, Memory::default());
    let mut read = 0;
    let mut whole = 0;
    for first in (0..count).step_by(BATCH as usize) {
        let last = count.min(first + BATCH);
        for start in (first..last).step_by(AT_ONCE as usize) {
            let tasks = (start..last.min(start + AT_ONCE)).map(|number| {
                let bytes = Mutator::seeded(seed << 32 | number).conversation();
                let address = bench.address;
                tokio::spawn(async move {
                    raw::exchange(address, &bytes, Until::Silence(SILENCE)).await;
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.expect("a conversation");
            }
        }
        let lines = lines(&bench, &log, &mut read).await;
        let seen = bench.oracle.take();
        whole += seen.len();
        check(&lines, &seen, &format!("seed {seed}, {first}..{last}"));
        assert_eq!(bench.oracle.wrong(), [""; 0], "seed {seed}, {first}..{last}");
    }
    assert!(whole as u64 > count / 2, "too few conversations hold something that is read: {whole}");
    println!(
        "{count} conversations by seed {seed}: the origin read {whole} requests, all as meant"
    );
}

/// The log's lines since this was asked last, once all requests are over.
async fn lines(bench: &Bench, log: &Path, read: &mut u64) -> Vec<Value> {
    bench
        .metric_is(&format!("gateward_connections_open{{listener=\"{}\"", bench.listener), 0)
        .await;
    bench.handle.observer().flush(raw::PATIENCE);
    let mut file = File::open(log).expect("a log");
    file.seek(SeekFrom::Start(*read)).expect("what was read before");
    let mut new = String::new();
    *read += file.read_to_string(&mut new).expect("text") as u64;
    new.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn check(lines: &[Value], seen: &[Seen], what: &str) {
    let mut by_id: HashMap<&str, &Value> = HashMap::new();
    for line in lines {
        let id = line["id"].as_str().expect("an id");
        assert!(by_id.insert(id, line).is_none(), "{what}: two lines of {id}");
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    for seen in seen {
        let shown = seen.raw.escape_ascii();
        let id = seen.field("x-request-id");
        let id = id.unwrap_or_else(|| panic!("{what}: a request without id: {shown}"));
        let line = by_id.get(&*id).unwrap_or_else(|| panic!("{what}: not logged: {shown}"));
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let query = line["query"].as_str().map(|query| format!("?{query}")).unwrap_or_default();
        let meant = (text("method"), format!("{}{query}", text("path")), text("host"));
        let host = seen.field("host").unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default().to_owned();
        let found = (seen.method.clone(), seen.target.clone(), host);
        assert_eq!(found, meant, "{what}: {shown}");
        let bytes = line["bytes_in"].as_u64();
        // A client that left before the answer was counted up to where it left.
        if line["code"] != "caller_gone" {
            assert_eq!(Some(seen.body.len() as u64), bytes, "{what}: {shown}: {line}");
        }
        *counts.entry(id).or_default() += 1;
    }
    for (id, line) in by_id {
        let count = counts.get(id).copied().unwrap_or_default();
        let answered = line["upstream_status"].is_number();
        assert!(count == 1 || (count == 0 && !answered), "{what}: {count} times: {line}");
    }
}
