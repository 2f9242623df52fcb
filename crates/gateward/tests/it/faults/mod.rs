//! Faults and attacks that need the real binary, numbered as in `docs/faults.md`.

mod http2;
mod process;
mod streams;
