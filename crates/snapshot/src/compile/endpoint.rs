//! URLs of endpoints.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use base::{Pointer, Problem};

use super::host::is_name;
use crate::{EndpointAddress, EndpointScheme};

/// An endpoint's URL, taken apart.
#[derive(Debug)]
pub(super) struct Url {
    pub scheme: EndpointScheme,
    pub address: EndpointAddress,
    /// Its `Host`: the port where it is not the scheme's.
    pub authority: String,
}

/// Whether `text` is meant as a URL and not as the name of an upstream.
pub(super) fn looks_like_url(text: &str) -> bool {
    text.contains("://") || text.starts_with("unix:")
}

/// Parses `http://host:port`, `https://…`, `tcp://host:port`, `unix:/path` or `srv+http://name`.
pub(super) fn parse(text: &str, at: &Pointer) -> Result<Url, Problem> {
    let problem = |what: String, hint: &str| Err(Problem::new(at, what).hint(hint));
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') {
            return problem(format!("`{text}` is no socket"), "write `unix:/path/of.sock`");
        }
        let (address, authority) = (EndpointAddress::Unix(path.into()), "localhost".to_owned());
        return Ok(Url { scheme: EndpointScheme::Http, address, authority });
    }
    let (is_srv, url) = match text.strip_prefix("srv+") {
        Some(url) => (true, url),
        None => (false, text),
    };
    let scheme = |scheme: EndpointScheme| {
        let rest = url.strip_prefix(scheme.text())?.strip_prefix("://")?;
        Some((scheme, rest))
    };
    let known = [EndpointScheme::Http, EndpointScheme::Https, EndpointScheme::Tcp];
    let Some((scheme, rest)) = known.into_iter().find_map(scheme) else {
        let hint = "write `http://host:port`, `https://host`, `unix:/path`, `srv+http://name`, or \
                    `tcp://host:port` for a TCP listener";
        return problem(format!("`{text}` is no URL of an endpoint"), hint);
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if !matches!(path, "" | "/") {
        let hint = format!(
            "remove it here, and write `rewrite: {{ path: {{ prefix: {path} }} }}` at the API"
        );
        return problem(format!("the endpoint `{text}` has a path"), &hint);
    }
    if authority.contains('@') {
        return problem("an endpoint's URL has no user and password".into(), "remove them");
    }
    let wrong = || Problem::new(at, format!("`{text}` has no valid host and port"));
    let (host, port) = host_and_port(authority).ok_or_else(wrong)?;
    if is_srv {
        if port.is_some() {
            return problem(
                format!("`{text}` has a port"),
                "remove it: SRV records have the ports",
            );
        }
        let address = EndpointAddress::Srv(host.as_str().into());
        return Ok(Url { scheme, address, authority: host });
    }
    if scheme == EndpointScheme::Tcp && port.is_none() {
        return problem(format!("`{text}` has no port"), "write one, as in `tcp://10.0.0.7:5432`");
    }
    let usual = scheme.of_requests().port();
    let number = port.unwrap_or(usual);
    let bare = host.trim_matches(['[', ']']);
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => EndpointAddress::Ip(SocketAddr::new(ip, number)),
        Err(_) => EndpointAddress::Name(bare.into(), number),
    };
    let is_raw = scheme == EndpointScheme::Tcp;
    let written = port.filter(|port| is_raw || *port != usual);
    let authority = written.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    Ok(Url { scheme, address, authority })
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let authority = authority.to_ascii_lowercase();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), rest)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            is_name(host).then(|| (host.to_owned(), port))?
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
    };
    Some((host, port))
}
