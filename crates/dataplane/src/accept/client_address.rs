//! The client's address behind proxies one trusts: the header they write is walked from the right
//! over addresses that are theirs; the first that is not is the client's.

use std::net::{IpAddr, Ipv6Addr};

use config::v1::ClientAddressHeader;
use ipnet::IpNet;
use policy::message::{Headers, Known};
use snapshot::ClientAddress;

/// Addresses walked at most; longer lists are not believed beyond it.
const STEPS_MAX: usize = 32;

/// Whether the peer is a proxy whose word is taken.
pub(crate) fn is_trusted(trusted: &[IpNet], peer: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(&peer))
}

/// The client's address: the peer's, unless the peer is trusted and its header names another. What
/// can't be read ends the walk at the last address that could, which is a trusted proxy's.
pub(crate) fn find(rule: &ClientAddress, peer: IpAddr, headers: &Headers) -> IpAddr {
    if !is_trusted(&rule.trusted, peer) {
        return peer;
    }
    let name = match rule.header {
        ClientAddressHeader::XForwardedFor => Known::XForwardedFor,
        ClientAddressHeader::Forwarded => Known::Forwarded,
    };
    let mut client = peer;
    let mut steps = 0;
    let mut lines: smallvec::SmallVec<[&[u8]; 4]> = headers.all(name).collect();
    while let Some(line) = lines.pop() {
        for element in line.rsplit(|b| *b == b',') {
            steps += 1;
            let address = match rule.header {
                ClientAddressHeader::XForwardedFor => address(element.trim_ascii()),
                ClientAddressHeader::Forwarded => forwarded_for(element).and_then(address),
            };
            let (Some(address), true) = (address, steps <= STEPS_MAX) else { return client };
            client = address;
            if !is_trusted(&rule.trusted, address) {
                return client;
            }
        }
    }
    client
}

/// The `for` of one element of `Forwarded` (RFC 7239 §4), without its quotes. A comma inside a
/// quoted string would have split the element; no address has one.
fn forwarded_for(element: &[u8]) -> Option<&[u8]> {
    let pair = element
        .split(|b| *b == b';')
        .map(<[u8]>::trim_ascii)
        .find(|pair| pair.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"for=")))?;
    let value = pair.get(4..)?.trim_ascii();
    Some(value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value))
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        let port = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
        return if port { inside.parse::<Ipv6Addr>().ok().map(canonical_v6) } else { None };
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (host, port) = text.split_once(':')?;
    if is_port(port) { host.parse().ok().map(IpAddr::V4) } else { None }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && !text.starts_with('+')
}

fn canonical_v6(address: Ipv6Addr) -> IpAddr {
    IpAddr::V6(address).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(header: ClientAddressHeader, peer: &str, lines: &[&str]) -> String {
        let trusted = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let name = match header {
            ClientAddressHeader::XForwardedFor => Known::XForwardedFor,
            ClientAddressHeader::Forwarded => Known::Forwarded,
        };
        let mut headers = Headers::new();
        for line in lines {
            assert!(headers.append(name.text(), line));
        }
        find(&ClientAddress { trusted, header }, peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn x_forwarded_for_is_walked_from_the_right_over_trusted_proxies() {
        for (peer, lines, client, why) in [
            ("192.0.2.9", vec!["1.1.1.1"], "192.0.2.9", "a stranger's word counts for nothing"),
            ("10.0.0.1", vec![], "10.0.0.1", "nothing was said"),
            ("10.0.0.1", vec!["1.1.1.1"], "1.1.1.1", "one proxy"),
            (
                "10.0.0.1",
                vec!["6.6.6.6, 1.1.1.1, 10.0.0.2"],
                "1.1.1.1",
                "two proxies, and a lie on the left",
            ),
            ("10.0.0.1", vec!["6.6.6.6", "1.1.1.1"], "1.1.1.1", "several lines are one list"),
            ("10.0.0.1", vec!["1.1.1.1:4711"], "1.1.1.1", "a port is let pass"),
            ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1", "an IPv6 address with a port"),
            ("10.0.0.1", vec!["2001:db8::1"], "2001:db8::1", "and without"),
            ("fd00::1", vec!["::ffff:1.1.1.1"], "1.1.1.1", "a mapped address is the IPv4 one"),
            ("10.0.0.1", vec!["1.1.1.1, unknown"], "10.0.0.1", "what can't be read ends the walk"),
            ("10.0.0.1", vec!["1.1.1.1, , 10.0.0.2"], "10.0.0.2", "so does nothing at all"),
            ("10.0.0.1", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3", "all are trusted: the first"),
        ] {
            assert_eq!(found(ClientAddressHeader::XForwardedFor, peer, &lines), client, "{why}");
        }
    }

    #[test]
    fn forwarded_is_walked_alike() {
        for (lines, client, why) in [
            (vec!["for=1.1.1.1;proto=https"], "1.1.1.1", "one proxy"),
            (
                vec!["proto=https; For=\"[2001:db8::1]:80\""],
                "2001:db8::1",
                "quoted, with a port, in any case",
            ),
            (vec!["for=6.6.6.6, for=1.1.1.1, for=10.0.0.2"], "1.1.1.1", "two proxies"),
            (vec!["for=1.1.1.1, for=_hidden"], "10.0.0.1", "an obfuscated name ends the walk"),
            (vec!["proto=https"], "10.0.0.1", "no `for` at all"),
        ] {
            assert_eq!(found(ClientAddressHeader::Forwarded, "10.0.0.1", &lines), client, "{why}");
        }
    }

    #[test]
    fn a_list_without_end_is_walked_only_so_far() {
        let long = vec!["10.0.0.2"; 1000].join(", ");
        let line = format!("1.1.1.1, {long}");
        assert_eq!(found(ClientAddressHeader::XForwardedFor, "10.0.0.1", &[&line]), "10.0.0.2");
    }
}
