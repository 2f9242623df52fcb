//! The targets, a file each, and what some of them share.

pub mod chunked;
pub mod client_address;
pub mod client_hello;
pub mod compile;
pub mod condition;
pub mod contract;
pub mod document;
pub mod grpc;
pub mod h1_request;
pub mod h1_response;
pub mod h2_server;
pub mod headers;
pub mod host;
pub mod path;
pub mod proxy_protocol;
pub mod trace_context;

mod documents;
mod plain_head;
