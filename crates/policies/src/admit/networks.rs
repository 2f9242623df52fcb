//! Sets of networks. Looking an address up takes as many steps as the set's size has binary digits.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of networks.
#[derive(Debug)]
pub(in crate::admit) struct Networks {
    v4: Ranges,
    v6: Ranges,
}

/// Ranges of addresses: first and last, sorted, none touching another.
type Ranges = Box<[(u128, u128)]>;

/// Why a text is no network.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::admit) struct BadNetwork {
    pub(in crate::admit) what: String,
    pub(in crate::admit) hint: String,
}

/// The network that `text` names: CIDR, or one address.
pub(in crate::admit) fn read(text: &str) -> Result<IpNet, BadNetwork> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| BadNetwork {
            what: format!("`{text}` is neither a network nor an address"),
            hint: "write CIDR, as in 10.0.0.0/8 or 2001:db8::/32, or an address".into(),
        })?),
    };
    if network.addr() != network.network() {
        return Err(BadNetwork {
            what: format!("`{text}` has bits set beyond its prefix"),
            hint: format!("did you mean `{}`?", network.trunc()),
        });
    }
    Ok(canonical(network))
}

/// An IPv4 network written as an IPv6 one becomes the IPv4 network.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(prefix)) => IpNet::new(IpAddr::V4(v4), prefix).unwrap_or(network),
        _ => network,
    }
}

impl Networks {
    /// The set of these.
    pub(in crate::admit) fn new(networks: Vec<IpNet>) -> Self {
        let (v4, v6): (Vec<_>, Vec<_>) =
            networks.into_iter().partition(|network| matches!(network, IpNet::V4(_)));
        Self { v4: ranges(&v4), v6: ranges(&v6) }
    }

    /// Whether `address` is in one of them.
    pub(in crate::admit) fn have(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let ranges = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let number = number(address);
        let after = ranges.partition_point(|(first, _)| *first <= number);
        let nearest = after.checked_sub(1).and_then(|at| ranges.get(at));
        nearest.is_some_and(|(_, last)| number <= *last)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn ranges(networks: &[IpNet]) -> Ranges {
    let mut all: Vec<_> =
        networks.iter().map(|net| (number(net.network()), number(net.broadcast()))).collect();
    all.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(all.len());
    for (first, last) in all {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(texts: &[&str]) -> Networks {
        Networks::new(texts.iter().map(|text| read(text).unwrap()).collect())
    }

    #[test]
    fn addresses_are_found_in_their_networks_and_nowhere_else() {
        let some = set(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"]);
        for (address, is_in) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.1.2.3", true),
            ("198.51.100.9", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("::1", false),
        ] {
            assert_eq!(some.have(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(set(&["0.0.0.0/0"]).have("255.255.255.255".parse().unwrap()));
        assert!(!set(&["0.0.0.0/0"]).have("::1".parse().unwrap()), "of the other family");
        assert!(!set(&["::/0"]).have("10.0.0.1".parse().unwrap()), "of the other family");
        assert!(!set(&[]).have("10.0.0.1".parse().unwrap()));
    }

    /// An address has one meaning: spellings that others read as another one are no address, and
    /// an IPv4 address is the same one inside an IPv6 one. Seen to fail: without `canonical` and
    /// `to_canonical`, the mapped forms passed `deny` by.
    #[test]
    #[allow(non_snake_case, reason = "a test's name starts with its number in docs/faults.md")]
    fn fa_E31_an_address_in_another_spelling() {
        for text in [
            "0177.0.0.1",
            "010.0.0.1",
            "10.0.0.01",
            "0x0a.0.0.1",
            "167772161",
            "10.1",
            "fe80::1%eth0",
            "fe80::1%25eth0",
            "[::1]",
            "::ffff:0177.0.0.1",
            " 10.0.0.1",
            "10.0.0.1:80",
            "10.0.0.0/255.0.0.0",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        for denied in ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:a00:0/104"] {
            let denied = set(&[denied]);
            for address in ["10.0.0.1", "::ffff:10.0.0.1", "::ffff:a00:1", "0:0:0:0:0:ffff:a00:1"] {
                assert!(denied.have(address.parse().unwrap()), "{address} in {denied:?}");
            }
            assert!(!denied.have("::10.0.0.1".parse().unwrap()), "a compatible address is another");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_was_meant() {
        for (text, hint) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("10.0.0.0/33", "CIDR"),
            ("10.0.0", "CIDR"),
            ("localhost", "CIDR"),
            ("", "CIDR"),
        ] {
            assert!(read(text).unwrap_err().hint.contains(hint), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_set_answers_as_a_walk_over_its_networks(
            networks in proptest::collection::vec((0u32..64, 24u8..=32), 0..12),
            address in 0u32..64,
        ) {
            let base = u32::from_be_bytes([10, 0, 0, 0]);
            let networks: Vec<IpNet> = networks
                .into_iter()
                .map(|(low, prefix)| {
                    IpNet::new(IpAddr::V4((base + low).into()), prefix).unwrap().trunc()
                })
                .collect();
            let address = IpAddr::V4((base + address).into());
            let expected = networks.iter().any(|network| network.contains(&address));
            prop_assert_eq!(Networks::new(networks).have(address), expected);
        }
    }
}
