use base::{ByteSize, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;

/// Bounds of the whole instance; those of a listener stand at the listener.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceLimits {
    /// Connections at once over all listeners. Unless said: as many as a listener may have, but no
    /// more than half the file descriptors less 64, and one per 64 KiB of the memory budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Connections at once from one peer: an IPv4 address, an IPv6 network of 64 bits. Proxies in
    /// front that a listener trusts (`proxy_protocol`, `client_address`) may have any number.
    pub connections_per_address: u32,
    /// Memory the instance may use. Near it, work is turned away in steps. Unless said, a share of
    /// what the control group or the machine has: `memory_percent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// TLS handshakes a core works on before it turns to what else is ready.
    pub tls_handshakes: u32,
    /// Time what is ready may wait for a core; requests above it are turned away, more the longer
    /// it is.
    pub queue_time: Span,
}

impl Default for InstanceLimits {
    fn default() -> Self {
        Self {
            connections: None,
            connections_per_address: defaults::connections_per_address(),
            memory: None,
            tls_handshakes: defaults::tls_handshakes(),
            queue_time: defaults::queue_time(),
        }
    }
}

/// Which requests are turned away first when there is too much to do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// First.
    Low,
    /// After those of low priority.
    #[default]
    Normal,
    /// Last.
    High,
}
