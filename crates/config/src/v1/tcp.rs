use base::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{HostPattern, UpstreamRef};
use super::defaults;

/// Raw TCP: every connection is passed on to an upstream, its bytes unopened.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTcp {
    /// Where connections go: an upstream with `tcp://` endpoints, directly such a URL, or several
    /// by weight.
    pub upstream: UpstreamRef,
    /// Time without a byte either way after which a connection ends.
    #[serde(default = "defaults::tcp_idle_timeout")]
    pub idle_timeout: Span,
    /// Tell the upstream the client's address: a PROXY protocol header (v2) goes before the first
    /// byte.
    #[serde(default)]
    pub send_proxy_protocol: bool,
}

/// TLS passed on unopened: the name a client asks for (SNI) says where its connection goes.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsPassthrough {
    /// Names, and where connections for them go. An exact name goes before a wildcard, a longer
    /// wildcard before a shorter one.
    #[serde(default)]
    pub routes: Vec<ServerNameRoute>,
    /// Where connections for other names go, and those that name none. Not said: they are closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<UpstreamRef>,
    /// Time without a byte either way after which a connection ends.
    #[serde(default = "defaults::tcp_idle_timeout")]
    pub idle_timeout: Span,
    /// Tell the upstream the client's address: a PROXY protocol header (v2) goes before the first
    /// byte.
    #[serde(default)]
    pub send_proxy_protocol: bool,
}

/// Where TLS for some names goes.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerNameRoute {
    /// Names as clients send them: exact, or `*.` and a suffix that stands for one or more labels.
    pub names: Vec<HostPattern>,
    /// Where their connections go: an upstream with `tcp://` endpoints, directly such a URL, or
    /// several by weight.
    pub upstream: UpstreamRef,
}
