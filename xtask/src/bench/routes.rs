//! Many routes: what one more of them costs a request, how long they take to compile, and what
//! reloading them does to the traffic.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::bed::{Bed, Running, Subject};
use super::load::{Pace, Request, h2load, wrk};
use super::process::{bound, free_port};
use super::report::Report;
use super::traffic::{in_turns, to};
use crate::Result;
use crate::command::output;

/// Routes, and the hosts they are spread over.
const SIZES: [(u32, u32); 3] = [(1, 1), (1_000, 1_000), (100_000, 1_000)];

/// Time between two reloads.
const RELOAD_EVERY: Duration = Duration::from_millis(2_500);

/// A document with so many routes; `mark` makes it differ from the one before.
fn document(routes: u32, hosts: u32, ports: [u16; 3], mark: u32) -> String {
    let [port, admin, origin] = ports;
    let mut text = format!(
        "version: 1
listeners:
  - {{ name: web, bind: \"127.0.0.1:{port}\", limits: {{ keep_alive: 3600s, requests_per_connection: 1000000000 }} }}
admin: {{ bind: \"127.0.0.1:{admin}\" }}
upstreams:
  - {{ name: origin, endpoints: [ \"http://127.0.0.1:{origin}\" ] }}
apis:
  - {{ name: any-{mark}, upstream: origin }}
"
    );
    for host in 0..hosts {
        let _ = write!(
            text,
            "  - name: api-{host}\n    hosts: [ api-{host}.example.com ]\n    upstream: origin\n    routes:\n"
        );
        for route in 0..routes / hosts {
            let _ =
                writeln!(text, "      - match: {{ path: \"/collection-{route}/{{id}}/items\" }}");
        }
    }
    text
}

/// wrk asks for hosts and paths that exist, at random, from a list made before it begins.
fn script(bed: &Bed, routes: u32, hosts: u32) -> Result<PathBuf> {
    let each = routes / hosts;
    bed.write(
        &format!("routes-{routes}.lua"),
        &format!(
            "local requests, at = {{}}, 0
function init()
  math.randomseed(4711)
  for n = 1, 8192 do
    local path = string.format('/collection-%d/%d/items', math.random(0, {each} - 1), n)
    local host = string.format('api-%d.example.com', math.random(0, {hosts} - 1))
    requests[n] = wrk.format('GET', path, {{ Host = host }})
  end
end
function request()
  at = at % 8192 + 1
  return requests[at]
end
"
        ),
    )
}

pub fn lookup(bed: &Bed, report: &mut Report) -> Result {
    let origin = bed.origin()?;
    let mut running = Vec::new();
    let mut scripts = Vec::new();
    let mut documents = Vec::new();
    for (routes, hosts) in SIZES {
        let (port, admin) = (free_port()?, free_port()?);
        let text = document(routes, hosts, [port, admin, origin.address.port()], 0);
        let name = if routes == 1 { "1 route".into() } else { format!("{routes} routes") };
        documents.push((name.clone(), bed.write(&format!("routes-{routes}.yaml"), &text)?));
        scripts.push((port, script(bed, routes, hosts)?));
        running.push((name, bed.start_with(Subject::Gateward, &text, port)?));
    }
    in_turns(bed, report, &mut running, |running, seconds| {
        let script = scripts.iter().find(|(port, _)| *port == running.address.port());
        let script = script.map(|(_, script)| script.as_path());
        wrk(&Request { script, ..to("http", running) }, seconds, &bed.cores.others)
    })?;
    drop(running);
    for _ in 0..bed.options.rounds {
        for (name, document) in &documents {
            let mut check = bed.check(document);
            bound(&mut check, &bed.cores.proxy);
            let start = Instant::now();
            output(&mut check)?;
            report.add(name, "check ms", start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(())
}

pub fn reload(bed: &Bed, report: &mut Report) -> Result {
    let (routes, hosts) = SIZES[2];
    let origin = bed.origin()?;
    let (port, admin) = (free_port()?, free_port()?);
    let ports = [port, admin, origin.address.port()];
    let gateward = bed.start_with(Subject::Gateward, &document(routes, hosts, ports, 0), port)?;
    let path = bed.folder.join(Subject::Gateward.file(port));
    let full = wrk(&to("http", &gateward), bed.options.seconds, &bed.cores.others)?.per_second;
    let pace = Pace::Http1At((full / 2.0) as u32);
    let seconds = bed.options.seconds.max(10);
    let load = || h2load(&to("http", &gateward), pace, seconds, &bed.cores.others, &bed.folder);
    for round in 1..=bed.options.rounds {
        let steady = load()?;
        report.add("steady", "p99 µs", steady.p99_us);
        report.add("steady", "failed", steady.failed);
        let (seen, reloads) = thread::scope(|scope| {
            let loading = scope.spawn(load);
            let mut reloads = 0;
            while !loading.is_finished() {
                reloads += 1;
                let mark = round * 1_000 + reloads;
                replace(&path, &document(routes, hosts, ports, mark), &gateward)?;
                thread::sleep(RELOAD_EVERY);
            }
            let seen = loading.join().map_err(|_| "the load panicked".to_owned())??;
            Ok::<_, String>((seen, reloads))
        })?;
        println!("bench:   round {round}: {reloads} reloads");
        report.add("with reloads", "p99 µs", seen.p99_us);
        report.add("with reloads", "failed", seen.failed);
    }
    Ok(())
}

/// Puts the new document in the place of the old one at once, and says so.
fn replace(path: &PathBuf, text: &str, gateward: &Running) -> Result {
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    gateward.server.signal(libc::SIGHUP);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_routes_it_is_asked_for() {
        let text = document(1_000, 10, [1, 2, 3], 0);
        assert_eq!(text.matches("- match:").count(), 1_000);
        assert_eq!(text.matches("hosts:").count(), 10);
        let schema = config::Schema::with_policies(policies::schemas());
        let read = config::read_text("routes.yaml", &text, &schema, &config::Machine);
        read.map_err(|report| report.to_string()).unwrap();
    }
}
