use base::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PolicyUse, defaults};

/// What an application that subscribes to it may call.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name; unique.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The APIs in it.
    #[schemars(length(min = 1))]
    pub apis: Vec<PlanApi>,
    /// Whether its subscriptions count.
    #[serde(default = "defaults::enabled")]
    pub enabled: bool,
    /// What limits its subscribers, wherever they call by it: policies of the phase `limit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyUse>,
}

/// An API of a plan: its name, which means all of it, or a part of it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PlanApi {
    /// The API's name: every version and route.
    Name(String),
    /// A part of an API.
    Part(PlanPart),
}

/// A part of an API.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanPart {
    /// The API's name.
    pub api: String,
    /// The version; every one unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Names of routes; every one unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Methods; every one unless said. `GET` has `HEAD` in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
}

/// That an application has a plan.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The application's name.
    pub application: String,
    /// The plan's name.
    pub plan: String,
    /// Whether it counts: false while it waits for approval, or is suspended.
    #[serde(default = "defaults::enabled")]
    pub enabled: bool,
    /// When it ends; never unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// Files of what there is too much of for a document: hundreds of thousands of applications, say.
/// Each line is one item, in JSON, with the fields it would have in the document. The files are
/// watched like the document; paths are relative to it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongLists {
    /// Files of applications, which add to `applications`.
    #[serde(default)]
    pub applications: Vec<String>,
    /// Files of subscriptions, which add to `subscriptions`.
    #[serde(default)]
    pub subscriptions: Vec<String>,
}

impl LongLists {
    /// Whether it names no file.
    pub fn is_empty(&self) -> bool {
        self.applications.is_empty() && self.subscriptions.is_empty()
    }
}
