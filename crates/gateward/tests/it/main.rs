//! The real binary against real clients and real upstreams. Run by `cargo xtask test`, which brings
//! what these need.

mod certificates;
mod clients;
mod commands;
mod contracts;
mod deciders;
mod examples;
mod faults;
mod grpc;
mod harness;
mod limits;
mod load;
mod login;
mod operations;
mod reload;
mod signing;
mod streams;
mod tokens;
mod traffic;
mod vault;
