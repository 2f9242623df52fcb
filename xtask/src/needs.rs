//! What tasks need beside Rust, a C compiler and Python: found, installed where that is possible,
//! or named in the error.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::command::{self, cargo, command, find, output, root};

/// A program and the Debian package it comes in.
pub struct Tool {
    pub program: &'static str,
    pub package: &'static str,
}

/// Real clients and peers of the tests and benchmarks.
pub const PEERS: &[Tool] = &[
    Tool { program: "curl", package: "curl" },
    Tool { program: "openssl", package: "openssl" },
    Tool { program: "nginx", package: "nginx" },
    Tool { program: "haproxy", package: "haproxy" },
    Tool { program: "wrk", package: "wrk" },
    Tool { program: "h2load", package: "nghttp2-client" },
    Tool { program: "node", package: "nodejs" },
    Tool { program: "npm", package: "npm" },
];

const CARGO_DENY: &str = "0.20.2";

/// Installs what is missing of these.
pub fn tools(tools: &[Tool]) -> Result {
    let missing: Vec<&str> =
        tools.iter().filter(|tool| find(tool.program).is_none()).map(|tool| tool.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// Installs Debian packages.
fn install(packages: &[&str]) -> Result {
    let wanted = packages.join(" ");
    let by_hand = format!("install them by hand: {wanted} (names of Debian's packages)");
    if find("apt-get").is_none() {
        return Err(format!("this system has no apt-get; {by_hand}"));
    }
    println!("xtask: installing {wanted}");
    apt(&["update", "-qq"])
        .and_then(|()| {
            apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
        })
        .map_err(|error| format!("{error}; {by_hand}"))
}

fn apt(args: &[&str]) -> Result {
    let root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut apt = if root { Command::new("env") } else { Command::new("sudo") };
    if !root {
        apt.args(["-n", "env"]);
    }
    // With run level 1 no package starts the service it brings.
    apt.args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"]).args(args);
    command::run(&mut apt)
}

/// A Python with the libraries of `xtask/requirements.txt`, under `target/`.
pub fn python() -> Result<PathBuf> {
    let venv = root().join("target/venv");
    let python = venv.join("bin/python3");
    let list = root().join("xtask/requirements.txt");
    let wanted = std::fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    let stamp = venv.join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    println!("xtask: making a Python environment in target/venv");
    if output(command("python3").args(["-c", "import ensurepip, venv"])).is_err() {
        install(&["python3", "python3-venv"])?;
    }
    output(command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    output(
        command(&python.to_string_lossy())
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&list),
    )?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}

/// Node.js with what `tests/node/package-lock.json` names, beside it: modules are looked for where
/// the scripts stand.
pub fn node() -> Result {
    let folder = root().join("tests/node");
    let lock = folder.join("package-lock.json");
    let wanted = std::fs::read_to_string(&lock).map_err(|e| format!("{}: {e}", lock.display()))?;
    let stamp = folder.join("node_modules/installed.json");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("xtask: installing the tests' Node.js packages in tests/node");
    output(command("npm").args(["ci", "--silent"]).current_dir(&folder))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// cargo-deny of the version the project checks with; built once per machine.
pub fn cargo_deny() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).unwrap_or_else(|| root().join("target"));
    let folder = cache.join(format!("gateward/cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    println!("xtask: building cargo-deny {CARGO_DENY}; once per machine, some minutes");
    let package = format!("cargo-deny@{CARGO_DENY}");
    command::run(
        cargo()
            .args(["install", "--locked", "--quiet", &package, "--root"])
            .arg(&folder)
            .arg("--target-dir")
            .arg(root().join("target/cargo-deny")),
    )?;
    Ok(program)
}
