use std::collections::BTreeMap;

use base::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The contract of an API: its OpenAPI document's file, or that and how it is held to.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ContractUse {
    /// The file.
    File(String),
    /// The file, and more.
    Full(Box<Contract>),
}

impl ContractUse {
    /// The long form.
    pub fn full(&self) -> Contract {
        match self {
            Self::File(file) => Contract::of(file.clone()),
            Self::Full(contract) => (**contract).clone(),
        }
    }
}

/// An API's OpenAPI document, and how callers and the upstream are held to it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The OpenAPI document, of 3.1, 3.0 or 2.0, as YAML or JSON. Its paths are below the API's.
    pub file: String,
    /// Files that stand for what is elsewhere, by the URI in a `$ref`. What is beside the document
    /// is read; nothing is fetched.
    #[serde(default)]
    pub references: BTreeMap<String, String>,
    /// What becomes of a request that its operation does not take.
    #[serde(default)]
    pub mode: Strictness,
    /// What becomes of requests for what the contract does not have.
    #[serde(default)]
    pub unknown_operations: Unknown,
    /// What becomes of query parameters that the operation does not have.
    #[serde(default)]
    pub unknown_parameters: Unknown,
    /// Whether `format` is held to: dates, addresses, URIs and the like.
    #[serde(default = "yes")]
    pub formats: bool,
    /// What becomes of patterns that can't be matched in linear time.
    #[serde(default)]
    pub hard_patterns: HardPatterns,
    /// Most bytes of a body that is looked into, all of which is held back until it is known to
    /// fit; a longer one is refused.
    #[serde(default = "max")]
    #[schemars(default = "max")]
    pub max: ByteSize,
    /// Most violations that a caller is told of; 0 tells none.
    #[serde(default = "errors")]
    #[schemars(range(max = 100))]
    pub errors: usize,
    /// Looks at responses too; they are not looked at unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responses: Option<ContractResponses>,
}

impl Contract {
    /// With nothing said but the file.
    pub fn of(file: String) -> Self {
        Self {
            file,
            references: BTreeMap::new(),
            mode: Strictness::default(),
            unknown_operations: Unknown::default(),
            unknown_parameters: Unknown::default(),
            formats: yes(),
            hard_patterns: HardPatterns::default(),
            max: max(),
            errors: errors(),
            responses: None,
        }
    }
}

/// How the upstream is held to the contract.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContractResponses {
    /// What becomes of a response that the contract does not have.
    pub mode: Strictness,
    /// The share of them that is looked at, in percent.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub percent: f64,
    /// Most bytes of a body that is looked into; of a longer one only status and header fields are.
    pub max: ByteSize,
}

impl Default for ContractResponses {
    fn default() -> Self {
        Self { mode: Strictness::Report, percent: 100.0, max: max() }
    }
}

/// What becomes of what is not as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes; the access log's `note` says what is wrong with it.
    Report,
}

/// What becomes of what nothing is said of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes; the access log's `note` tells of it.
    Report,
    /// It passes.
    Pass,
}

/// What becomes of patterns that can't be matched in linear time: those that look around or back,
/// and those in the syntax of another engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HardPatterns {
    /// The document is refused.
    #[default]
    Refuse,
    /// They are left out: any text fits where they stand.
    Ignore,
}

fn yes() -> bool {
    true
}

const fn max() -> ByteSize {
    ByteSize(256 << 10)
}

const fn errors() -> usize {
    10
}
