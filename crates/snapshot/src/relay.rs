//! What TCP listeners do with their connections: pass them on to an upstream, unopened.

use std::collections::HashMap;
use std::time::Duration;

use rustc_hash::FxBuildHasher;

use crate::Split;
use crate::router::Host;

/// The way of a TCP listener's connections to an upstream.
#[derive(Debug)]
pub struct Relay {
    /// Where they go.
    pub to: RelayTo,
    /// Time without a byte either way.
    pub idle_timeout: Duration,
    /// Whether the upstream is told the client's address, by the PROXY protocol.
    pub send_proxy_protocol: bool,
}

/// Where the connections of a TCP listener go.
#[derive(Debug)]
pub enum RelayTo {
    /// All to the same upstreams.
    One(Split),
    /// By the name in their ClientHello.
    Named(ServerNames),
}

/// Upstreams by the server name of TLS clients (SNI).
#[derive(Debug, Default)]
pub struct ServerNames {
    exact: HashMap<Box<str>, Split, FxBuildHasher>,
    wildcard: HashMap<Box<str>, Split, FxBuildHasher>,
    any: Option<Split>,
}

impl ServerNames {
    /// Where connections for `name` go, which is in lower case: an exact name goes before a
    /// wildcard, a longer wildcard before a shorter one. None: nowhere.
    pub fn find(&self, name: Option<&str>) -> Option<&Split> {
        let named = name.and_then(|name| {
            let suffixes = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
            let mut wildcards = suffixes.filter_map(|suffix| self.wildcard.get(suffix));
            self.exact.get(name).or_else(|| wildcards.next())
        });
        named.or(self.any.as_ref())
    }

    /// Connections for `host` go to `split`; where there is a word on it already, that stands.
    pub(crate) fn add(&mut self, host: Host, split: Split) {
        match host {
            Host::Exact(name) => drop(self.exact.entry(name).or_insert(split)),
            Host::Wildcard(suffix) => drop(self.wildcard.entry(suffix).or_insert(split)),
            Host::Any => drop(self.any.get_or_insert(split)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Part, Timeouts};

    fn split(upstream: usize) -> Split {
        let timeouts = Timeouts {
            connect: Duration::ZERO,
            first_byte: Duration::ZERO,
            idle: Duration::ZERO,
            total: None,
        };
        Split { first: Part { upstream, up_to: 1, timeouts }, others: Box::default() }
    }

    #[test]
    fn the_name_that_fits_best_wins() {
        let mut names = ServerNames::default();
        names.add(Host::Exact("a.example.com".into()), split(1));
        names.add(Host::Wildcard("example.com".into()), split(2));
        names.add(Host::Wildcard("deep.example.com".into()), split(3));
        let find = |names: &ServerNames, name| names.find(name).map(|split| split.first.upstream);
        for (name, expected) in [
            ("a.example.com", Some(1)),
            ("b.example.com", Some(2)),
            ("x.a.example.com", Some(2)),
            ("x.deep.example.com", Some(3)),
            ("example.com", None),
            ("notexample.com", None),
        ] {
            assert_eq!(find(&names, Some(name)), expected, "{name}");
        }
        assert_eq!(find(&names, None), None);
        names.add(Host::Any, split(9));
        assert_eq!(find(&names, Some("example.com")), Some(9));
        assert_eq!(find(&names, None), Some(9));
        assert_eq!(find(&names, Some("a.example.com")), Some(1));
    }
}
