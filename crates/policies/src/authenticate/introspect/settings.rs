//! The settings of `introspect`, and what may be wrong with them.

use std::sync::Mutex;

use base::{Pointer, Problem, Problems, Secret, Span};
use config::v1::UpstreamTls;
use policy::Compile;
use policy::message::{Known, Name};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Expected;
use super::provider::{Client, Discovery, Endpoint, Proof, Provider};
use super::token::Place;
use crate::asked::{Answers, Keyed, url};
use crate::jose::SigningKey;

/// Most bytes of a key's file.
const KEY_BYTES: u64 = 64 << 10;

/// Which authorization server is asked, how, and where tokens stand. One of `endpoint` and
/// `issuer`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Introspect")]
pub(super) struct Settings {
    /// The URL of the introspection endpoint.
    endpoint: Option<String>,
    /// The issuer, whose metadata name the endpoint; a token's `iss`, where the server says it,
    /// must be the same.
    issuer: Option<String>,
    /// As whom the server is asked.
    client: Option<WrittenClient>,
    /// Whom a token must be for (`aud`), one of these; anybody where there are none.
    audiences: Vec<String>,
    /// The header field whose whole value is the token, in place of `Authorization: Bearer`.
    header: Option<String>,
    /// The query parameter that is the token, in place of `Authorization: Bearer`. Headers are
    /// better: queries end up in many logs.
    query: Option<String>,
    /// Whether the upstream gets the token too.
    pub(super) forward: bool,
    /// What is remembered.
    pub(super) cache: Cache,
    /// Time the server has to answer.
    timeout: Span,
    /// TLS towards the server.
    tls: UpstreamTls,
}

/// As whom the server is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IntrospectClient")]
struct WrittenClient {
    /// The client's id there.
    id: String,
    /// The client's secret, for `auth: basic` and `post`.
    #[serde(default)]
    secret: Option<Secret>,
    /// How the client proves itself.
    #[serde(default)]
    auth: Auth,
    /// PEM file of the private key, for `auth: private_key_jwt`.
    #[serde(default)]
    key: Option<String>,
    /// The key's id at the server; the key's thumbprint (RFC 7638) unless this is given.
    #[serde(default)]
    key_id: Option<String>,
}

/// How a client proves itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "IntrospectAuth")]
enum Auth {
    /// The secret in HTTP Basic.
    #[default]
    Basic,
    /// The secret in the body.
    Post,
    /// An assertion signed by `key`.
    PrivateKeyJwt,
    /// The certificate of `tls`.
    Tls,
}

/// What is remembered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "IntrospectCache")]
pub(super) struct Cache {
    /// How long an active token is let in without asking again; so long a withdrawn one may still
    /// be good.
    pub(super) ttl: Span,
    /// How long a token that is not active is refused without asking again.
    pub(super) refused: Span,
    /// Most active tokens remembered; of others a fourth of that.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) entries: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: None,
            issuer: None,
            client: None,
            audiences: Vec::new(),
            header: None,
            query: None,
            forward: true,
            cache: Cache::default(),
            timeout: Span::secs(5),
            tls: UpstreamTls::default(),
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { ttl: Span::secs(60), refused: Span::secs(10), entries: 10_000 }
    }
}

