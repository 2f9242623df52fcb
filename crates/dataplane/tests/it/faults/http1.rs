//! Section A: HTTP/1 framing and smuggling.
#![allow(non_snake_case, reason = "a test's name starts with its number in docs/faults.md")]

mod bodies;
mod chunks;
mod connections;
mod framing;
mod heads;
mod hyper;

mod responses;
mod smuggle;

mod targets;

/// A request to the host of the bench with these field lines, and what follows its head.
fn request(line: &str, lines: &str, rest: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n{rest}").into_bytes()
}

/// A POST with these field lines, and what follows its head.
fn post(lines: &str, rest: &str) -> Vec<u8> {
    request("POST /p", lines, rest)
}

/// A POST whose body comes in chunks.
fn chunked(rest: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\n", rest)
}

/// A request that must never be one.
const EVIL: &str = "GET /evil HTTP/1.1\r\nHost: a.test\r\nX: canary-4711\r\n\r\n";
