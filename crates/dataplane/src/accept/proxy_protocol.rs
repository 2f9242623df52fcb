//! The PROXY protocol, versions 1 and 2, as load balancers speak it before the first byte of a
//! connection (haproxy.org/download/2.9/doc/proxy-protocol.txt). Strict and bounded; fed piece by
//! piece.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header of version 1, its line end included.
const V1_MAX: usize = 107;

/// Longest header of version 2 taken: addresses and TLVs. The protocol would allow 64 KiB.
const V2_MAX: usize = 16 + 2048;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The connection comes from the first address and was made to the second.
    Proxied(SocketAddr, SocketAddr),
    /// The connection is the proxy's own (a health check), or of a kind without addresses: the
    /// socket's count.
    Own,
}

/// What came of reading a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// More bytes are needed.
    Partial,
    /// This is the header, and this many bytes were its.
    Done(Said, usize),
    /// This is no PROXY header.
    Wrong(&'static str),
}

/// Reads a header from the start of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let probe = bytes.len().min(V2_SIGNATURE.len());
    if bytes.get(..probe) == V2_SIGNATURE.get(..probe) {
        return if probe < V2_SIGNATURE.len() { Parsed::Partial } else { version_2(bytes) };
    }
    let probe = bytes.len().min(6);
    if bytes.get(..probe) == b"PROXY ".get(..probe) {
        return version_1(bytes);
    }
    Parsed::Wrong("the connection does not start with a PROXY header")
}

/// The header of version 2 that tells where a connection comes from and where it was made to; one
/// of our own where that is not known.
pub(crate) fn header(from: Option<SocketAddr>, to: Option<SocketAddr>) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    let (Some(from), Some(to)) = (from, to) else {
        header.extend_from_slice(&[0x20, 0, 0, 0]);
        return header;
    };
    match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(client), IpAddr::V4(called)) => {
            header.extend_from_slice(&[0x21, 0x11, 0, 12]);
            header.extend_from_slice(&client.octets());
            header.extend_from_slice(&called.octets());
        }
        (client, called) => {
            header.extend_from_slice(&[0x21, 0x21, 0, 36]);
            header.extend_from_slice(&mapped(client).octets());
            header.extend_from_slice(&mapped(called).octets());
        }
    }
    header.extend_from_slice(&from.port().to_be_bytes());
    header.extend_from_slice(&to.port().to_be_bytes());
    header
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

fn version_1(bytes: &[u8]) -> Parsed {
    let window = bytes.get(..bytes.len().min(V1_MAX)).unwrap_or_default();
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        let too_long = bytes.len() >= V1_MAX;
        return if too_long {
            Parsed::Wrong("the PROXY line is too long")
        } else {
            Parsed::Partial
        };
    };
    let line = window.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    match line.and_then(line_addresses) {
        Some(said) => Parsed::Done(said, end + 2),
        None => Parsed::Wrong("the PROXY line is malformed"),
    }
}

/// `PROXY TCP4 source destination port port`, exactly one space between words; or `PROXY UNKNOWN`
/// and anything.
fn line_addresses(line: &str) -> Option<Said> {
    let rest = line.strip_prefix("PROXY ")?;
    if rest == "UNKNOWN" || rest.starts_with("UNKNOWN ") {
        return Some(Said::Own);
    }
    let mut words = rest.split(' ');
    let family = words.next()?;
    let (source, destination) = match family {
        "TCP4" => {
            (IpAddr::V4(words.next()?.parse().ok()?), IpAddr::V4(words.next()?.parse().ok()?))
        }
        "TCP6" => {
            (IpAddr::V6(words.next()?.parse().ok()?), IpAddr::V6(words.next()?.parse().ok()?))
        }
        _ => return None,
    };
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    Some(Said::Proxied(SocketAddr::new(source, from), SocketAddr::new(destination, to)))
}

/// A decimal port without sign or leading zeros.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    if plain { word.parse().ok() } else { None }
}

