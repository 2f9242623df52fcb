//! Hosts: an exact one goes before a wildcard, a longer wildcard before a shorter one, and any host
//! comes last.

use std::collections::HashMap;
use std::fmt;

use rustc_hash::FxBuildHasher;

use super::tree::{NodeId, Nodes};

/// A host that routes answer on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// This one.
    Exact(Box<str>),
    /// One or more labels before this suffix, which is kept without its dot.
    Wildcard(Box<str>),
    /// Every host, and requests without one.
    Any,
}

impl Host {
    /// How well `host` fits; higher is better, none where it does not.
    pub fn fit(&self, host: &str) -> Option<usize> {
        match self {
            Self::Exact(own) => (**own == *host).then_some(usize::MAX),
            Self::Wildcard(suffix) => {
                let labels = host.strip_suffix(&**suffix)?.strip_suffix('.')?;
                (!labels.is_empty()).then_some(1 + suffix.len())
            }
            Self::Any => Some(0),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("any host"),
        }
    }
}

/// Where the tree of each host starts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Box<str>, NodeId, FxBuildHasher>,
    wildcard: HashMap<Box<str>, NodeId, FxBuildHasher>,
    any: Option<NodeId>,
}

impl Hosts {
    /// The root of this host's tree; a new one where there is none.
    pub fn root(&mut self, host: &Host, nodes: &mut Nodes) -> NodeId {
        match host {
            Host::Exact(name) => *self.exact.entry(name.clone()).or_insert_with(|| nodes.add()),
            Host::Wildcard(suffix) => {
                *self.wildcard.entry(suffix.clone()).or_insert_with(|| nodes.add())
            }
            Host::Any => *self.any.get_or_insert_with(|| nodes.add()),
        }
    }

    /// The trees that hold for `host`, the most specific first.
    pub fn roots<'s>(&'s self, host: &'s str) -> impl Iterator<Item = NodeId> + 's {
        let exact = self.exact.get(host).copied();
        let host = if self.wildcard.is_empty() { "" } else { host };
        let wildcards = host.match_indices('.').filter_map(|(dot, _)| {
            // A leading dot leaves no label for the wildcard to stand for.
            let suffix = host.get(dot + 1..).filter(|_| dot > 0)?;
            self.wildcard.get(suffix).copied()
        });
        exact.into_iter().chain(wildcards).chain(self.any)
    }
}
