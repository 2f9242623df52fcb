//! Whose bucket a request's is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use policy::{Caller, Exchange};

use super::settings::By;

/// What a bucket is found by.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Key<'x> {
    /// The request has no such thing.
    Missing,
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(&'x str),
    /// A header field's value.
    Value(&'x [u8]),
    /// An API, and one of its routes where that counts.
    Route(&'x str, Option<&'x str>, Option<&'x str>),
    /// Everyone's.
    All,
}

impl By {
    /// The key of `exchange`.
    pub(super) fn key<'x>(&self, exchange: &'x Exchange) -> Key<'x> {
        let found = match self {
            Self::Client => Some(Key::Address(site(exchange.client))),
            Self::Application => {
                exchange.caller.as_ref().and_then(Caller::application_name).map(Key::Name)
            }
            Self::Header(name) => exchange.request.headers.get(name).map(Key::Value),
            Self::Route => exchange
                .route
                .as_ref()
                .map(|route| Key::Route(route.api(), route.version(), Some(route.route()))),
            Self::Api => {
                exchange.route.as_ref().map(|route| Key::Route(route.api(), route.version(), None))
            }
            Self::None => Some(Key::All),
        };
        found.unwrap_or(Key::Missing)
    }
}

/// What one site has of `address`: all of an IPv4 address, the first 64 bits of an IPv6 one.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Application => f.write_str("application"),
            Self::Header(name) => write!(f, "header {}", name.as_str()),
            Self::Route => f.write_str("route"),
            Self::Api => f.write_str("api"),
            Self::None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_ipv6_site_share_a_key() {
        let same = |a: &str, b: &str| site(a.parse().unwrap()) == site(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
    }
}
