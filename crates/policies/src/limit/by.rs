//! Whose limit a request counts for: by what limits are told apart, and what of a request that is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use base::{Pointer, Problem, Problems};
use policy::message::Name;
use policy::{Caller, Exchange};
use schemars::JsonSchema;
use serde::Deserialize;

/// Whose requests are counted together: a word, or `{ header: name }`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LimitBy")]
pub(in crate::limit) enum Written {
    /// Those of one client address; of IPv6, of one /64.
    #[default]
    Client,
    /// Those of one application.
    Application,
    /// Those to one route.
    Route,
    /// Those to one API.
    Api,
    /// All.
    None,
    /// Those with one value of this header field.
    Header(String),
}

/// What becomes of requests without a key.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LimitMissing")]
pub(in crate::limit) enum Missing {
    /// They share one limit.
    #[default]
    Share,
    /// They are refused with 403.
    Refuse,
    /// They are not limited.
    Skip,
}

/// Whose requests are counted together.
#[derive(Debug)]
pub(in crate::limit) enum By {
    Client,
    Application,
    Route,
    Api,
    None,
    Header(Name),
}

impl Written {
    /// The same, checked.
    pub(in crate::limit) fn compile(&self, at: &Pointer) -> Result<By, Problems> {
        Ok(match self {
            Self::Client => By::Client,
            Self::Application => By::Application,
            Self::Route => By::Route,
            Self::Api => By::Api,
            Self::None => By::None,
            Self::Header(name) => By::Header(Name::new(name).ok_or_else(|| {
                let what = format!("`{name}` can't be a header's name");
                vec![
                    Problem::new(&at.key("header"), what)
                        .hint("use letters, digits and `-`, as in `x-tenant`"),
                ]
            })?),
        })
    }
}

/// What a limit is found by.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::limit) enum Key<'x> {
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
    pub(in crate::limit) fn key<'x>(&self, exchange: &'x Exchange) -> Key<'x> {
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
