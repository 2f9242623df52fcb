use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a caller is: a program that calls APIs for an organization.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name; unique.
    pub name: String,
    /// The organization it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
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

/// An API key. Only its SHA-256 is kept: `printf %s KEY | sha256sum`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// What this key is called in logs; its number unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The SHA-256 of the key, 64 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub sha256: String,
}
