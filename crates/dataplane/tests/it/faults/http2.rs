//! Section B: HTTP/2.
#![allow(non_snake_case, reason = "tests carry the numbers of their cases")]

mod bodies;
mod conformance;
mod floods;
mod headers;
mod heads;
mod house;
mod resets;
mod sockets;
mod streams;
mod upstreams;
mod windows;
