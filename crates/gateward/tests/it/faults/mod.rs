//! Faults and attacks that need the real binary, numbered as in `docs/faults.md`.

mod differential;
mod process;
