use base::{Secret, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where secrets come from that the document refers to and does not hold.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// The vault that `${vault:mount/path#field}` is read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<Vault>,
}

/// A HashiCorp Vault or OpenBao, by its HTTP API. What is left out here is taken from the
/// environment, as Vault's own tools do.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vault {
    /// Its URL; `VAULT_ADDR` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The token to read with; `VAULT_TOKEN` unless this or `app_role` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// An AppRole to log in by, in place of a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_role: Option<AppRole>,
    /// The namespace; `VAULT_NAMESPACE` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// PEM file of the authorities to trust, in place of the system's; `VAULT_CACERT` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// How often it is looked whether a secret has changed.
    pub refresh: Span,
    /// Time it has to answer.
    pub timeout: Span,
}

/// An AppRole of a vault.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRole {
    /// The role's id.
    pub role_id: Secret,
    /// The secret id.
    pub secret_id: Secret,
    /// Where the auth method is mounted.
    #[serde(default = "approle")]
    pub mount: String,
}

fn approle() -> String {
    "approle".into()
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            address: None,
            token: None,
            app_role: None,
            namespace: None,
            ca: None,
            refresh: Span::secs(300),
            timeout: Span::secs(5),
        }
    }
}
