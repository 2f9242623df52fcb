//! Faults and attacks, numbered as in `docs/faults.md`: a test `fa_A01_…` is case A01. Each says in
//! its comment how it was seen to fail without the defence.

mod contract;
mod decisions;
mod exhaustion;
mod http1;
mod http2;
mod places;
mod streams;
mod trust;
mod upstreams;