fn version_2(bytes: &[u8]) -> Parsed {
    let (Some(head), Some(length)) = (bytes.get(12..14), bytes.get(14..16)) else {
        return Parsed::Partial;
    };
    let (&[version_command, family], &[high, low]) = (head, length) else { return Parsed::Partial };
    let end = 16 + usize::from(u16::from_be_bytes([high, low]));
    if end > V2_MAX {
        return Parsed::Wrong("the PROXY header is too long");
    }
    let said = match version_command {
        0x20 => Some(Said::Own),
        0x21 => None,
        _ => return Parsed::Wrong("the PROXY header has an unknown version or command"),
    };
    let Some(body) = bytes.get(16..end) else { return Parsed::Partial };
    let said = said.or_else(|| match family {
        0x11 => v4(body),
        0x21 => v6(body),
        // Unspecified, datagrams and Unix sockets have no address that means something here.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Some(Said::Own),
        _ => None,
    });
    match said {
        Some(said) => Parsed::Done(said, end),
        None => Parsed::Wrong("the PROXY header's addresses are malformed"),
    }
}

fn v4(body: &[u8]) -> Option<Said> {
    let (source, rest) = body.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let ports = rest.first_chunk::<4>()?;
    Some(proxied(Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), *ports))
}

fn v6(body: &[u8]) -> Option<Said> {
    let (source, rest) = body.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let ports = rest.first_chunk::<4>()?;
    Some(proxied(Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), *ports))
}

fn proxied(source: IpAddr, destination: IpAddr, ports: [u8; 4]) -> Said {
    let [a, b, c, d] = ports;
    let from = SocketAddr::new(source, u16::from_be_bytes([a, b]));
    Said::Proxied(from, SocketAddr::new(destination, u16::from_be_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn from_to(from: &str, to: &str) -> Said {
        Said::Proxied(from.parse().unwrap(), to.parse().unwrap())
    }

    /// A header, and what it says.
    fn good() -> Vec<(Vec<u8>, Said)> {
        let v4_body = [192, 0, 2, 1, 198, 51, 100, 2, 0x1f, 0x90, 0x01, 0xbb];
        let mut v6_body = [0_u8; 36];
        v6_body[15] = 1;
        v6_body[31] = 2;
        v6_body[33] = 80;
        v6_body[35] = 81;
        let with_tlv = [&v4_body[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
        let pair = from_to("192.0.2.1:8080", "198.51.100.2:443");
        vec![
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 8080 443\r\n".to_vec(), pair),
            (b"PROXY TCP6 ::1 ::2 80 81\r\n".to_vec(), from_to("[::1]:80", "[::2]:81")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Said::Own),
            (b"PROXY UNKNOWN whatever it says\r\n".to_vec(), Said::Own),
            (v2(0x21, 0x11, &v4_body), pair),
            (v2(0x21, 0x11, &with_tlv), pair),
            (v2(0x21, 0x21, &v6_body), from_to("[::1]:80", "[::2]:81")),
            (v2(0x20, 0x00, &[]), Said::Own),
            (v2(0x21, 0x31, &[0; 216]), Said::Own),
        ]
    }

    #[test]
    fn headers_are_read_whatever_follows_and_however_they_are_split() {
        for (header, said) in good() {
            let whole = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(parse(&whole), Parsed::Done(said, header.len()), "{header:?}");
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Parsed::Partial, "{header:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let long_line = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
        let bad: [&[u8]; 15] = [
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 8080\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 8080 443 1\r\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.2 8080 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 080 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 +80 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
            b"PROXY TCP4 ::1 ::2 80 81\r\n",
            b"PROXY TCP6 192.0.2.1 ::2 80 81\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.2 80 81\r\n",
            &long_line,
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x99, &[0; 12]),
            &v2(0x21, 0x11, &[0; 4000]),
        ];
        for bytes in bad {
            assert!(
                matches!(parse(bytes), Parsed::Wrong(_)),
                "{:?} was taken",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn the_header_we_write_says_what_was_meant() {
        for (from, to) in
            [("192.0.2.1:8080", "198.51.100.2:443"), ("[2001:db8::1]:8080", "[2001:db8::2]:443")]
        {
            let written = header(from.parse().ok(), to.parse().ok());
            assert_eq!(parse(&written), Parsed::Done(from_to(from, to), written.len()));
        }
        let mixed = header("[::ffff:192.0.2.1]:80".parse().ok(), "198.51.100.2:443".parse().ok());
        let said = from_to("192.0.2.1:80", "198.51.100.2:443");
        assert_eq!(parse(&mixed), Parsed::Done(said, mixed.len()));
        let unknown = header(None, None);
        assert_eq!(parse(&unknown), Parsed::Done(Said::Own, unknown.len()));
    }
}
