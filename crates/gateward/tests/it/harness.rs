//! Starting the binary and its peers, and asking them things.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use testkit::port;

/// The binary under test.
pub const GATEWARD: &str = env!("CARGO_BIN_EXE_gateward");

/// How long anything may take until the test gives up: a bound on hanging, not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A child process that ends with the test.
pub struct Peer {
    child: Child,
    /// The port it said it listens on.
    pub port: u16,
}

impl Peer {
    /// Starts one of the Python peers beside this file; its first line is its port.
    pub fn python(script: &str, args: &[&str]) -> Self {
        Self::start(&mut python(script, args))
    }

    /// Starts one of the peers of `tests/node`; its first line is its port.
    pub fn node(script: &str, args: &[&str]) -> Self {
        Self::start(&mut node(script, args))
    }

    fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{command:?} said `{line}` in place of its port"));
        Self { child, port }
    }

    /// An HTTP origin called `name`.
    pub fn origin(name: &str) -> Self {
        Self::python("origin.py", &[name])
    }

    /// An HTTP origin called `name` at a port that it had before.
    pub fn origin_at(name: &str, port: u16) -> Self {
        Self::python("origin.py", &[name, &port.to_string()])
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs one of the Python peers.
pub fn python(script: &str, args: &[&str]) -> Command {
    let python = std::env::var("GATEWARD_TEST_PYTHON").unwrap_or_else(|_| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        root.join("target/venv/bin/python3").display().to_string()
    });
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script)).args(args);
    command
}

/// A command that runs one of the scripts of `tests/node`.
pub fn node(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new("node");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node");
    command.arg(folder.join(script)).args(args);
    command
}

/// Runs a command to its end, in text.
pub fn text(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// Runs curl; its output, or a failure with all it said.
pub fn curl(args: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30"]).args(args);
    let (code, out, err) = text(&mut command);
    assert_eq!(code, 0, "curl {args:?} failed: {err}\n{out}");
    out
}

/// The value of a field that an origin's echo saw; all of them, where it came more than once.
pub fn header_seen(echo: &serde_json::Value, name: &str) -> Option<String> {
    let fields = echo["headers"].as_array()?.iter();
    let named = fields.filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name));
    let values: Vec<_> = named.map(|field| field[1].as_str().unwrap()).collect();
    (!values.is_empty()).then(|| values.join(" | "))
}

/// Runs curl; the status alone.
pub fn status(args: &[&str]) -> String {
    curl(&[&["-o", "/dev/null", "-w", "%{http_code}"], args].concat())
}

/// A gateway running on a document of its own.
pub struct Gateway {
    child: Child,
    dir: tempfile::TempDir,
    /// The port of its listener `web`.
    pub port: u16,
    /// The port of its admin listener.
    pub admin: u16,
}

impl Gateway {
    /// Starts one. `@WEB@` and `@ADMIN@` in the document become ports of its own; the listeners
    /// `web` and `admin` are put before it unless it has listeners.
    pub fn start(document: &str) -> Self {
        Self::start_with(document, &[], |_| {})
    }

    /// Starts one with more flags, after `prepare` has put files beside the document.
    pub fn start_with(document: &str, flags: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        Self::start_by(|_| Command::new(GATEWARD), document, flags, prepare)
    }

    /// Starts one by a command of its own, made once its folder is there.
    pub fn start_by(
        program: impl FnOnce(&Path) -> Command,
        document: &str,
        flags: &[&str],
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let (port, admin) = (port::reserved(), port::reserved());
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let path = dir.path().join("gateward.yaml");
        std::fs::write(&path, fill(document, port, admin)).unwrap();
        let log = std::fs::File::create(dir.path().join("stderr")).unwrap();
        let access = std::fs::File::create(dir.path().join("stdout")).unwrap();
        let child = program(dir.path())
            .args(["run", "--workers", "2", "--config"])
            .arg(&path)
            .arg("--state")
            .arg(dir.path().join("state"))
            .args(if flags.contains(&"--lead") { &[][..] } else { &["--lead", "0"] })
            .args(flags)
            .stderr(log)
            .stdout(access)
            // With all it starts, it can be ended at once.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut gateway = Self { child, dir, port, admin };
        gateway.wait_ready();
        gateway
    }

    fn wait_ready(&mut self) {
        let url = self.admin_url("/readyz");
        let ready = || {
            Command::new("curl").args(["-sf", "--max-time", "5", "-o", "/dev/null", &url]).status()
        };
        let since = Instant::now();
        while !ready().unwrap().success() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}:\n{}", self.log());
            }
            assert!(since.elapsed() < PATIENCE, "the gateway is not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The number of the process that was started.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The number of the process that carries the traffic.
    pub fn serving(&self) -> u64 {
        self.status()["pid"].as_u64().unwrap()
    }

    /// A URL at the listener `web`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A URL at the admin listener.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin)
    }

    /// What it said about itself.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// What it wrote to standard output: the access log.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stdout")).unwrap_or_default()
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its document's path.
    pub fn document(&self) -> PathBuf {
        self.dir.path().join("gateward.yaml")
    }

    /// Puts another document in place of its own, in one step.
    pub fn write(&self, document: &str) {
        let new = self.dir.path().join(".new");
        std::fs::write(&new, fill(document, self.port, self.admin)).unwrap();
        std::fs::rename(new, self.document()).unwrap();
    }

    /// Asks it to reload; status and body of the answer.
    pub fn reload(&self) -> (String, String) {
        let out = curl(&[
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-w",
            "\n%{http_code}",
            &self.admin_url("/reload"),
        ]);
        let (body, status) = out.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    }

    /// `/status`, parsed.
    pub fn status(&self) -> serde_json::Value {
        serde_json::from_str(&curl(&[&self.admin_url("/status")])).expect("/status is JSON")
    }

    /// Sends it a signal, as `kill` names it.
    pub fn signal(&self, name: &str) {
        signal(name, self.child.id().into());
    }

    /// Waits until it has ended; its exit code.
    pub fn wait(&mut self) -> i32 {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(since.elapsed() < PATIENCE, "the gateway does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the gateway said:\n{}", self.log());
        }
    }
}

fn fill(document: &str, web: u16, admin: u16) -> String {
    let mut text = String::from("version: 1\n");
    if !document.contains("listeners:") {
        text.push_str("listeners: [ { name: web, bind: \"127.0.0.1:@WEB@\" } ]\n");
    }
    if !document.contains("admin:") {
        text.push_str("admin: { bind: \"127.0.0.1:@ADMIN@\" }\n");
    }
    text.push_str(document);
    text.replace("@WEB@", &web.to_string()).replace("@ADMIN@", &admin.to_string())
}

/// Sends a process a signal, as `kill` names it.
pub fn signal(name: &str, process: u64) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Waits until `holds`; a bound on hanging, checked often.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads one line of a child's output.
pub fn read_line(out: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while out.read(&mut byte).is_ok_and(|n| n == 1) {
        if byte[0] == b'\n' {
            break;
        }
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).into_owned()
}
