//! Runs cases.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::Registry;

use crate::case::{self, Call, Case, Expected, Step};
use crate::gateway::{self, Gateway};
use crate::message::Message;
use crate::servers::{self, Servers};
use crate::upstream::Upstream;

/// How long a hung engine may hold up a test, in real time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs every case of every `.case` file under `folder`, with the policies of `registry`. Gives
/// their number.
///
/// # Panics
/// If one is not as expected; every one that is not is named, with what was different.
pub fn run_cases(folder: &Path, registry: &Registry) -> usize {
    let mut files = Vec::new();
    find(folder, &mut files);
    files.sort();
    let mut number = 0;
    let mut wrong = Vec::new();
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        let text = fs::read_to_string(&file).unwrap_or_default();
        match case::parse(&text) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(cases) => {
                for case in cases {
                    number += 1;
                    if let Err(error) = run(&case, registry) {
                        wrong.push(format!("{name}:{}: {}\n    {error}", case.line, case.title));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {number} cases failed:\n{}", wrong.len(), wrong.join("\n"));
    number
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "case") {
            files.push(path);
        }
    }
}

fn run(case: &Case, registry: &Registry) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
    let folder = tempfile::tempdir().map_err(text)?;
    let document = gateway::document(&case.document, folder.path());
    runtime.block_on(async {
        let upstream = Upstream::listen(&folder.path().join("upstream.sock")).map_err(text)?;
        let servers = Servers::default();
        let gateway = Gateway::start(&document, registry, &servers)?;
        let mut client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut meanwhile = Duration::ZERO;
        for step in &case.steps {
            match step {
                Step::Advance(by) => gateway.advance(*by),
                Step::Meanwhile(by) => meanwhile = *by,
                Step::Client(address) => client = *address,
                Step::Call(call) => {
                    for _ in 0..call.times {
                        let one = one(call, &gateway, &upstream, &servers, (client, meanwhile));
                        let outcome = tokio::time::timeout(PATIENCE, one).await;
                        let outcome = outcome.unwrap_or_else(|_| Err("no answer came".into()));
                        outcome.map_err(|error| format!("line {}: {error}", call.line))?;
                    }
                    meanwhile = Duration::ZERO;
                }
            }
        }
        Ok(())
    })
}

async fn one(
    call: &Call,
    gateway: &Gateway,
    upstream: &Upstream,
    servers: &Servers,
    (client, meanwhile): (IpAddr, Duration),
) -> Result<(), String> {
    upstream.answer(&call.answer);
    servers.answer(servers::written(&call.told));
    let response = gateway.call(&call.request, client, meanwhile).await;
    let response = response.ok_or("the connection ended without an answer")?;
    let status = response.start.split(' ').nth(1).unwrap_or_default().to_owned();
    check("the answer", &call.response, &status, &response)?;
    let seen = upstream.seen();
    match seen.last() {
        Some(request) if call.upstream.nothing => {
            return Err(format!("the upstream saw {}", request.start));
        }
        Some(request) => {
            let start = request.start.trim_end_matches(" HTTP/1.1");
            check("the upstream's request", &call.upstream, start, request)?;
            if let Some(body) = call.upstream.body.first()
                && request.body != body.as_bytes()
            {
                let body = String::from_utf8_lossy(&request.body);
                return Err(format!("the upstream saw the body {body:?}"));
            }
        }
        None if call.upstream.expects_a_message() => {
            return Err(format!("the upstream saw nothing; the answer was {response:?}"));
        }
        None => {}
    }
    asked(&call.asked, &servers.asked())?;
    if call.log.is_empty() {
        return Ok(());
    }
    let comes = call.log.iter().any(|line| line != "nothing");
    log(&call.log, &gateway.log(comes).await)
}

impl Expected {
    fn expects_a_message(&self) -> bool {
        self.start.is_some() || !self.has.is_empty() || !self.has_not.is_empty()
    }
}

fn check(what: &str, expected: &Expected, start: &str, found: &Message) -> Result<(), String> {
    let body = String::from_utf8_lossy(&found.body);
    if let Some(wanted) = &expected.start
        && wanted != start
    {
        return Err(format!("{what} is {start}, not {wanted}; {:?} {body}", found.headers));
    }
    for (name, value) in &expected.has {
        if !found.has(name, value) {
            let values = found.values(name);
            return Err(format!("{what} has {name} {values:?}, not {value:?}"));
        }
    }
    for name in &expected.has_not {
        if let Some(value) = found.values(name).first() {
            return Err(format!("{what} has {name}: {value}"));
        }
    }
    match expected.body.iter().find(|part| !body.contains(part.as_str())) {
        Some(part) => Err(format!("{what} has no {part:?} in its body {body:?}")),
        None => Ok(()),
    }
}

fn asked(expected: &[String], asked: &[policy::Call]) -> Result<(), String> {
    let last = asked.last().map(servers::text).unwrap_or_default();
    for part in expected {
        match part.as_str() {
            "nothing" if asked.is_empty() => {}
            "nothing" => return Err(format!("other servers were asked: {last}")),
            part if last.contains(part) => {}
            part => return Err(format!("other servers were not asked {part:?} but {last:?}")),
        }
    }
    Ok(())
}

fn log(expected: &[String], lines: &str) -> Result<(), String> {
    for part in expected {
        let good = match part.strip_prefix('!') {
            _ if part == "nothing" => lines.is_empty(),
            Some(part) => !lines.contains(part),
            None if part.starts_with('{') => lines.trim_end() == part,
            None => lines.contains(part.as_str()),
        };
        if !good {
            return Err(format!("expected of the log: {part}; it says {lines:?}"));
        }
    }
    Ok(())
}
