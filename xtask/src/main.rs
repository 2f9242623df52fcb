//! The project's own tasks: `cargo xtask help`.

mod bench;
mod command;
mod comments;
mod edges;
mod endure;
mod format;
mod fuzz;
mod generate;
mod needs;
mod test;
mod tidy;

use std::process::ExitCode;

/// What went wrong, in words for the person who ran the task.
type Result<T = ()> = std::result::Result<T, String>;

const HELP: &str = "\
The project's own tasks.

  cargo xtask test                 everything that must hold: installs what the tests need, tidy, all tests
  cargo xtask tidy                 the rules that can be checked without running the product
  cargo xtask fmt [--check]        formats every Rust file of the repository
  cargo xtask generate [--check]   writes contracts/ and docs/manual/ from the code
  cargo xtask endure reloads|upgrades|kills [TIMES]
                                   the tests of a process's life many times over, with figures
  cargo xtask fuzz TARGET          a fuzz target under libFuzzer, 60 seconds or as long as `--seconds N`
  cargo xtask bench [OPTIONS]      measures against nginx, HAProxy and the raw relay; `bench --help`
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match args.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    let outcome = match task {
        "test" => test::run(rest),
        "tidy" => none(rest).and_then(|()| tidy::run()),
        "fmt" => check_flag(rest).and_then(format::run),
        "generate" => check_flag(rest).and_then(generate::run),
        "endure" => endure::run(rest),
        "fuzz" => fuzz::run(rest),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("no task `{other}`; `cargo xtask help` lists them")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {task}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn none(args: &[String]) -> Result {
    match args.first() {
        None => Ok(()),
        Some(arg) => Err(format!("takes no arguments, got `{arg}`")),
    }
}

fn check_flag(args: &[String]) -> Result<bool> {
    match args {
        [] => Ok(false),
        [flag] if flag == "--check" => Ok(true),
        [other, ..] => Err(format!("takes only `--check`, got `{other}`")),
    }
}
