//! Faults and attacks that need the real binary, numbered as in `docs/faults.md`.

mod access;
mod differential;
mod exhaustion;
mod http2;
mod process;
mod quotas;
mod streams;
