//! Fuzz targets: functions that take any bytes and panic where something does not hold that must.
//!
//! None of them only looks for panics: what is taken is written and read again, compared with a
//! second reading made for the test, split, repeated. [`TARGETS`] is the list; `tests/smoke.rs`
//! runs it for a moment with every test run, `cargo xtask fuzz` for as long as one likes.

pub mod corpus;
pub mod mutate;

mod targets;

/// Something that must hold for any bytes.
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Panics where it does not hold.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident)*) => {
        /// Every target.
        pub static TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), run: targets::$name::run }),*];
    };
}

targets! {
    chunked
    client_address
    client_hello
    compile
    condition
    contract
    document
    grpc
    h1_request
    h1_response
    h2_server
    headers
    host
    path
    proxy_protocol
    trace_context
}
