//! When a policy runs.

use std::fmt;

/// Where in the order a policy runs. Phases run in this order; inside one, policies run as written,
/// the document's before the API's before the route's. On the way back the order is reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Around everything: what is recorded.
    Watch,
    /// Before anyone is known.
    Admit,
    /// Who is calling.
    Authenticate,
    /// May they.
    Authorize,
    /// How much.
    Limit,
    /// Is it harmful.
    Protect,
    /// Answered without the upstream.
    Reply,
    /// What changes as it passes.
    Transform,
    /// How the upstream is called.
    Upstream,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 9] = [
        Self::Watch,
        Self::Admit,
        Self::Authenticate,
        Self::Authorize,
        Self::Limit,
        Self::Protect,
        Self::Reply,
        Self::Transform,
        Self::Upstream,
    ];

    /// The phase's word, which is also its folder.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Admit => "admit",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Limit => "limit",
            Self::Protect => "protect",
            Self::Reply => "reply",
            Self::Transform => "transform",
            Self::Upstream => "upstream",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
