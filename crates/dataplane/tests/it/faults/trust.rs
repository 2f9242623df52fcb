//! Section D: trust in paths, hosts and header fields. What is answered and what the origin is sent
//! is the same over HTTP/1.1 and HTTP/2.
#![allow(non_snake_case, reason = "a test's name starts with its number in docs/faults.md")]

mod agreement;
mod connections;
mod fields;
mod hosts;
mod paths;
mod responses;
pub mod wire;
