//! Whose limit a request counts for: by what limits are told apart, and what of a request that is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest::{SHA256, digest};
use base::{Pointer, Problem, Problems};
use policy::condition::Expression;
use policy::message::Name;
use policy::{Caller, Code, Exchange, Refusal, codes};
use schemars::JsonSchema;
use serde::Deserialize;

/// Whose requests are counted together: a word, `{ header: name }`, `{ network: … }` or
/// `{ cel: expression }`.
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
    /// Those of client addresses that begin alike.
    Network(Network),
    /// Those for which this expression, in CEL, gives the same: a text, a number, or a list of
    /// them. Null, or a list with null in it, is no key.
    Cel(String),
}

/// How much of an address counts, in bits.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LimitNetwork")]
pub(in crate::limit) struct Network {
    /// Of an IPv4 address; all 32 unless said.
    #[serde(default = "ipv4")]
    #[schemars(range(min = 1, max = 32))]
    ipv4: u8,
    /// Of an IPv6 address; 64 unless said, which is what one site has.
    #[serde(default = "ipv6")]
    #[schemars(range(min = 1, max = 128))]
    ipv6: u8,
}

fn ipv4() -> u8 {
    32
}

fn ipv6() -> u8 {
    64
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
    Network(Network),
    Application,
    Route,
    Api,
    None,
    Header(Name),
    Cel(Expression),
}

impl Written {
    /// The same, checked.
    pub(in crate::limit) fn compile(&self, at: &Pointer) -> Result<By, Problems> {
        Ok(match self {
            Self::Client => By::Network(Network { ipv4: ipv4(), ipv6: ipv6() }),
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
            Self::Network(network) => By::Network(network.checked(&at.key("network"))?),
            Self::Cel(text) => By::Cel(
                Expression::compile_key(text).map_err(|bad| vec![bad.problem(&at.key("cel"))])?,
            ),
        })
    }
}

impl Network {
    fn checked(self, at: &Pointer) -> Result<Self, Problems> {
        let wrong = |key: &str, bits: u8, most: u8| {
            let what = format!("{bits} bits of an address can't be told apart by");
            let hint = format!("write 1 to {most}");
            ((bits == 0) || bits > most).then(|| Problem::new(&at.key(key), what).hint(hint))
        };
        let problems = [wrong("ipv4", self.ipv4, 32), wrong("ipv6", self.ipv6, 128)];
        let problems: Problems = problems.into_iter().flatten().collect();
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    /// What counts of `address`.
    fn of(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let rest = u32::MAX.checked_shr(self.ipv4.into()).unwrap_or_default();
                Ipv4Addr::from_bits(v4.to_bits() & !rest).into()
            }
            IpAddr::V6(v6) => {
                let rest = u128::MAX.checked_shr(self.ipv6.into()).unwrap_or_default();
                Ipv6Addr::from_bits(v6.to_bits() & !rest).into()
            }
        }
    }
}

/// What a limit is found by.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::limit) enum Key<'x> {
    /// The request has no such thing.
    Missing,
    /// An address, or the beginning of one.
    Address(IpAddr),
    /// A name.
    Name(&'x str),
    /// A header field's value.
    Value(&'x [u8]),
    /// What an expression gave.
    Given(Vec<u8>),
    /// An API, and one of its routes where that counts.
    Route(&'x str, Option<&'x str>, Option<&'x str>),
    /// Everyone's.
    All,
}

impl Key<'_> {
    /// Writes it as something that means the same to every process, now and later. Values that
    /// callers sent, which may be secrets, are written as their SHA-256.
    pub(in crate::limit) fn write(&self, out: &mut Vec<u8>) {
        let mut put = |kind: &[u8], rest: &[u8]| {
            out.extend(kind);
            out.extend(rest);
        };
        match self {
            Self::Missing => put(b"missing", b""),
            Self::All => put(b"all", b""),
            Self::Address(address) => put(b"address ", address.to_string().as_bytes()),
            Self::Name(name) => put(b"application ", name.as_bytes()),
            Self::Value(value) => put(b"value ", digest(&SHA256, value).as_ref()),
            Self::Given(given) => put(b"given ", digest(&SHA256, given).as_ref()),
            Self::Route(api, version, route) => {
                put(b"api ", api.as_bytes());
                // No name has a zero byte in it.
                put(b"\0", version.unwrap_or_default().as_bytes());
                put(b"\0", route.unwrap_or_default().as_bytes());
            }
        }
    }
}

impl By {
    /// The key of `exchange`; none where it is not limited. Where it has no key, `missing` decides;
    /// who is refused for it hears `code`.
    pub(in crate::limit) fn key<'x>(
        &self,
        exchange: &'x Exchange,
        missing: Missing,
        code: &'static Code,
    ) -> Result<Option<Key<'x>>, Refusal> {
        match (self.find(exchange)?, missing) {
            (Key::Missing, Missing::Skip) => Ok(None),
            (Key::Missing, Missing::Refuse) => Err(Refusal::new(code)),
            (key, _) => Ok(Some(key)),
        }
    }

    fn find<'x>(&self, exchange: &'x Exchange) -> Result<Key<'x>, Refusal> {
        let route = exchange.route.as_ref();
        let found = match self {
            Self::Network(network) => Some(Key::Address(network.of(exchange.client))),
            Self::Application => {
                exchange.caller.as_ref().and_then(Caller::application_name).map(Key::Name)
            }
            Self::Header(name) => exchange.request.headers.get(name).map(Key::Value),
            Self::Route => {
                route.map(|route| Key::Route(route.api(), route.version(), Some(route.route())))
            }
            Self::Api => route.map(|route| Key::Route(route.api(), route.version(), None)),
            Self::None => Some(Key::All),
            Self::Cel(expression) => {
                let mut given = Vec::new();
                let whole = expression
                    .write(exchange, &mut given)
                    .map_err(|why| Refusal::new(&codes::CONDITION_FAILED).note(why))?;
                whole.then_some(Key::Given(given))
            }
        };
        Ok(found.unwrap_or(Key::Missing))
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(Network { ipv4, ipv6 }) => write!(f, "network {ipv4} {ipv6}"),
            Self::Application => f.write_str("application"),
            Self::Header(name) => write!(f, "header {}", name.as_str()),
            Self::Route => f.write_str("route"),
            Self::Api => f.write_str("api"),
            Self::None => f.write_str("none"),
            Self::Cel(expression) => write!(f, "cel {}", expression.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_begin_alike_share_a_key() {
        let same = |ipv4, ipv6, a: &str, b: &str| {
            let network = Network { ipv4, ipv6 };
            network.of(a.parse().unwrap()) == network.of(b.parse().unwrap())
        };
        for (ipv4, ipv6, a, b, expected) in [
            (32, 64, "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            (32, 64, "2001:db8:1:2::1", "2001:db8:1:3::1", false),
            (32, 48, "2001:db8:1:2::1", "2001:db8:1:3::1", true),
            (32, 128, "2001:db8::1", "2001:db8::2", false),
            (32, 64, "192.0.2.1", "192.0.2.2", false),
            (24, 64, "192.0.2.1", "192.0.2.2", true),
            (24, 64, "192.0.2.1", "192.0.3.1", false),
            (32, 1, "192.0.2.1", "::ffff:192.0.2.1", true),
        ] {
            assert_eq!(same(ipv4, ipv6, a, b), expected, "{a} and {b} by /{ipv4} and /{ipv6}");
        }
    }
}
