//! What operations sees of a connection that was passed on: counters as it runs, a line when it is
//! over.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use base::Instant;
use policy::{Code, codes};

use crate::accept::door::Door;
use crate::core::{Core, Running};
use crate::forward::Way;

/// How a connection that was to be passed on ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both ends were done.
    Done,
    /// One end broke off, and the other was told by a reset.
    Reset,
    /// Nothing moved for too long.
    Idle,
    /// The gateway ended it: it stopped, or no longer passes such connections on.
    Cut,
    /// The client left before an upstream was connected.
    ClientLeft,
    /// It did not start with a ClientHello that can be read in one way.
    HelloMalformed,
    /// The ClientHello did not arrive in time.
    HelloTimeout,
    /// The name asked for has no upstream.
    NameUnknown,
    /// The upstream had too much already.
    UpstreamOverloaded,
    /// No endpoint was usable.
    NoHealthyEndpoint,
    /// The upstream's name could not be looked up.
    NameNotResolved,
    /// No endpoint took a connection.
    ConnectFailed,
    /// No endpoint took a connection in time.
    ConnectTimeout,
}

impl Outcome {
    /// All of them, in their order.
    pub const ALL: [Self; 13] = [
        Self::Done,
        Self::Reset,
        Self::Idle,
        Self::Cut,
        Self::ClientLeft,
        Self::HelloMalformed,
        Self::HelloTimeout,
        Self::NameUnknown,
        Self::UpstreamOverloaded,
        Self::NoHealthyEndpoint,
        Self::NameNotResolved,
        Self::ConnectFailed,
        Self::ConnectTimeout,
    ];

    /// Its word in logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Reset => "reset",
            Self::Idle => "idle",
            Self::Cut => "cut",
            Self::ClientLeft => "client_left",
            Self::HelloMalformed => "hello_malformed",
            Self::HelloTimeout => "hello_timeout",
            Self::NameUnknown => "name_unknown",
            Self::UpstreamOverloaded => "upstream_overloaded",
            Self::NoHealthyEndpoint => "no_healthy_endpoint",
            Self::NameNotResolved => "name_not_resolved",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
        }
    }

    /// Of a connection that found no upstream for the reason that `code` names.
    pub fn of(code: &'static Code) -> Self {
        [
            (&codes::UPSTREAM_OVERLOADED, Self::UpstreamOverloaded),
            (&codes::NO_HEALTHY_ENDPOINT, Self::NoHealthyEndpoint),
            (&codes::NAME_NOT_RESOLVED, Self::NameNotResolved),
            (&codes::CONNECT_TIMEOUT, Self::ConnectTimeout),
        ]
        .into_iter()
        .find_map(|(known, outcome)| (*known == *code).then_some(outcome))
        .unwrap_or(Self::ConnectFailed)
    }

    /// Whether the upstream is at fault, or whoever runs it.
    const fn is_of_upstream(self) -> bool {
        matches!(
            self,
            Self::UpstreamOverloaded
                | Self::NoHealthyEndpoint
                | Self::NameNotResolved
                | Self::ConnectFailed
                | Self::ConnectTimeout
        )
    }
}

/// A connection on its way. Told of when dropped, whatever ends it.
pub(super) struct Record {
    core: Rc<Core>,
    door: Rc<Door>,
    peer: Option<SocketAddr>,
    began: Instant,
    /// The name asked for.
    pub name: Option<Arc<str>>,
    /// Where it was to go.
    pub way: Way,
    /// More, for operators.
    pub note: Option<Box<str>>,
    /// How it ended.
    pub outcome: Outcome,
    up: u64,
    down: u64,
}

impl Record {
    /// A connection that begins now.
    pub fn new(core: &Rc<Core>, door: &Rc<Door>, peer: Option<SocketAddr>) -> Self {
        Self {
            core: core.clone(),
            door: door.clone(),
            peer,
            began: core.timers.now(),
            name: None,
            way: Way::default(),
            note: None,
            outcome: Outcome::Cut,
            up: 0,
            down: 0,
        }
    }

    /// These bytes went to the upstream, and these to the client.
    pub fn moved(&mut self, up: u64, down: u64) {
        self.up += up;
        self.down += down;
        self.door.series.passed(self.core.number, up, down);
    }

    fn line(&self, running: &Running) {
        let second = self.core.clock.wall().as_secs();
        let Some(untold) = running.observed.relay_line(self.core.number, second) else { return };
        let listener = self.door.listener();
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    target: "gateward::relay",
                    listener = &*listener.name,
                    client = self.peer.map(tracing::field::display),
                    server_name = self.name.as_deref(),
                    upstream = self.way.upstream.as_deref(),
                    endpoint = self.way.endpoint.as_deref(),
                    tries = self.way.tries,
                    outcome = self.outcome.word(),
                    bytes_up = self.up,
                    bytes_down = self.down,
                    seconds = self.core.timers.now().since(self.began).as_secs_f64(),
                    note = self.note.as_deref(),
                    untold = (untold > 0).then_some(untold),
                    "connection over"
                )
            };
        }
        if self.outcome.is_of_upstream() { say!(warn) } else { say!(info) }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.door.series.ended(self.core.number, self.outcome);
        self.line(&self.core.running());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_numbered_in_their_order_and_none_is_called_as_another() {
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
            let same = Outcome::ALL.iter().filter(|other| other.word() == outcome.word()).count();
            assert_eq!(same, 1, "{outcome:?}");
        }
    }

    #[test]
    fn every_reason_not_to_connect_is_an_outcome_of_the_same_word() {
        for code in [
            &codes::UPSTREAM_OVERLOADED,
            &codes::NO_HEALTHY_ENDPOINT,
            &codes::NAME_NOT_RESOLVED,
            &codes::CONNECT_FAILED,
            &codes::CONNECT_TIMEOUT,
        ] {
            assert_eq!(Outcome::of(code).word(), code.name);
        }
    }
}
