//! The data plane from outside: bytes in, bytes out, over in-memory connections.

mod answers;
mod case;
mod connections;
mod faults;
mod forwarding;
mod memory;
mod requests;
mod support;
mod upstream;
