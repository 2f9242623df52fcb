//! Addresses to listen on.

use std::net::SocketAddr;

use base::{Pointer, Problem};

use crate::Bind;

/// Bytes a Unix socket's path may have (Linux, `sun_path` with its closing zero).
const UNIX_MAX: usize = 107;

/// Parses `address:port`, `[v6]:port` or `unix:/path`.
pub(super) fn parse(text: &str, at: &Pointer) -> Result<Bind, Problem> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.len() {
            0 => {
                Err(Problem::new(at, "the socket has no path")
                    .hint("write `unix:/run/gateward.sock`"))
            }
            1..=UNIX_MAX => Ok(Bind::Unix(path.into())),
            _ => Err(Problem::new(at, format!("the socket's path has more than {UNIX_MAX} bytes"))),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Bind::Tcp(address));
    }
    let problem = Problem::new(at, format!("`{text}` is no address to listen on"));
    let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
    let hint = match port {
        Some(port) if text.starts_with("localhost") => format!("write `127.0.0.1:{port}`"),
        Some(port) if !text.contains("::") => {
            format!(
                "write an address and a port: `0.0.0.0:{port}` for all IPv4, `[::]:{port}` for IPv6 too"
            )
        }
        _ => "write an address and a port, as in `0.0.0.0:8080`, or `unix:/path`".to_owned(),
    };
    Err(problem.hint(hint))
}
