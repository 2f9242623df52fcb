//! What `cargo xtask bench` is told.

use std::path::PathBuf;

use super::bed::Subject;
use super::{SCENARIOS, Scenario};
use crate::Result;

/// The options of one run.
#[derive(Debug)]
pub struct Options {
    /// Scenarios by name; none: all.
    only: Vec<String>,
    pub rounds: u32,
    /// Of each measurement.
    pub seconds: u32,
    /// A gateward that is already built.
    pub binary: Option<PathBuf>,
    /// Who takes part.
    pub subjects: Vec<Subject>,
    /// Idle connections opened.
    pub connections: u32,
    /// Whether the result is kept in `bench/results/`.
    pub keep: bool,
}

/// What `--help` prints.
pub fn help() -> String {
    let mut text = "\
Measures Gateward against nginx, HAProxy and the raw relay.

  cargo xtask bench [OPTIONS]

  --only NAME[,NAME]      these scenarios only
  --rounds N              rounds, of which the median is shown [5]
  --seconds N             seconds of one measurement [5]
  --bin PATH              a gateward that is already built [builds the release profile]
  --subjects NAME[,NAME]  who takes part [gateward,nginx,haproxy,relay]
  --connections N         idle connections opened [10000]
  --no-file               print only, keep no result file

Scenarios:
"
    .to_owned();
    for scenario in SCENARIOS {
        text.push_str(&format!("  {:8} {}\n", scenario.name, scenario.title));
    }
    text
}

impl Options {
    /// None when help is asked for.
    pub fn parse(args: &[String]) -> Result<Option<Self>> {
        let mut options = Self {
            only: Vec::new(),
            rounds: 5,
            seconds: 5,
            binary: None,
            subjects: Subject::ALL.to_vec(),
            connections: 10_000,
            keep: true,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if matches!(arg.as_str(), "--help" | "-h") {
                return Ok(None);
            }
            if arg == "--no-file" {
                options.keep = false;
                continue;
            }
            let value = args.next().ok_or_else(|| format!("`{arg}` needs a value"))?;
            match arg.as_str() {
                "--only" => options.only = value.split(',').map(Into::into).collect(),
                "--rounds" => options.rounds = positive(arg, value)?,
                "--seconds" => options.seconds = positive(arg, value)?,
                "--connections" => options.connections = positive(arg, value)?,
                "--bin" => {
                    options.binary = Some(std::path::absolute(value).map_err(|e| e.to_string())?)
                }
                "--subjects" => {
                    options.subjects =
                        value.split(',').map(Subject::parse).collect::<Result<_>>()?;
                }
                _ => {
                    return Err(format!(
                        "no option `{arg}`; `cargo xtask bench --help` lists them"
                    ));
                }
            }
        }
        match options.only.iter().find(|name| !SCENARIOS.iter().any(|s| s.name == **name)) {
            Some(name) => {
                Err(format!("no scenario `{name}`; `cargo xtask bench --help` lists them"))
            }
            None => Ok(Some(options)),
        }
    }

    /// The scenarios to run.
    pub fn scenarios(&self) -> impl Iterator<Item = &'static Scenario> {
        let chosen = |s: &&Scenario| self.only.is_empty() || self.only.iter().any(|n| n == s.name);
        SCENARIOS.iter().filter(chosen)
    }
}

fn positive(option: &str, value: &str) -> Result<u32> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{option}` takes a number from 1, got `{value}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(&line.split_whitespace().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_what_is_not_one_is_refused() {
        let options = parse("--only plain,h2 --rounds 3 --subjects nginx,relay").unwrap().unwrap();
        assert_eq!(options.scenarios().map(|s| s.name).collect::<Vec<_>>(), ["plain", "h2"]);
        assert_eq!((options.rounds, options.subjects.len()), (3, 2));
        assert!(parse("--help").unwrap().is_none());
        for (line, expected) in [
            ("--only nothing", "no scenario `nothing`"),
            ("--rounds 0", "takes a number"),
            ("--rounds", "needs a value"),
            ("--fast yes", "no option `--fast`"),
            ("--subjects apache", "no subject `apache`"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
