//! HTTP/2 (RFC 9113) by the h2 crate: the client's side in `server.rs`, the upstream's in
//! `client.rs`.
//!
//! Both sides share the parts that carry a message: `fields.rs` (header fields), `incoming.rs` (a
//! body as it comes), `pump.rs` (a body as it goes), `pipe.rs` (a stream as bytes both ways).
//! `guard.rs` sees the frames that pass under the h2 crate, `conduct.rs` judges a client by them.

pub(crate) mod answer;
pub(crate) mod client;
mod conduct;
mod fields;
mod guard;
mod head;
mod incoming;
mod pieces;
mod pipe;
mod pump;
mod request;
pub(crate) mod server;

#[cfg(test)]
mod tests;
