//! What hostile clients do to a good one, to memory, and to the cost of a request; and what is left
//! of the throughput when too many want it at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::attackers::Attack;
use super::bed::{Bed, Running, Subject};
use super::load::{Pace, h2load, wrk_over};
use super::machine::peak_kib;
use super::process::free_port;
use super::report::Report;
use super::sink;
use super::traffic::to;
use crate::Result;

/// Hostile connections at once.
const ATTACKERS: usize = 200;

/// Memory the gateway may use while they are there.
const BUDGET_MIB: u64 = 256;

/// Gateward with a listener of each kind; where that with TLS stands.
pub fn start(bed: &Bed, origin: SocketAddr, sink: SocketAddr) -> Result<(Running, SocketAddr)> {
    let (port, tls, admin) = (free_port()?, free_port()?, free_port()?);
    let text = document([port, tls, admin], origin, sink, &bed.folder.display().to_string());
    let running = bed.start_with(Subject::Gateward, &text, port)?;
    Ok((running, SocketAddr::from(([127, 0, 0, 1], tls))))
}

fn document(ports: [u16; 3], origin: SocketAddr, sink: SocketAddr, folder: &str) -> String {
    let [port, tls, admin] = ports;
    format!(
        "version: 1
limits: {{ memory: {BUDGET_MIB}MiB }}
listeners:
  - {{ name: web, bind: \"127.0.0.1:{port}\" }}
  - name: secure
    bind: \"127.0.0.1:{tls}\"
    tls: {{ certificates: [ {{ cert: \"{folder}/cert.pem\", key: \"{folder}/key.pem\" }} ] }}
admin: {{ bind: \"127.0.0.1:{admin}\" }}
apis:
  - {{ name: orders, upstream: \"http://{origin}\" }}
  - {{ name: big, path: /big, upstream: \"http://{sink}\", timeouts: {{ total: 0s }} }}
"
    )
}

/// A good client at a quarter of what can be done, alone and beside 200 hostile ones.
pub fn attacked(bed: &Bed, report: &mut Report) -> Result {
    let origin = bed.origin()?;
    let sink = sink::start(&bed.cores.others)?;
    let (running, tls) = start(bed, origin.address, sink)?;
    let full = wrk_over(64, &to("http", &running), bed.options.seconds, &bed.cores.others)?;
    let pace = Pace::Http1At((full.per_second / 4.0) as u32);
    let load = || {
        let seconds = bed.options.seconds;
        h2load(&to("http", &running), pace, seconds, &bed.cores.others, &bed.folder)
    };
    for round in 1..=bed.options.rounds {
        let quiet = load()?;
        let attack = Attack::start(ATTACKERS, running.address, tls, &bed.cores.others);
        // Until all of them are there.
        thread::sleep(Duration::from_secs(1));
        let attacked = load()?;
        drop(attack);
        println!("bench:   round {round}: p99 {} and {} µs", quiet.p99_us, attacked.p99_us);
        for (name, seen) in [("quiet", &quiet), ("attacked", &attacked)] {
            report.add(name, "p50 µs", seen.p50_us);
            report.add(name, "p99 µs", seen.p99_us);
            report.add(name, "failed", seen.failed);
        }
        report.add("attacked", "peak MiB", peak_kib(running.server.pid()) as f64 / 1024.0);
    }
    Ok(())
}

/// Time what is ready may wait in this scenario: few enough connections make twice of it.
const QUEUE: Duration = Duration::from_millis(20);

/// Connections that ask for as much as can be answered.
const PEAK: u32 = 64;

/// Conditions a request has to meet: so dear that it is the gateway that can do no more, not
/// whoever makes the load.
const CONDITIONS: u32 = 40;

fn crowded(port: u16, admin: u16) -> String {
    let queue = QUEUE.as_millis();
    let conditions: String = (0..CONDITIONS)
        .map(|number| {
            format!(
                "  - header: {{ response: {{ set: {{ x-{number}: met }} }} }}
    id: condition-{number}
    when: 'request.path.matches(\"^/[a-z]*$\") && request.method == \"GET\"'
"
            )
        })
        .collect();
    format!(
        "version: 1
limits: {{ queue_time: {queue}ms, connections_per_address: 60000 }}
listeners: [ {{ name: web, bind: \"127.0.0.1:{port}\" }} ]
admin: {{ bind: \"127.0.0.1:{admin}\" }}
policies:
{conditions}apis:
  - {{ name: all, routes: [ {{ respond: {{ body: hello }} }} ] }}
  - {{ name: probe, path: /probe, priority: low, routes: [ {{ respond: {{ body: hello }} }} ] }}
"
    )
}

/// Twice as many requests as can be answered within the time they may wait.
pub fn overloaded(bed: &Bed, report: &mut Report) -> Result {
    let (port, admin) = (free_port()?, free_port()?);
    let running = bed.start_with(Subject::Gateward, &crowded(port, admin), port)?;
    let admin = SocketAddr::from(([127, 0, 0, 1], admin));
    let load = |connections: u32| {
        wrk_over(connections, &to("http", &running), bed.options.seconds, &bed.cores.others)
    };
    load(PEAK)?;
    for round in 1..=bed.options.rounds {
        let peak = load(PEAK)?;
        let twice = (2.0 * peak.per_second * QUEUE.as_secs_f64()).ceil() as u32;
        let twice = twice.clamp(2 * PEAK, 10_000);
        let stop = AtomicBool::new(false);
        let (crowd, probes_shed) = thread::scope(|scope| {
            let probing = scope.spawn(|| probe(running.address, &stop));
            let crowd = load(twice);
            stop.store(true, Ordering::Relaxed);
            (crowd, probing.join().unwrap_or_default())
        });
        let crowd = crowd?;
        let good = (crowd.requests - crowd.failed).max(0.0) / crowd.requests.max(1.0);
        let goodput = crowd.per_second * good;
        println!(
            "bench:   round {round}: {twice} connections: {goodput:.0} of {}",
            peak.per_second
        );
        report.add("peak", "requests/s", peak.per_second);
        report.add("twice", "requests/s", goodput);
        report.add("twice", "lost %", 100.0 * (1.0 - goodput / peak.per_second).max(0.0));
        report.add("twice", "shed %", 100.0 * (1.0 - good));
        report.add("twice", "probes shed %", probes_shed);
        report.add("twice", "slow sheds %", slow_sheds(admin)?);
    }
    Ok(())
}

/// Asks for what is turned away first, now and then, once the crowd is there. How many percent were
/// turned away.
fn probe(address: SocketAddr, stop: &AtomicBool) -> f64 {
    thread::sleep(Duration::from_secs(1));
    let (mut asked, mut shed) = (0.0, 0.0);
    while !stop.load(Ordering::Relaxed) {
        // Whether it is answered or turned away, the gateway counts how long it took.
        if let Ok(answer) = ask(address, "/probe", 12) {
            asked += 1.0;
            shed += if answer.starts_with("HTTP/1.1 503") { 1.0 } else { 0.0 };
        }
        thread::sleep(Duration::from_millis(10));
    }
    100.0 * shed / f64::max(asked, 1.0)
}

/// So many bytes of an answer, at most.
fn ask(address: SocketAddr, path: &str, bytes: u64) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let close = if bytes == u64::MAX { "connection: close\r\n" } else { "" };
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{close}\r\n")?;
    let mut answer = String::new();
    stream.take(bytes).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Of the probes, how many percent took longer than 5 ms from their head to the end of the answer.
/// Those that were served took no less than those that were turned away.
fn slow_sheds(admin: SocketAddr) -> Result<f64> {
    let page = ask(admin, "/metrics", u64::MAX).map_err(|error| error.to_string())?;
    let value = |le: &str| -> f64 {
        let series = "gateward_request_duration_seconds_bucket{api=\"probe\"";
        page.lines()
            .filter(|line| line.starts_with(series) && line.contains(&format!("le=\"{le}\"")))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    };
    let all = value("+Inf");
    if all == 0.0 {
        return Err("no probe was counted".into());
    }
    Ok(100.0 * (1.0 - value("0.005") / all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_under_attack_are_valid() {
        let schema = config::Schema::with_policies(policies::schemas());
        let address = SocketAddr::from(([127, 0, 0, 1], 9000));
        for text in [document([1, 2, 3], address, address, "folder"), crowded(1, 2)] {
            let read = config::read_text("gateward.yaml", &text, &schema, &config::Machine);
            read.map_err(|report| report.to_string()).unwrap();
        }
    }
}
