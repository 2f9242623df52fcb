//! PROXY headers, versions 1 and 2. However one comes it reads the same, nothing is taken before it
//! is all there, and what is taken is what a header written from it says.

use std::net::{IpAddr, SocketAddr};

use dataplane::testing::parsers::{ProxyHeader, Said, proxy_header};

/// Longest header, either version.
const MAX: usize = 16 + 2048;

/// The first bytes of a connection.
pub fn run(input: &[u8]) {
    let whole = proxy_header(input);
    for length in 0..input.len().min(MAX + 1) {
        let part = proxy_header(&input[..length]);
        match (whole, part) {
            (_, ProxyHeader::Partial) => {}
            (ProxyHeader::Done(_, needed), part) => {
                assert!(length >= needed, "taken before it was there: {part:?}");
                assert_eq!(part, whole, "what follows it changes it");
            }
            (ProxyHeader::Wrong(_), ProxyHeader::Wrong(_)) => {}
            (whole, part) => panic!("{part:?} becomes {whole:?} as more comes"),
        }
    }
    let ProxyHeader::Done(said, length) = whole else {
        assert!(input.len() <= MAX || whole != ProxyHeader::Partial, "it waits without a bound");
        return;
    };
    assert!(length <= input.len().min(MAX), "longer than it is");
    assert!(input[0] != b'P' || length <= 107, "a line longer than it may be");
    let Said::Proxied(from, to) = said else { return };
    for header in [version_1(from, to), version_2(from, to)] {
        assert_eq!(proxy_header(&header), ProxyHeader::Done(said, header.len()));
    }
}

fn version_1(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    let (source, destination) = (from.ip(), to.ip());
    let (from, to) = (from.port(), to.port());
    format!("PROXY {family} {source} {destination} {from} {to}\r\n").into_bytes()
}

fn version_2(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let (family, size) = if from.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
    let mut out = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    out.extend_from_slice(&[0x21, family, 0, size]);
    for address in [from.ip(), to.ip()] {
        match address {
            IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
        }
    }
    for port in [from.port(), to.port()] {
        out.extend_from_slice(&port.to_be_bytes());
    }
    out
}