impl Settings {
    /// Where tokens stand.
    pub(super) fn place(&self, at: &Pointer, problems: &mut Problems) -> Option<Place> {
        match (&self.header, &self.query) {
            (None, None) => Some(Place::Bearer),
            (Some(_), Some(_)) => {
                let what = "a token stands in `header` or in `query`, not in both";
                problems.push(Problem::new(&at.key("query"), what).hint("remove one of them"));
                None
            }
            (Some(text), None) => {
                let plain = |name: &Name| Known::of(name.as_str().as_bytes()) == Known::Other;
                let name = Name::new(text).filter(plain);
                if name.is_none() {
                    let what = format!("`{text}` can't be the name of a token's header");
                    let hint = "use a name of its own, as in `x-access-token`; without `header`, it \
                                is `Authorization: Bearer`";
                    problems.push(Problem::new(&at.key("header"), what).hint(hint));
                }
                name.map(Place::Header)
            }
            (None, Some(text)) => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
                if text.is_empty() || !text.bytes().all(plain) {
                    let what = format!("`{text}` can't be a query parameter's name here");
                    let hint = "use letters, digits, `-`, `_` and `.`, as in `access_token`";
                    problems.push(Problem::new(&at.key("query"), what).hint(hint));
                }
                Some(Place::Query(text.clone()))
            }
        }
    }

    /// The server.
    pub(super) fn provider(
        &self,
        at: &Pointer,
        cx: &Compile<'_>,
        problems: &mut Problems,
    ) -> Option<Provider> {
        let issuer = self.issuer.as_ref().and_then(|it| url(it, &at.key("issuer"), problems));
        let endpoint = self.endpoint.as_ref().map(|it| url(it, &at.key("endpoint"), problems));
        if self.endpoint.is_none() && self.issuer.is_none() {
            let what = "whom to ask is not said";
            let hint = "write `endpoint: https://…`, or `issuer: https://…` for its metadata";
            problems.push(Problem::new(at, what).hint(hint));
        }
        if !(1..=1_000_000).contains(&self.cache.entries) {
            let what = format!("{} tokens can't be remembered", self.cache.entries);
            let at = at.key("cache").key("entries");
            problems.push(Problem::new(&at, what).hint("write 1 to 1000000"));
        }
        let client = self.client.as_ref();
        let client = client.map(|client| client.read(&at.key("client"), &self.tls, cx, problems));
        let remote = cx.world.remote(&self.tls, &at.key("tls"));
        let remote = remote.map_err(|wrong| problems.extend(wrong)).ok()?;
        let endpoint = match (endpoint, &issuer) {
            (Some(fixed), _) => Endpoint::Fixed(fixed?),
            (None, Some(issuer)) => Endpoint::Discovered(discovery(issuer, &self.tls, cx)),
            (None, None) => return None,
        };
        let client = match client {
            Some(client) => Some(client?),
            None => None,
        };
        let expected = Expected { audiences: self.audiences.clone(), issuer };
        Some(Provider { remote, endpoint, client, within: self.timeout.get(), expected })
    }
}

/// What was found of this issuer before counts on.
fn discovery(issuer: &str, tls: &UpstreamTls, cx: &Compile<'_>) -> Discovery {
    let mut key = Keyed::new();
    key.add(issuer.as_bytes());
    key.add(format!("{tls:?}").as_bytes());
    let key = format!("{} metadata {}", cx.id, crate::jose::encode(key.finish()));
    let found = cx.carry.keep(&key, || Answers::new(1));
    Discovery { issuer: issuer.to_owned(), found, last: Mutex::default() }
}

impl WrittenClient {
    fn read(
        &self,
        at: &Pointer,
        tls: &UpstreamTls,
        cx: &Compile<'_>,
        problems: &mut Problems,
    ) -> Option<Client> {
        let mut wrong = |at: &Pointer, what: &str, hint: &str| {
            problems.push(Problem::new(at, what).hint(hint));
        };
        let unused = match self.auth {
            Auth::Basic | Auth::Post => self.key.as_ref().map(|_| "key"),
            Auth::PrivateKeyJwt | Auth::Tls => self.secret.as_ref().map(|_| "secret"),
        };
        if let Some(unused) = unused {
            let what = "this `auth` makes no use of it";
            wrong(&at.key(unused), what, "remove it, or change `auth`");
        }
        let secret = || self.secret.clone().filter(|secret| !secret.expose().is_empty());
        let proof = match self.auth {
            Auth::Basic => secret().map(Proof::Basic),
            Auth::Post => secret().map(Proof::Post),
            Auth::Tls if tls.certificate.is_some() => Some(Proof::Certificate),
            Auth::PrivateKeyJwt => {
                let Some(file) = &self.key else {
                    let what = "there is no key to sign with";
                    wrong(at, what, "write `key: client.pem`");
                    return None;
                };
                let at = at.key("key");
                let pem = cx.world.read(file, "private key", KEY_BYTES, &at);
                let pem = pem.map_err(|problem| problems.push(problem)).ok()?;
                let key = SigningKey::from_pem(&pem, None).map_err(|what| {
                    let hint = "write the name of a PEM file with the client's private key";
                    problems.push(Problem::new(&at, format!("`{file}`: {what}")).hint(hint));
                });
                let named = |key: SigningKey| match &self.key_id {
                    Some(id) => key.named(id.clone()),
                    None => key,
                };
                return Some(Client {
                    id: self.id.clone(),
                    proof: Proof::Assertion(Box::new(named(key.ok()?))),
                });
            }
            Auth::Tls => None,
        };
        if proof.is_none() {
            let (what, hint) = match self.auth {
                Auth::Tls => ("`auth: tls` needs a certificate", "write `tls: { certificate: … }`"),
                _ => ("there is no secret to show", "write `secret: ${env:IDP_SECRET}`"),
            };
            wrong(at, what, hint);
        }
        Some(Client { id: self.id.clone(), proof: proof? })
    }
}
