//! What was measured: medians, ratios, whether the aims are met, and the files that keep it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use serde::Serialize;

use super::bed::Bed;
use super::{Scenario, machine};
use crate::Result;
use crate::command::{command, output, root};

/// A number to reach: the scenario's metric of a subject, at most so many times a peer's.
struct Aim {
    scenario: &'static str,
    metric: &'static str,
    subject: &'static str,
    at_most: f64,
    /// The peer whose number is multiplied; none: the bound itself.
    of: Option<&'static str>,
}

const fn aim(
    scenario: &'static str,
    metric: &'static str,
    subject: &'static str,
    at_most: f64,
    of: Option<&'static str>,
) -> Aim {
    Aim { scenario, metric, subject, at_most, of }
}

const CPU: &str = "CPU µs/request";

/// The numbers Gateward holds itself to.
const AIMS: &[Aim] = &[
    aim("plain", CPU, "gateward", 0.9, Some("nginx")),
    aim("plain", CPU, "gateward", 1.2, Some("relay")),
    aim("chain", CPU, "gateward", 1.0, Some("nginx")),
    aim("tls", CPU, "gateward", 0.85, Some("nginx")),
    aim("h2", CPU, "gateward", 1.0, Some("haproxy")),
    aim("half", "p99 µs", "gateward", 1.0, Some("nginx")),
    aim("routes", CPU, "100000 routes", 1.1, Some("1 route")),
    aim("routes", "check ms", "100000 routes", 2000.0, None),
    aim("reload", "p99 µs", "with reloads", 2.0, Some("steady")),
    aim("reload", "failed", "with reloads", 0.0, None),
    aim("body", "down CPU s/GiB", "gateward", 1.0, Some("nginx")),
    aim("body", "up CPU s/GiB", "gateward", 1.0, Some("nginx")),
    aim("body", "down grown MiB", "gateward", 1.0, None),
    aim("body", "up grown MiB", "gateward", 1.0, None),
    aim("idle", "H1 KiB", "gateward", 8.0, None),
    aim("idle", "H1+TLS KiB", "gateward", 24.0, None),
    aim("idle", "H2+TLS KiB", "gateward", 36.0, None),
    aim("hostile", "p99 µs", "attacked", 3.0, Some("quiet")),
    aim("hostile", "peak MiB", "attacked", 256.0, None),
    aim("amplify", "× plain", "99 long fields", 20.0, None),
    aim("amplify", "× plain", "head too large", 20.0, None),
    aim("amplify", "× plain", "ambiguous head", 20.0, None),
    aim("amplify", "× plain", "200 chunks of a byte", 20.0, None),
    aim("amplify", "× plain", "path refused", 20.0, None),
    aim("amplify", "× plain", "1000 query parameters", 20.0, None),
    aim("amplify", "× plain", "TLS handshake", 20.0, None),
    aim("amplify", "× plain", "HTTP/2 request taken back", 20.0, None),
    aim("amplify", "× plain", "HTTP/2 head of 90 cookies", 20.0, None),
    aim("amplify", "× plain", "HTTP/2 head in 60 frames", 20.0, None),
    aim("amplify", "× plain", "HTTP/2 ping", 20.0, None),
    aim("overload", "lost %", "twice", 15.0, None),
    aim("overload", "slow sheds %", "twice", 1.0, None),
    aim("start", "ms", "gateward", 100.0, None),
];

/// One measured number.
#[derive(Serialize)]
struct Sample {
    scenario: &'static str,
    subject: String,
    metric: &'static str,
    value: f64,
}

/// Everything one run found.
#[derive(Serialize)]
pub struct Report {
    date: String,
    commit: String,
    machine: String,
    versions: Vec<String>,
    rounds: u32,
    seconds: u32,
    samples: Vec<Sample>,
    /// Scenarios that could not be measured, and why.
    broken: BTreeMap<&'static str, String>,
    #[serde(skip)]
    titles: Vec<(&'static str, &'static str)>,
    #[serde(skip)]
    keep: bool,
}

