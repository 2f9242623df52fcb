//! Large bodies: what a gibibyte costs in each direction, and that memory stays flat.

use std::fs::File;
use std::process::Command;
use std::time::Instant;

use super::bed::{Bed, Running, Subject};
use super::machine::{cpu_ns, memory_kib, peak_kib, reset_peak};
use super::process::{answers, bound};
use super::report::Report;
use super::sink;
use crate::Result;
use crate::command::output;

const GIBIBYTE: u64 = 1 << 30;

/// The metrics of one direction.
struct Direction {
    cpu: &'static str,
    rate: &'static str,
    grown: &'static str,
    upload: bool,
}

const DIRECTIONS: [Direction; 2] = [
    Direction { cpu: "down CPU s/GiB", rate: "down MiB/s", grown: "down grown MiB", upload: false },
    Direction { cpu: "up CPU s/GiB", rate: "up MiB/s", grown: "up grown MiB", upload: true },
];

pub fn run(bed: &Bed, report: &mut Report) -> Result {
    // Without content on the disk: what is read is zeros, from memory.
    File::create(bed.folder.join("gibibyte"))
        .and_then(|file| file.set_len(GIBIBYTE))
        .map_err(|error| format!("a file of 1 GiB: {error}"))?;
    let origin = sink::start(&bed.cores.others)?;
    let mut running = Vec::new();
    for subject in bed.subjects(&Subject::ALL) {
        let started = bed.start(subject, "body", origin)?;
        if !answers(started.address) {
            return Err(format!("{subject} does not answer"));
        }
        running.push((subject.to_string(), started));
    }
    for round in 1..=bed.options.rounds {
        for (name, running) in &running {
            println!("bench:   round {round}: {name}");
            for direction in &DIRECTIONS {
                pass(bed, report, name, running, direction).map_err(|e| format!("{name}: {e}"))?;
            }
        }
        running.rotate_left(1);
    }
    Ok(())
}

/// Sends one body through and notes what that took.
fn pass(
    bed: &Bed,
    report: &mut Report,
    name: &str,
    running: &Running,
    direction: &Direction,
) -> Result {
    let pid = running.server.pid();
    let (cpu, memory) = (cpu_ns(pid), memory_kib(pid));
    reset_peak(pid);
    let start = Instant::now();
    let complete = curl(bed, running, direction.upload)?;
    report.add(name, direction.cpu, (cpu_ns(pid) - cpu) as f64 / 1e9);
    report.add(name, direction.rate, 1024.0 / start.elapsed().as_secs_f64());
    let grown = peak_kib(pid).saturating_sub(memory);
    report.add(name, direction.grown, grown as f64 / 1024.0);
    report.add(name, "failed", f64::from(!complete));
    Ok(())
}

/// Whether the whole body arrived.
fn curl(bed: &Bed, running: &Running, upload: bool) -> Result<bool> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--header", "expect:"]);
    if upload {
        curl.arg("--upload-file").arg(bed.folder.join("gibibyte"));
        curl.arg(format!("http://{}/", running.address));
    } else {
        curl.args(["--output", "/dev/null", "--write-out", "%{size_download}"]);
        curl.arg(format!("http://{}/{GIBIBYTE}", running.address));
    }
    bound(&mut curl, &bed.cores.others);
    // Uploaded, the origin's answer says how much it took.
    Ok(output(&mut curl)?.trim().parse() == Ok(GIBIBYTE))
}
