//! Traffic of all kinds that does not pause, and counts every failure.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::harness::python;

/// Clients that call until they are stopped.
pub struct Traffic {
    child: Child,
    out: BufReader<ChildStdout>,
    kind: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Answers that were right.
    pub good: u64,
    /// What went wrong.
    pub bad: u64,
    /// The longest time a call took until it succeeded, in seconds.
    pub worst: f64,
    /// All of it, for messages.
    pub line: String,
}

impl Traffic {
    /// Starts clients of a kind, see `traffic.py`. `retry`: seconds for which a failed call is made
    /// again.
    pub fn start(kind: &str, port: u16, path: &str, threads: usize, retry: u32) -> Self {
        let host = format!("127.0.0.1:{port}");
        let args = [kind, &host, path, &threads.to_string(), &retry.to_string()];
        let mut child = python("traffic.py", &args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python to run clients with");
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "running");
        Self { child, out, kind: kind.to_owned() }
    }

    /// Stops them.
    pub fn stop(mut self) -> Outcome {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let _ = self.child.wait();
        let said: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        Outcome {
            good: said["good"].as_u64().unwrap(),
            bad: said["bad"].as_u64().unwrap(),
            worst: said["worst"].as_f64().unwrap(),
            line: format!("{}: {}", self.kind, line.trim()),
        }
    }

    /// Stops them; nothing may have gone wrong.
    pub fn stop_unharmed(self) -> Outcome {
        let outcome = self.stop();
        assert_eq!(outcome.bad, 0, "{}", outcome.line);
        assert!(outcome.good > 0, "{}", outcome.line);
        outcome
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
