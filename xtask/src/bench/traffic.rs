//! The same requests through every subject, in turns.

use super::bed::{Bed, KEY, Running, Subject};
use super::load::{Pace, Request, Seen, h2load, wrk};
use super::machine::{cpu_ns, peak_kib};
use super::report::Report;
use crate::Result;

const ALL: &[Subject] = &Subject::ALL;
const PROXIES: &[Subject] = &[Subject::Gateward, Subject::Nginx, Subject::Haproxy];

pub fn plain(bed: &Bed, report: &mut Report) -> Result {
    side_by_side(bed, report, "plain", ALL, |running, seconds| {
        wrk(&to("http", running), seconds, &bed.cores.others)
    })
}

pub fn chain(bed: &Bed, report: &mut Report) -> Result {
    let subjects = [Subject::Gateward, Subject::Nginx];
    side_by_side(bed, report, "chain", &subjects, |running, seconds| {
        let mut request = to("http", running);
        request.headers.push(format!("x-api-key: {KEY}"));
        wrk(&request, seconds, &bed.cores.others)
    })
}

pub fn tls(bed: &Bed, report: &mut Report) -> Result {
    side_by_side(bed, report, "tls", PROXIES, |running, seconds| {
        wrk(&to("https", running), seconds, &bed.cores.others)
    })
}

pub fn http2(bed: &Bed, report: &mut Report) -> Result {
    side_by_side(bed, report, "tls", PROXIES, |running, seconds| {
        h2load(&to("https", running), Pace::Http2, seconds, &bed.cores.others, &bed.folder)
    })
}

pub fn half(bed: &Bed, report: &mut Report) -> Result {
    let origin = bed.origin()?;
    let nginx = bed.start(Subject::Nginx, "plain", origin.address)?;
    let full = wrk(&to("http", &nginx), bed.options.seconds, &bed.cores.others)?.per_second;
    drop(nginx);
    let pace = Pace::Http1At((full / 2.0) as u32);
    let load = |running: &Running, seconds| {
        h2load(&to("http", running), pace, seconds, &bed.cores.others, &bed.folder)
    };
    for _ in 0..bed.options.rounds {
        latency(report, "no proxy", &load(&origin, bed.options.seconds)?);
    }
    side_by_side(bed, report, "plain", ALL, load)
}

fn latency(report: &mut Report, subject: &str, seen: &Seen) {
    report.add(subject, "p50 µs", seen.p50_us);
    report.add(subject, "p99 µs", seen.p99_us);
    report.add(subject, "failed", seen.failed);
}

/// A request for `/` of a server.
pub fn to(scheme: &str, running: &Running) -> Request<'static> {
    Request { url: format!("{scheme}://{}/", running.address), ..Request::default() }
}

/// Starts the subjects, then measures them in turns; every round begins with another one.
fn side_by_side(
    bed: &Bed,
    report: &mut Report,
    kind: &str,
    subjects: &[Subject],
    load: impl Fn(&Running, u32) -> Result<Seen>,
) -> Result {
    let origin = bed.origin()?;
    let mut running = Vec::new();
    for subject in bed.subjects(subjects) {
        running.push((subject.to_string(), bed.start(subject, kind, origin.address)?));
    }
    in_turns(bed, report, &mut running, load)
}

/// Measures what runs, in turns.
pub fn in_turns(
    bed: &Bed,
    report: &mut Report,
    running: &mut [(String, Running)],
    load: impl Fn(&Running, u32) -> Result<Seen>,
) -> Result {
    for (_, running) in running.iter() {
        load(running, 1)?;
    }
    for round in 1..=bed.options.rounds {
        for (name, running) in running.iter() {
            let pid = running.server.pid();
            let before = cpu_ns(pid);
            let seen = load(running, bed.options.seconds).map_err(|e| format!("{name}: {e}"))?;
            let cpu_us = (cpu_ns(pid) - before) as f64 / 1e3 / seen.requests.max(1.0);
            println!("bench:   round {round}: {name}: {cpu_us:.2} µs of CPU per request");
            report.add(name, "CPU µs/request", cpu_us);
            report.add(name, "requests/s", seen.per_second);
            latency(report, name, &seen);
            report.add(name, "peak MiB", peak_kib(pid) as f64 / 1024.0);
        }
        running.rotate_left(1);
    }
    Ok(())
}
