//! `cargo xtask test`: everything that must hold.

use crate::command::{cargo, output, run as execute};
use crate::{Result, needs, tidy};

/// Installs what is missing, then tidy, then every test of the workspace. Arguments go to the
/// test runner: `cargo xtask test -- a_name`.
pub fn run(args: &[String]) -> Result {
    needs::tools(needs::PEERS)?;
    let python = needs::python()?;
    needs::node()?;
    tidy::run()?;
    let args = args.iter().filter(|arg| *arg != "--");
    let nextest = output(cargo().args(["nextest", "--version"])).is_ok();
    let mut tests = cargo();
    tests.env("GATEWARD_TEST_PYTHON", python);
    if nextest {
        // nextest does not run the examples of the documentation.
        execute(cargo().args(["test", "--quiet", "--workspace", "--doc"]))?;
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(args);
    } else {
        tests.args(["test", "--workspace", "--no-fail-fast", "--"]).args(args);
    }
    execute(&mut tests)
}
