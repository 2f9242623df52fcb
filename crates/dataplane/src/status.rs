//! How an instance is doing, for `/status`, `/metrics` and whoever asks.

use serde::Serialize;

/// How an upstream is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Whether so few endpoints are healthy that health is not believed and all are used.
    pub panic: bool,
    /// Requests running, all cores together.
    pub running: u64,
    /// Requests that wait for a connection.
    pub pending: u64,
    /// Connections, busy or idle.
    pub connections: u64,
    /// Requests refused because its breaker had too much already, since it was added.
    pub refused: u64,
    /// What its breaker does.
    pub breaker: BreakerState,
    /// How often its breaker opened, since it was added.
    pub breaker_opened: u64,
    /// Requests refused because its breaker was not closed, since it was added.
    pub breaker_refused: u64,
    /// Retries not made because their budget was used up, since it was added.
    pub retries_refused: u64,
    /// Its endpoints; one line per address.
    pub endpoints: Vec<EndpointStatus>,
}

/// What an upstream's breaker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Lets all requests through.
    #[default]
    Closed,
    /// Lets none through: most failed.
    Open,
    /// Lets one through, to see.
    HalfOpen,
    /// Lets a growing share through: the one went well.
    Ramping,
}

impl BreakerState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::HalfOpen, Self::Ramping];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Ramping => "ramping",
        }
    }
}

/// How an endpoint is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EndpointStatus {
    /// Its URL, as written.
    pub endpoint: String,
    /// The address it is called at; none while its name has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether its health checks pass, or none are made.
    pub healthy: bool,
    /// Whether live traffic has ejected it for now.
    pub ejected: bool,
    /// Why it is out, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Tries and health checks that failed since it was added.
    pub failures: u64,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Requests running there.
    pub active: u64,
    /// Connections open to it, idle ones included.
    pub connections: u64,
    /// Connections kept that no request uses.
    pub idle: u64,
}
