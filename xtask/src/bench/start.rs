//! From the start of the process to the first answer of the origin through it.

use std::time::{Duration, Instant};

use super::bed::{Bed, Subject};
use super::process::answers;
use super::report::Report;
use crate::Result;

const LONGEST: Duration = Duration::from_secs(20);

pub fn run(bed: &Bed, report: &mut Report) -> Result {
    let origin = bed.origin()?;
    for _ in 0..bed.options.rounds {
        for subject in bed.subjects(&Subject::ALL) {
            let start = Instant::now();
            let running = bed.start(subject, "plain", origin.address)?;
            while !answers(running.address) {
                if start.elapsed() > LONGEST {
                    return Err(format!("{subject} does not answer"));
                }
            }
            report.add(&subject.to_string(), "ms", start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(())
}
