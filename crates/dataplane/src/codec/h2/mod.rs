//! HTTP/2 (RFC 9113) by the h2 crate: the client's side in `server.rs`, the upstream's in
//! `client.rs`.
//!
//! Both sides share the parts that carry a message: `fields.rs` (header fields), `incoming.rs` (a
//! body as it comes), `pump.rs` (a body as it goes), `pipe.rs` (a stream as bytes both ways).

pub(crate) mod answer;
pub(crate) mod client;
mod fields;
mod head;
mod incoming;
mod pipe;
mod pump;
mod request;
pub(crate) mod server;

#[cfg(test)]
mod tests;
