//! The settings.

use base::{ByteSize, Secret, Span};
use config::v1::UpstreamTls;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::token::Method;

/// The gateway's own credential. One of them is given.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "UpstreamAuth")]
pub(super) struct Settings {
    /// A name and a password.
    pub basic: Option<WrittenBasic>,
    /// A token, as it stands.
    pub bearer: Option<Secret>,
    /// A field of your own.
    pub header: Option<WrittenPair>,
    /// A parameter of the query. It ends up in the upstream's logs.
    pub query: Option<WrittenPair>,
    /// A token from an authorization server, by client credentials.
    pub oauth2: Option<WrittenClient>,
    /// A token that the caller's is exchanged for.
    pub exchange: Option<WrittenExchange>,
    /// A token that the gateway signs itself.
    pub jwt: Option<WrittenJwt>,
    /// A signature for Amazon's services.
    pub aws: Option<WrittenAws>,
}

/// A name and a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthBasic")]
pub(super) struct WrittenBasic {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A name and a secret value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthPair")]
pub(super) struct WrittenPair {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Secret,
}

/// The gateway as a client of an authorization server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthClient")]
pub(super) struct WrittenClient {
    /// The server's token endpoint.
    pub token_url: String,
    /// Who the gateway is there.
    pub client_id: String,
    /// What it proves that with.
    pub client_secret: Secret,
    /// How it does: `basic` in a header field, `post` in the body.
    #[serde(default)]
    pub method: Method,
    /// What the token is to be used for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whom it is to be shown to, where the server wants to know.
    pub audience: Option<String>,
    /// Where it is to be used, where the server wants to know (RFC 8707).
    pub resource: Option<String>,
    /// How long an answer is waited for.
    #[serde(default = "within")]
    pub timeout: Span,
    /// How the server's certificate is verified.
    #[serde(default)]
    pub tls: UpstreamTls,
}

const fn within() -> Span {
    Span::secs(5)
}

/// How callers' tokens are exchanged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthExchange")]
pub(super) struct WrittenExchange {
    /// Who exchanges them, and for what.
    pub client: WrittenClient,
    /// The type of the callers' tokens.
    #[serde(default = "access_token")]
    pub subject_token_type: String,
    /// The type of token that is wanted, where the server wants to know.
    pub requested_token_type: Option<String>,
    /// Tokens kept at most.
    #[serde(default = "entries")]
    pub entries: u32,
}

fn access_token() -> String {
    "urn:ietf:params:oauth:token-type:access_token".to_owned()
}

const fn entries() -> u32 {
    10_000
}

/// A token that the gateway signs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthJwt")]
pub(super) struct WrittenJwt {
    /// The private key, as PEM: `${file:path}`.
    pub key: Secret,
    /// The algorithm; what fits the key unless said.
    pub algorithm: Option<String>,
    /// The key's id, for the token's `kid`.
    pub key_id: Option<String>,
    /// Who signs: `iss`.
    pub issuer: String,
    /// Whom it speaks of: `sub`. The caller, or the issuer where nobody is known, unless said.
    pub subject: Option<String>,
    /// Whom it is for: `aud`.
    pub audience: String,
    /// How long it lasts; at most 1h.
    #[serde(default = "ttl")]
    pub ttl: Span,
    /// Further claims.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

const fn ttl() -> Span {
    Span::secs(300)
}

/// A signature for Amazon's services.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthAws")]
pub(super) struct WrittenAws {
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret of the access key.
    pub secret_access_key: Secret,
    /// The session's token, for access keys that end.
    pub session_token: Option<Secret>,
    /// As `eu-central-1`.
    pub region: String,
    /// As `execute-api`, `s3` or `lambda`.
    pub service: String,
    /// The longest body that is held back to be signed; 0 leaves bodies unsigned.
    #[serde(default = "signed_body")]
    pub body: ByteSize,
}

const fn signed_body() -> ByteSize {
    ByteSize(1 << 20)
}
