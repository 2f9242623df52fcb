use std::collections::BTreeMap;

use base::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;

/// Whom applications belong to.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// Its name; unique.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Whether its applications may call.
    #[serde(default = "defaults::enabled")]
    pub enabled: bool,
    /// Labels that its applications have, too, where they have none of the same name.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a caller is: a program that calls APIs for an organization.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name; unique.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The organization it belongs to. Where the document has `organizations`, one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Whether it may call.
    #[serde(default = "defaults::enabled")]
    pub enabled: bool,
    /// The groups it is in, for policies that let in groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Its API keys; two or more while one is replaced by the next.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Anything policies and conditions may ask for, as `caller.labels`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// An API key. Only its SHA-256 is kept: `gateward key new` makes both, `printf %s KEY | sha256sum`
/// the hash of one there is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// What this key is called in logs; its number unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The SHA-256 of the key, 64 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub sha256: String,
    /// Whether it counts.
    #[serde(default = "defaults::enabled")]
    pub enabled: bool,
    /// When it begins to count; at once unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// When it ends; never unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// What it may be used for, for the `scope` policy and conditions.
    #[serde(default)]
    pub scopes: Vec<String>,
}
