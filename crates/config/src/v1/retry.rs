use base::{ByteSize, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;

/// What is tried again. A request no byte of which was sent may be, whatever its method; otherwise
/// only idempotent methods, with the whole body at hand and no byte of a response passed on.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Further tries after the first; 0 turns retries off.
    #[schemars(range(max = 10))]
    pub attempts: u32,
    /// What counts as failed.
    pub causes: Vec<RetryOn>,
    /// Time a try may take until its response starts; must be shorter than the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<Span>,
    /// First wait; full jitter, doubled each time.
    pub backoff: Span,
    /// Longest wait.
    pub backoff_max: Span,
    /// Longest body kept for another try.
    pub body: ByteSize,
    /// Retries in percent of requests, over 10 s.
    #[schemars(range(max = 100))]
    pub budget_percent: u8,
    /// Retries each second whatever the traffic.
    pub budget_floor: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: defaults::retry_attempts(),
            causes: vec![RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Refused],
            per_try_timeout: None,
            backoff: defaults::retry_backoff(),
            backoff_max: defaults::retry_backoff_max(),
            body: defaults::retry_body(),
            budget_percent: defaults::retry_budget_percent(),
            budget_floor: defaults::retry_budget_floor(),
        }
    }
}

/// A kind of failure that may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// No connection, or none in time.
    ConnectFailure,
    /// The connection broke before a response.
    Reset,
    /// HTTP/2 said the request was not processed (REFUSED_STREAM, GOAWAY).
    Refused,
    /// The try took longer than `per_try_timeout` or the first byte's time.
    Timeout,
    /// The answer was 502, 503 or 504.
    GatewayError,
    /// The answer was any 5xx.
    ServerError,
}
