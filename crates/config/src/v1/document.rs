use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Api, Application, InstanceLimits, Listener, LongLists, Organization, Plan, PolicyUse, Secrets,
    Subscription, Telemetry, Upstream,
};

/// A Gateward document: everything one instance serves.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of this format. Always 1.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// The addresses to accept on.
    #[serde(default)]
    pub listeners: Vec<Listener>,
    /// Health, metrics and status, for operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// Bounds of the whole instance.
    #[serde(default)]
    pub limits: InstanceLimits,
    /// The back ends the APIs call, by name.
    #[serde(default)]
    pub upstreams: Vec<Upstream>,
    /// The APIs that callers see.
    #[serde(default)]
    pub apis: Vec<Api>,
    /// Policies for every API of the document, and for requests that no API answers.
    #[serde(default)]
    pub policies: Vec<PolicyUse>,
    /// Whom applications belong to. Where it is written, applications name one of these.
    #[serde(default)]
    pub organizations: Vec<Organization>,
    /// Who may call: applications and the keys they prove themselves with.
    #[serde(default)]
    pub applications: Vec<Application>,
    /// What applications may subscribe to.
    #[serde(default)]
    pub plans: Vec<Plan>,
    /// Which application has which plan.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
    /// Files of applications and subscriptions, where there are too many for a document.
    #[serde(default, skip_serializing_if = "LongLists::is_empty")]
    pub long_lists: LongLists,
    /// Where secrets come from that the document refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Where traces go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
}

/// The admin listener.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Where to listen, as `address:port` or `unix:/path`. Loopback unless said otherwise.
    #[serde(default = "super::defaults::admin_bind")]
    pub bind: String,
}
