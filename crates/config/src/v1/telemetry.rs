use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;

/// What is sent to others about the traffic. Metrics are always at the admin listener; logs are a
/// policy (`access_log`).
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Traces. None are made unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<Traces>,
}

/// OpenTelemetry traces, with W3C Trace Context.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// The OTLP/HTTP collector, as in `http://127.0.0.1:4318/v1/traces`.
    pub otlp: String,
    /// Share of requests traced when the caller has not decided, 0 to 1. A caller's decision is
    /// kept.
    #[serde(default = "defaults::trace_sample")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
    /// The service name.
    #[serde(default = "defaults::trace_service")]
    pub service: String,
}
