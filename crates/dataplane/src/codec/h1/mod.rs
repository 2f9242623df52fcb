//! HTTP/1.1 (RFC 9112), our own codec on httparse: the client's side in `server.rs`, the upstream's
//! in `client.rs`.

mod body;
pub(crate) mod chunked;
pub(crate) mod client;
mod fields;
pub(crate) mod head;
mod pump;
pub(crate) mod server;
mod wire;
pub(crate) mod write;

pub(crate) use body::read_some;
