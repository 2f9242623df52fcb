//! Hosts: an exact one goes before a wildcard, a longer wildcard before a shorter one, and any host
//! comes last.

use std::fmt;

use super::children::Children;
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
    exact: Children,
    wildcard: Children,
    any: Option<NodeId>,
}

impl Hosts {
    /// The root of this host's tree; a new one where there is none.
    pub fn root(&mut self, host: &Host, nodes: &mut Nodes) -> NodeId {
        let (children, name) = match host {
            Host::Exact(name) => (&mut self.exact, name),
            Host::Wildcard(suffix) => (&mut self.wildcard, suffix),
            Host::Any => return *self.any.get_or_insert_with(|| nodes.add("")),
        };
        nodes.find(children, name).unwrap_or_else(|| {
            let root = nodes.add(name);
            children.add(name, root);
            root
        })
    }

    /// The trees that hold for `host`, the most specific first.
    pub fn roots<'s>(
        &'s self,
        host: &'s str,
        nodes: &'s Nodes,
    ) -> impl Iterator<Item = NodeId> + 's {
        let exact = nodes.find(&self.exact, host);
        let host = if self.wildcard.is_empty() { "" } else { host };
        let wildcards = host.match_indices('.').filter_map(|(dot, _)| {
            // A leading dot leaves no label for the wildcard to stand for.
            let suffix = host.get(dot + 1..).filter(|_| dot > 0)?;
            nodes.find(&self.wildcard, suffix)
        });
        exact.into_iter().chain(wildcards).chain(self.any)
    }
}