impl Report {
    pub fn new(bed: &Bed) -> Self {
        let first = |program: &str, arg: &str| version(program, arg).unwrap_or_default();
        Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H%MZ").to_string(),
            commit: output(command("git").args(["describe", "--always", "--dirty"]))
                .map_or_else(|_| "unknown".into(), |commit| commit.trim().to_owned()),
            machine: machine::description(),
            versions: vec![
                first("nginx", "-v"),
                first("haproxy", "-v"),
                first("h2load", "--version"),
            ],
            rounds: bed.options.rounds,
            seconds: bed.options.seconds,
            samples: Vec::new(),
            broken: BTreeMap::new(),
            titles: Vec::new(),
            keep: bed.options.keep,
        }
    }

    /// What is added from here on belongs to this scenario.
    pub fn begin(&mut self, scenario: &Scenario) {
        self.titles.push((scenario.name, scenario.title));
    }

    /// Notes that a scenario could not be measured to its end.
    pub fn broken(&mut self, scenario: &Scenario, error: &str) {
        self.broken.insert(scenario.name, error.to_owned());
    }

    /// Notes one number.
    pub fn add(&mut self, subject: &str, metric: &'static str, value: f64) {
        let scenario = self.titles.last().map_or("", |(name, _)| name);
        self.samples.push(Sample { scenario, subject: subject.into(), metric, value });
    }

    fn median(&self, scenario: &str, subject: &str, metric: &str) -> Option<f64> {
        let mut values: Vec<f64> = self
            .samples
            .iter()
            .filter(|s| s.scenario == scenario && s.subject == subject && s.metric == metric)
            .map(|sample| sample.value)
            .collect();
        // One failure in any round is a failure.
        let worst = metric == "failed";
        values.sort_by(f64::total_cmp);
        if worst { values.last().copied() } else { values.get(values.len() / 2).copied() }
    }

    /// A scenario's table, ratios and aims, in Markdown.
    pub fn section(&self, scenario: &str) -> String {
        let samples = || self.samples.iter().filter(|sample| sample.scenario == scenario);
        let subjects = in_order(samples().map(|sample| sample.subject.as_str()));
        let metrics = in_order(samples().map(|sample| sample.metric));
        let title = self.titles.iter().find(|(name, _)| *name == scenario).map_or("", |(_, t)| t);
        let mut text = format!("## {title}\n\n| |");
        for metric in &metrics {
            let _ = write!(text, " {metric} |");
        }
        let _ = write!(text, "\n|---|{}\n", "---:|".repeat(metrics.len()));
        for subject in &subjects {
            let _ = write!(text, "| {subject} |");
            for metric in &metrics {
                let value = self.median(scenario, subject, metric);
                let _ = write!(text, " {} |", value.map_or_else(String::new, shown));
            }
            text.push('\n');
        }
        text.push_str(&self.ratios(scenario, &subjects, &metrics));
        text.push_str(&self.aims(scenario));
        if let Some(error) = self.broken.get(scenario) {
            let _ = write!(text, "\n**Not measured to its end**: {error}\n");
        }
        text
    }

    fn ratios(&self, scenario: &str, subjects: &[&str], metrics: &[&str]) -> String {
        let us = subjects.iter().find(|subject| **subject == "gateward").or(subjects.first());
        let (Some(us), Some(metric)) = (us, metrics.first()) else { return String::new() };
        let ours = self.median(scenario, us, metric).unwrap_or(0.0);
        let ratios: Vec<String> = subjects
            .iter()
            .filter(|peer| *peer != us)
            .filter_map(|peer| Some((peer, self.median(scenario, peer, metric)?)))
            .filter(|(_, theirs)| *theirs > 0.0 && ours > 0.0)
            .map(|(peer, theirs)| format!("{:.2} × {peer}", ours / theirs))
            .collect();
        match ratios.is_empty() {
            true => String::new(),
            false => format!("\n{metric}, {us}: {}\n", ratios.join(", ")),
        }
    }

    fn aims(&self, scenario: &str) -> String {
        let mut text = String::new();
        for aim in AIMS.iter().filter(|aim| aim.scenario == scenario) {
            let bound = match aim.of {
                None => Some(aim.at_most),
                Some(peer) => self.median(scenario, peer, aim.metric).map(|v| v * aim.at_most),
            };
            let value = self.median(scenario, aim.subject, aim.metric);
            let (Some(value), Some(bound)) = (value, bound) else { continue };
            let of = aim.of.map_or_else(String::new, |peer| format!(" × {peer}"));
            let met = if value <= bound { "met" } else { "**missed**" };
            let _ = write!(
                text,
                "\nAim: {} of {} at most {}{of} ({}): {}, {met}\n",
                aim.metric,
                aim.subject,
                aim.at_most,
                shown(bound),
                shown(value)
            );
        }
        text
    }

    /// Writes the result files and prints where they are; an error when a request failed.
    pub fn keep(&self) -> Result {
        if self.keep {
            let mut text = format!(
                "# Benchmark of {}\n\nCommit {}. {}. {} rounds of {} s, medians. {}.\n",
                self.date,
                self.commit,
                self.machine,
                self.rounds,
                self.seconds,
                self.versions.join(", ")
            );
            for (scenario, _) in &self.titles {
                let _ = write!(text, "\n{}", self.section(scenario));
            }
            let json = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
            let folder = root().join("bench/results");
            let write = |ending: &str, text: &str| {
                fs::create_dir_all(&folder)?;
                fs::write(folder.join(format!("{}.{ending}", self.date)), text)
            };
            write("md", &text)
                .and_then(|()| write("json", &(json + "\n")))
                .map_err(|error| format!("bench/results: {error}"))?;
            println!("bench: kept in bench/results/{}.md and .json", self.date);
        }
        let failures = self.samples.iter().filter(|s| s.metric == "failed" && s.value > 0.0);
        let failed: Vec<String> = in_order(failures.map(|sample| sample.subject.as_str()))
            .into_iter()
            .map(|subject| format!("requests of {subject} failed, its numbers mean nothing"))
            .chain(self.broken.iter().map(|(name, error)| format!("{name}: {error}")))
            .collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }
}

/// Each once, as first met.
fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        0.0 => "0".into(),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The first line a program says about itself; some say it where errors go.
fn version(program: &str, arg: &str) -> Option<String> {
    let program = crate::command::find(program)?;
    let said = std::process::Command::new(program).arg(arg).output().ok()?;
    let text = [said.stdout, said.stderr].concat();
    Some(String::from_utf8_lossy(&text).lines().next()?.trim().to_owned())
}
