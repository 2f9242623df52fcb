//! `cargo xtask endure`: reloads, upgrades and kills, many times over, under traffic of all kinds.

use crate::command::{cargo, run as execute};
use crate::{Result, needs};

/// What there is, how often unless said, and the test that does it.
const TASKS: [(&str, u32, &str); 3] = [
    ("reloads", 1_000, "endure_reloads"),
    ("upgrades", 100, "endure_upgrades"),
    ("kills", 20, "endure_kills"),
];

/// Runs one of them.
pub fn run(args: &[String]) -> Result {
    let (name, times) = match args {
        [name] => (name, None),
        [name, times] => (name, Some(times)),
        _ => return Err(usage()),
    };
    let (_, usual, test) = TASKS.iter().find(|(known, ..)| known == name).ok_or_else(usage)?;
    let times = match times {
        Some(times) => times.parse().map_err(|_| usage())?,
        None => *usual,
    };
    let python = needs::python()?;
    execute(
        cargo()
            .env("GATEWARD_TEST_PYTHON", python)
            .env("GATEWARD_ENDURE", times.to_string())
            .args(["test", "--quiet", "-p", "gateward", "--test", "it", "--"])
            .args(["--ignored", "--nocapture", test]),
    )
}

fn usage() -> String {
    let names = TASKS.map(|(name, times, _)| format!("{name} ({times})"));
    format!("takes what to endure, and how often: {}", names.join(", "))
}
