//! What the supervisor and a serving process say to each other.

use dataplane::Role;
use serde::{Deserialize, Serialize};
use snapshot::Bind;

/// Bytes of a text in a message; the rest is in the log.
const TEXT_MAX: usize = 8 << 10;

/// Where sockets stand: what they are for, and the address as the document asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// What they are for.
    pub purpose: Purpose,
    /// The address, as [`Bind`] shows itself.
    pub bind: String,
}

impl Place {
    /// The place of this.
    pub fn new(role: Role, bind: &Bind) -> Self {
        let purpose = match role {
            Role::Listener => Purpose::Listener,
            Role::Admin => Purpose::Admin,
        };
        Self { purpose, bind: bind.to_string() }
    }
}

/// What sockets are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Purpose {
    /// A listener of the document.
    Listener,
    /// The admin listener.
    Admin,
    /// Whatever stands at that address: systemd opened them.
    Any,
}

/// What the supervisor says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// These sockets, which come with this, are kept for this place. May come again for one place.
    Kept(Place),
    /// All sockets were told: start.
    Start(Start),
    /// Nothing is kept for this place any more.
    Released(Place),
    /// Read the document again, and open log files again.
    Reload,
    /// Stop: say that traffic is not welcome, wait, drain, end.
    Stop,
    /// Another process serves: drain, end, and leave the sockets to it.
    Leave,
}

/// How a serving process is to start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Start {
    /// Nothing served before: the document on disk must be good, where that was asked for.
    pub cold: bool,
    /// Another process serves until this one is ready.
    pub replaces: bool,
    /// The number of the first document it takes.
    pub revision: u64,
    /// Digests of documents that brought serving processes down.
    pub avoid: Vec<String>,
    /// What the supervisor has to tell of those before.
    pub told: Told,
}

/// What the supervisor has to tell, for `/status` and the metrics.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Told {
    /// Serving processes that crashed.
    pub crashed: u64,
    /// Serving processes that were replaced because they were stuck.
    pub stuck: u64,
    /// The last of these, in words.
    pub last: Option<String>,
}

/// What a serving process says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// Keep these sockets, which come with this. `first`: in place of what was kept there.
    Keep {
        /// Where.
        place: Place,
        /// The first packet of them.
        first: bool,
    },
    /// Keep nothing for this place any more, and say so.
    Release(Place),
    /// It has proved itself and serves.
    Ready {
        /// The format of the state that its build takes over from a supervisor.
        format: u32,
    },
    /// It runs by this document.
    Took {
        /// Its digest.
        digest: String,
        /// Its number.
        revision: u64,
    },
    /// A reload is over, whatever came of it.
    Reloaded,
    /// Why it can't start.
    Failed(String),
    /// It lives: each core's pulse.
    Beat(Vec<u64>),
}

/// A text short enough for a message.
pub fn short(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let end = text.floor_char_boundary(TEXT_MAX);
        text.truncate(end);
        text.push_str("\n…");
    }
    text
}
