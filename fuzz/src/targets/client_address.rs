//! Whose address a request comes from. Nobody outside can choose it: a stranger's fields count for
//! nothing, what is written left of the address found changes nothing, and every address right of
//! it is a trusted proxy's.
//!
//! An input's first line is the peer's address, the others are the field's lines.

use std::net::IpAddr;

use config::v1::ClientAddressHeader;
use dataplane::testing::parsers::client_address;
use ipnet::IpNet;
use policy::message::{Headers, Known};
use snapshot::ClientAddress;

/// The trusted proxies' networks.
const TRUSTED: &[&str] = &["10.0.0.0/8", "fd00::/8"];

/// The peer and the lines.
pub fn run(input: &[u8]) {
    let mut lines = input.split(|b| *b == b'\n');
    let peer = lines.next().and_then(|line| str::from_utf8(line).ok());
    let Some(peer) = peer.and_then(|peer| peer.trim().parse::<IpAddr>().ok()) else { return };
    let lines: Vec<&[u8]> = lines.map(<[u8]>::trim_ascii).collect();
    for header in [ClientAddressHeader::XForwardedFor, ClientAddressHeader::Forwarded] {
        check(&Asked::new(header), peer, &lines);
    }
}

struct Asked {
    rule: ClientAddress,
    name: Known,
    /// How an address is written for a proxy to pass it on.
    element: fn(IpAddr) -> String,
}

impl Asked {
    fn new(header: ClientAddressHeader) -> Self {
        let trusted = TRUSTED.iter().filter_map(|network| network.parse::<IpNet>().ok()).collect();
        let (name, element): (Known, fn(IpAddr) -> String) = match header {
            ClientAddressHeader::XForwardedFor => (Known::XForwardedFor, |ip| ip.to_string()),
            ClientAddressHeader::Forwarded => (Known::Forwarded, |ip| match ip {
                IpAddr::V4(ip) => format!("for={ip}"),
                IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
            }),
        };
        Self { rule: ClientAddress { trusted, header }, name, element }
    }

    fn find(&self, peer: IpAddr, lines: &[&[u8]]) -> IpAddr {
        let mut headers = Headers::new();
        for line in lines {
            headers.append(self.name.text(), line);
        }
        client_address(&self.rule, peer, &headers)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.rule.trusted.iter().any(|network| network.contains(&address))
    }
}

fn check(asked: &Asked, peer: IpAddr, lines: &[&[u8]]) {
    let found = asked.find(peer, lines);
    if !asked.trusts(peer) {
        assert_eq!(found, peer, "a stranger's word");
        return;
    }
    // Fields of one name are one list (RFC 9110 §5.3). What no field can hold never comes.
    let fields: Vec<&[u8]> =
        lines.iter().copied().filter(|line| Headers::new().append("a", line)).collect();
    if !fields.is_empty() {
        assert_eq!(asked.find(peer, &[&fields.join(&b", "[..])]), found, "how it is spread");
    }
    if !asked.trusts(found) {
        let forged = ["6.6.6.6, 10.6.6.6, for=6.6.6.6, \"unknown"].map(str::as_bytes);
        let more = [&forged[..], lines].concat();
        assert_eq!(asked.find(peer, &more), found, "what is written on the left");
    }
    // One more trusted proxy passes on what it saw: nothing changes but for a list so long that it
    // is not followed to its end.
    let passed_on = (asked.element)(peer);
    let proxy = IpAddr::from([10, 255, 0, 1]);
    let more = [lines, &[passed_on.as_bytes()]].concat();
    let count = fields.iter().flat_map(|line| line.split(|b| *b == b',')).count();
    if count < 32 && peer == peer.to_canonical() {
        assert_eq!(asked.find(proxy, &more), found, "one more proxy");
    }
}
