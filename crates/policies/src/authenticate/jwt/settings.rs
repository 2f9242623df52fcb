//! The settings, as they are written.

use base::Span;
use config::v1::UpstreamTls;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::jose::Algorithm;

/// Whose tokens are taken, and what they have to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Jwt")]
pub(super) struct Settings {
    /// Whose tokens are taken. A token's `iss` tells whose it is.
    pub(super) issuers: Vec<Issuer>,
    /// Where tokens are looked for: `authorization` (the field of that name with `Bearer`) unless
    /// said. A request may show one token alone.
    #[serde(default)]
    pub(super) from: Vec<From>,
    /// Whether the upstream gets the token too. Otherwise it is taken out of the request.
    #[serde(default)]
    pub(super) keep: bool,
    /// The protection space that `WWW-Authenticate` names.
    #[serde(default)]
    pub(super) realm: Option<String>,
    /// Header fields that tell the upstream what a claim says: field, place of the claim. The
    /// gateway removes what callers send under these names.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Which tokens may be shown by anyone who has them.
    #[serde(default)]
    pub(super) bound: Bound,
    /// How proofs of possession are checked (RFC 9449).
    #[serde(default)]
    pub(super) dpop: Dpop,
    /// Verified tokens kept in memory, so that they need not be verified again.
    #[serde(default = "cached")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(super) cache: u32,
}

const fn cached() -> u32 {
    10_000
}

/// An issuer of tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JwtIssuer")]
pub(super) struct Issuer {
    /// What its tokens have as `iss`, letter by letter. One issuer with `keys` in the document may
    /// do without: it gets the tokens that name none.
    #[serde(default)]
    pub(super) issuer: Option<String>,
    /// Where its keys are; what its metadata says (OpenID Connect Discovery) unless given.
    #[serde(default)]
    pub(super) keys: Option<Keys>,
    /// The algorithms that are taken; all with public keys unless given. A key that names none has
    /// the first of these that fits it.
    #[serde(default)]
    pub(super) algorithms: Vec<Algorithm>,
    /// Whom tokens must be for: one of these.
    #[serde(default)]
    pub(super) audiences: Vec<String>,
    /// Whether tokens must be for all of `audiences`.
    #[serde(default)]
    pub(super) all_audiences: bool,
    /// Whether tokens for anyone are taken: any API's token then opens this one.
    #[serde(default)]
    pub(super) any_audience: bool,
    /// How far the issuer's clock and the gateway's may differ.
    #[serde(default = "leeway")]
    pub(super) leeway: Span,
    /// How long after it was issued a token is taken, whatever its `exp`.
    #[serde(default)]
    pub(super) max_age: Option<Span>,
    /// Whether tokens must say when they end.
    #[serde(default = "yes")]
    pub(super) require_expiry: bool,
    /// Which kinds of token are taken, by their `typ`.
    #[serde(default, rename = "type")]
    pub(super) kind: Kind,
    /// Claims that tokens must have.
    #[serde(default)]
    pub(super) claims: Vec<Claim>,
    /// The claim that names an application of the document, as `client_id` or `azp`. Without it
    /// callers are known by their token alone.
    #[serde(default)]
    pub(super) application: Option<String>,
    /// Whether tokens that name no such application are refused.
    #[serde(default)]
    pub(super) known_applications: bool,
    /// The claim with the scopes; `scope`, or else `scp`, unless given.
    #[serde(default)]
    pub(super) scopes: Option<String>,
    /// The claim with groups or roles, as `realm_access.roles`; none unless given.
    #[serde(default)]
    pub(super) groups: Option<String>,
    /// How often its keys are fetched.
    #[serde(default = "refresh")]
    pub(super) refresh: Span,
    /// How old its keys may be when they can't be fetched; older ones are not used.
    #[serde(default = "stale")]
    pub(super) max_stale: Span,
    /// Whom to trust where its metadata and keys are fetched.
    #[serde(default)]
    pub(super) tls: UpstreamTls,
}

const fn leeway() -> Span {
    Span::secs(60)
}

const fn yes() -> bool {
    true
}

const fn refresh() -> Span {
    Span::secs(300)
}

const fn stale() -> Span {
    Span::secs(3600)
}

/// Where keys are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JwtKeys")]
pub(super) enum Keys {
    /// A JWK Set at this URL.
    Url(String),
    /// A file with a JWK Set, or public keys or certificates in PEM.
    File(String),
    /// The same, in the document.
    Text(String),
    /// A secret that the issuer knows too, for the algorithms `HS256`, `HS384` and `HS512`.
    Secret(String),
}

/// Where a token is looked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JwtFrom")]
pub(super) enum From {
    /// `Authorization: Bearer`, and `Authorization: DPoP` for tokens with a proof.
    Authorization,
    /// This header field, with or without `Bearer`.
    Header(String),
    /// This cookie.
    Cookie(String),
    /// This parameter of the query. Headers are better: queries end up in many logs.
    Query(String),
}

/// A claim that tokens must have.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JwtClaim")]
pub(super) struct Claim {
    /// Its place: `tenant`, `realm_access.roles`, or a JSON Pointer.
    pub(super) claim: String,
    /// Values one of which it must have, or have in it where it is a list.
    #[serde(default)]
    pub(super) any: Vec<Value>,
    /// Values that it must all have in it.
    #[serde(default)]
    pub(super) all: Vec<Value>,
}

/// Kinds of tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JwtKind")]
pub(super) enum Kind {
    /// `JWT`, `at+jwt`, or none said; no kind that is made for something else.
    #[default]
    Any,
    /// `at+jwt` with all that RFC 9068 requires.
    AccessToken,
}

/// What a token must be bound to. One that says it is bound is never taken without.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JwtBound")]
pub(super) enum Bound {
    /// Whatever it says, nothing if it says nothing.
    #[default]
    AsIssued,
    /// A client certificate or a DPoP key.
    Any,
    /// A client certificate (RFC 8705).
    Certificate,
    /// A DPoP key (RFC 9449).
    Dpop,
}

/// How proofs of possession are checked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "JwtDpop")]
pub(super) struct Dpop {
    /// How old a proof may be. Proofs are kept in memory so long, so that none is taken twice.
    pub(super) age: Span,
    /// Whether proofs must have a nonce of the gateway's.
    pub(super) nonce: bool,
    /// The scheme and host that callers use, where that is not what the gateway sees, as
    /// `https://api.example.com`.
    pub(super) origin: Option<String>,
}

impl Default for Dpop {
    fn default() -> Self {
        Self { age: Span::secs(60), nonce: false, origin: None }
    }
}
