//! What attacks and breaks: clients that speak raw bytes and frames, origins that log every byte or
//! misbehave as told, a proxy that spoils connections. Over real sockets, seeded, bounded.

pub mod evil;
pub mod fault_proxy;
pub mod frames;
pub mod mutate;
pub mod name_server;
pub mod oracle;
pub mod raw;
