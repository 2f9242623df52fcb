//! The settings, as they are written.

use std::collections::BTreeMap;

use base::{Secret, Span};
use config::v1::UpstreamTls;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where users log in, and how long that holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Oidc")]
pub(super) struct Settings {
    /// The provider, as its metadata and its tokens name it, letter by letter. Its metadata is
    /// looked for at `/.well-known/openid-configuration` behind it.
    pub(super) issuer: String,
    /// What the provider calls this client.
    pub(super) client_id: String,
    /// The client's secret; without one it is a public client, which PKCE alone protects.
    #[serde(default)]
    pub(super) client_secret: Option<Secret>,
    /// How the secret is sent.
    #[serde(default)]
    pub(super) client_auth: ClientAuth,
    /// Where the provider sends browsers back to: the whole URL, as it is registered there. Its
    /// path must be one of this API, and its host the one that browsers use.
    pub(super) redirect_uri: String,
    /// The path at which browsers log out; none unless given.
    #[serde(default)]
    pub(super) logout: Option<String>,
    /// The path to go to after a logout. Providers want its URL registered too.
    #[serde(default = "root")]
    pub(super) after_logout: String,
    /// What is asked for beside `openid`. With `offline_access` many providers give a refresh
    /// token.
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    /// Further parameters of the request to log in, as `prompt` or `audience`.
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, String>,
    /// What sessions are sealed with: texts of 32 random bytes or more, the same on each instance.
    /// The first seals; those behind it still open what they sealed, so that keys can be replaced.
    pub(super) keys: Vec<Secret>,
    /// The cookies.
    #[serde(default)]
    pub(super) cookie: Cookie,
    /// How long a session lasts in which nothing is asked for.
    #[serde(default = "idle")]
    pub(super) idle: Span,
    /// How long a session lasts at most.
    #[serde(default = "most")]
    pub(super) lifetime: Span,
    /// Whether the upstream gets the access token, in `Authorization: Bearer`.
    #[serde(default)]
    pub(super) forward_access_token: bool,
    /// The application of the document that users call for; none unless given.
    #[serde(default)]
    pub(super) application: Option<String>,
    /// The claim of the ID token with groups or roles, as `realm_access.roles`.
    #[serde(default)]
    pub(super) groups: Option<String>,
    /// How far the provider's clock and the gateway's may differ.
    #[serde(default = "leeway")]
    pub(super) leeway: Span,
    /// Time for an answer of the provider's when tokens are asked for.
    #[serde(default = "within")]
    pub(super) timeout: Span,
    /// Whom to trust where the provider is called.
    #[serde(default)]
    pub(super) tls: UpstreamTls,
}

/// How the client proves who it is at the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OidcClientAuth")]
pub(super) enum ClientAuth {
    /// In `Authorization: Basic` (`client_secret_basic`).
    #[default]
    Basic,
    /// In the body (`client_secret_post`).
    Post,
}

/// The cookies that hold sessions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "OidcCookie")]
pub(super) struct Cookie {
    /// What they are called. With `__Host-` before it, browsers take them from this host alone.
    pub(super) name: String,
    /// The path they are sent to.
    pub(super) path: String,
    /// The domain they are sent to; the host alone unless given.
    pub(super) domain: Option<String>,
    /// Whether they are sent over TLS alone. Turn it off for nothing but a laptop.
    pub(super) secure: bool,
}

impl Default for Cookie {
    fn default() -> Self {
        Self { name: "gateward".to_owned(), path: root(), domain: None, secure: true }
    }
}

fn root() -> String {
    "/".to_owned()
}

const fn idle() -> Span {
    Span::secs(3600)
}

const fn most() -> Span {
    Span::secs(12 * 3600)
}

const fn leeway() -> Span {
    Span::secs(60)
}

const fn within() -> Span {
    Span::secs(5)
}
