use base::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;

/// Active health checks. The first check decides the start.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// What a check does.
    pub kind: HealthKind,
    /// The path asked, for `http`.
    pub path: String,
    /// The `Host` sent, for `http`; the endpoint's own unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Statuses that pass, for `http`.
    pub expect: Vec<String>,
    /// The service asked for, for `grpc`; the whole server unless said.
    pub service: String,
    /// Time between checks.
    pub interval: Span,
    /// Time a check may take.
    pub timeout: Span,
    /// Failures in a row until unhealthy.
    pub fall: u32,
    /// Passes in a row until healthy.
    pub rise: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            kind: HealthKind::Http,
            path: defaults::health_path(),
            host: None,
            expect: defaults::health_expect(),
            service: String::new(),
            interval: defaults::health_interval(),
            timeout: defaults::health_timeout(),
            fall: defaults::health_fall(),
            rise: defaults::health_rise(),
        }
    }
}

/// What a health check does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthKind {
    /// GET a path, look at the status.
    #[default]
    Http,
    /// Connect (and shake hands, with TLS).
    Tcp,
    /// Ask `grpc.health.v1.Health/Check`.
    Grpc,
}

/// Ejection of endpoints that fail live traffic.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outlier {
    /// Whether it happens.
    pub enabled: bool,
    /// Failures in a row that eject: 502, 503, 504, or no answer (counted apart).
    pub consecutive: u32,
    /// First ejection.
    pub base: Span,
    /// Longest ejection.
    pub max: Span,
    /// Most endpoints ejected at once.
    #[schemars(range(max = 100))]
    pub max_percent: u8,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            enabled: defaults::outlier_enabled(),
            consecutive: defaults::outlier_consecutive(),
            base: defaults::outlier_base(),
            max: defaults::outlier_max(),
            max_percent: defaults::outlier_max_percent(),
        }
    }
}
