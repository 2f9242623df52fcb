//! `cargo xtask fuzz`: a target of `fuzz/` under libFuzzer, for as long as one likes.
//!
//! libFuzzer goes by coverage, which the compiler's stable flags put into everything that is built
//! here but the standard library: no nightly toolchain is needed, and no sanitizer is there.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::command::{cargo, command, output, root, run as execute};

const HELP: &str = "\
Runs a target of fuzz/ under libFuzzer. Needs a C++ compiler.

  cargo xtask fuzz TARGET [--seconds N]   60 seconds if not said otherwise
  cargo xtask fuzz --all [--seconds N]    every target in turn, so long each

What it finds worth keeping stays in target/fuzz-corpus/, inputs that fail in target/fuzz-failures/.
Targets: ";

/// Coverage, as libFuzzer reads it: counters of edges, where they stand, what is compared.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Runs the targets that `args` name.
pub fn run(args: &[String]) -> Result {
    let all = targets()?;
    let help = || format!("{HELP}{}", all.join(", "));
    let (wanted, seconds) = match args {
        [wanted] => (wanted, 60),
        [wanted, flag, seconds] if flag == "--seconds" => {
            (wanted, seconds.parse::<u64>().map_err(|_| format!("`{seconds}` is no number"))?)
        }
        _ => return Err(help()),
    };
    let chosen: Vec<&String> =
        all.iter().filter(|name| wanted == "--all" || *name == wanted).collect();
    if chosen.is_empty() {
        return Err(help());
    }
    let program = build()?;
    for target in chosen {
        one(&program, target, seconds)?;
    }
    Ok(())
}

/// The names of the targets: each has its folder of inputs.
fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/corpus");
    let shown = |error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(shown)? {
        let entry = entry.map_err(shown)?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Builds the targets with coverage; where the program is.
fn build() -> Result<PathBuf> {
    let version = output(command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc does not say which machine this is")?;
    // Naming the machine keeps the flags off what runs while building.
    execute(
        cargo()
            .env("RUSTFLAGS", COVERAGE.join(" "))
            .args(["build", "--profile=fuzz", "--package=gateward-fuzz", "--features=libfuzzer"])
            .args(["--bin=libfuzzer", "--target", host]),
    )?;
    Ok(root().join("target").join(host).join("fuzz/libfuzzer"))
}

fn one(program: &Path, target: &str, seconds: u64) -> Result {
    let kept = folder("target/fuzz-corpus", target)?;
    let failures = folder("target/fuzz-failures", target)?;
    let mut fuzzer = command(&program.to_string_lossy());
    fuzzer
        .env("GATEWARD_FUZZ_TARGET", target)
        .arg(&kept)
        .arg(format!("fuzz/corpus/{target}"))
        .arg(format!("-artifact_prefix={}/", failures.display()))
        .arg(format!("-max_total_time={seconds}"))
        .args(["-max_len=4096", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    let dictionary = format!("fuzz/dictionaries/{target}.dict");
    if root().join(&dictionary).is_file() {
        fuzzer.arg(format!("-dict={dictionary}"));
    }
    execute(&mut fuzzer).map_err(|error| {
        format!(
            "{target}: {error}; the input is in {}: mend what it shows, then move it to \
             fuzz/corpus/{target} under a name that says what it is",
            failures.display()
        )
    })
}

fn folder(kind: &str, target: &str) -> Result<PathBuf> {
    let folder = root().join(kind).join(target);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}
