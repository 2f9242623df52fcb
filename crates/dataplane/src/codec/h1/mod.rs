//! HTTP/1.1 (RFC 9112), our own codec on httparse: the client's side in `server.rs`, the upstream's
//! in `client.rs`.

mod body;
mod chunked;
pub(crate) mod client;
mod fields;
mod head;
mod pump;
pub(crate) mod server;
mod wire;
mod write;

pub(crate) use body::read_some;
