//! Shows the upstream a credential of the gateway's own.
//!
//! Callers prove who they are to the gateway; the gateway proves itself to the upstream. Its
//! credential is put onto the request after every other policy, for each try: nothing that a caller
//! or a policy puts there takes its place, and no log, no mirror and no other policy gets to see it.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - upstream_auth:
//!           oauth2:
//!             token_url: https://idp.example.com/oauth2/token
//!             client_id: gateway
//!             client_secret: "${env:CLIENT_SECRET:-example}"
//!             scopes: [ orders.read ]
//!   - name: legacy
//!     path: /legacy
//!     upstream: http://127.0.0.1:9002
//!     policies:
//!       - upstream_auth: { basic: { user: gateway, password: "${env:PASSWORD:-example}" } }
//! ```
//!
//! One of these is given:
//!
//! | | |
//! |---|---|
//! | `basic` | a name and a password |
//! | `bearer` | a token, as it stands |
//! | `header` | a field of your own |
//! | `query` | a parameter of the query |
//! | `oauth2` | a token from an authorization server, by client credentials (RFC 6749 §4.4) |
//! | `exchange` | a token that the caller's is exchanged for (RFC 8693) |
//! | `jwt` | a token that the gateway signs itself |
//! | `aws` | a signature for Amazon's services (Signature Version 4) |
//!
//! Tokens of `oauth2` are had once for all who wait for one, used until shortly before they end, and
//! fetched anew before that; while the server can't be asked, the one that is there goes on being
//! used. If the upstream answers 401, a new token is had and the request sent once more, provided
//! that its body is still at hand (`retry.body` of the upstream says how much is kept). Without a
//! token the request is refused with 503.
//!
//! `exchange` wants a caller who was authenticated, and whose token still stands in
//! `Authorization: Bearer`. Tokens are kept for each caller's token, at most `entries` of them. Where
//! the server will not exchange it, the request is refused with 403.
//!
//! `aws` signs the host, the body's hash, `Content-Type` and every field `X-Amz-…`. The body is held
//! back to be hashed, up to `body` bytes; `body: 0` leaves it unsigned, which S3 takes over TLS.

mod fixed;
mod sigv4;
mod source;
mod token;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{ByteSize, Pointer, Problem, Problems, Secret, Span};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::v1::UpstreamTls;
use policy::message::{Known, Name};
use policy::{
    Code, Compile, Credential, Exchange, Fault, Flow, Outgoing, Phase, Policy, PolicyKind, Posture,
    Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::asked;
use crate::jose::{Algorithm, SigningKey};
use crate::secret_names::SecretNames;
use fixed::{Aws, AwsSigned, Fixed, Signing};
use source::{Source, Subject};
use token::{Client, Method, NoToken};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "upstream_auth",
    phase: Phase::Upstream,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: true },
    codes: &[&UNAVAILABLE, &NO_CALLER, &REFUSED, &TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static UNAVAILABLE: Code = Code {
    name: "upstream_credential_unavailable",
    status: 503,
    grpc: 14,
    title: "The gateway has no credential for the upstream",
    proxy_error: "proxy_configuration_error",
    fault: Fault::Gateway,
    cure: "Try again; operators see in the log what the authorization server answered, and check \
           upstream_auth's settings.",
};

static NO_CALLER: Code = Code {
    name: "token_exchange_without_token",
    status: 401,
    grpc: 16,
    title: "There is no token that could be exchanged",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send `Authorization: Bearer` with a token; operators have a policy authenticate the \
           caller by it, and leave it there (`keep: true`).",
};

static REFUSED: Code = Code {
    name: "token_exchange_refused",
    status: 403,
    grpc: 7,
    title: "The token can't be exchanged for one of the upstream's",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Ask for a token that the authorization server exchanges; its log says why it does not \
           this one.",
};

static TOO_LARGE: Code = Code {
    name: "body_too_large_to_sign",
    status: 413,
    grpc: 8,
    title: "The body is too large to be signed",
    proxy_error: "http_request_error",
    fault: Fault::Caller,
    cure: "Send a smaller body; operators raise upstream_auth's `body`.",
};

/// The gateway's own credential. One of them is given.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "UpstreamAuth")]
struct Settings {
    /// A name and a password.
    basic: Option<WrittenBasic>,
    /// A token, as it stands.
    bearer: Option<Secret>,
    /// A field of your own.
    header: Option<WrittenPair>,
    /// A parameter of the query. It ends up in the upstream's logs.
    query: Option<WrittenPair>,
    /// A token from an authorization server, by client credentials.
    oauth2: Option<WrittenClient>,
    /// A token that the caller's is exchanged for.
    exchange: Option<WrittenExchange>,
    /// A token that the gateway signs itself.
    jwt: Option<WrittenJwt>,
    /// A signature for Amazon's services.
    aws: Option<WrittenAws>,
}

/// A name and a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthBasic")]
struct WrittenBasic {
    /// The name.
    user: String,
    /// The password.
    password: Secret,
}

/// A name and a secret value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthPair")]
struct WrittenPair {
    /// The name.
    name: String,
    /// The value.
    value: Secret,
}

/// The gateway as a client of an authorization server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthClient")]
struct WrittenClient {
    /// The server's token endpoint.
    token_url: String,
    /// Who the gateway is there.
    client_id: String,
    /// What it proves that with.
    client_secret: Secret,
    /// How it does: `basic` in a header field, `post` in the body.
    #[serde(default)]
    method: Method,
    /// What the token is to be used for.
    #[serde(default)]
    scopes: Vec<String>,
    /// Whom it is to be shown to, where the server wants to know.
    audience: Option<String>,
    /// Where it is to be used, where the server wants to know (RFC 8707).
    resource: Option<String>,
    /// How long an answer is waited for.
    #[serde(default = "within")]
    timeout: Span,
    /// How the server's certificate is verified.
    #[serde(default)]
    tls: UpstreamTls,
}

const fn within() -> Span {
    Span::secs(5)
}

/// How callers' tokens are exchanged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthExchange")]
struct WrittenExchange {
    /// Who exchanges them, and for what.
    client: WrittenClient,
    /// The type of the callers' tokens.
    #[serde(default = "access_token")]
    subject_token_type: String,
    /// The type of token that is wanted, where the server wants to know.
    requested_token_type: Option<String>,
    /// Tokens kept at most.
    #[serde(default = "entries")]
    entries: u32,
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
struct WrittenJwt {
    /// The private key, as PEM: `${file:path}`.
    key: Secret,
    /// The algorithm; what fits the key unless said.
    algorithm: Option<String>,
    /// The key's id, for the token's `kid`.
    key_id: Option<String>,
    /// Who signs: `iss`.
    issuer: String,
    /// Whom it speaks of: `sub`. The caller, or the issuer where nobody is known, unless said.
    subject: Option<String>,
    /// Whom it is for: `aud`.
    audience: String,
    /// How long it lasts; at most 1h.
    #[serde(default = "ttl")]
    ttl: Span,
    /// Further claims.
    #[serde(default)]
    claims: Map<String, Value>,
}

const fn ttl() -> Span {
    Span::secs(300)
}

/// A signature for Amazon's services.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpstreamAuthAws")]
struct WrittenAws {
    /// The id of the access key.
    access_key_id: String,
    /// The secret of the access key.
    secret_access_key: Secret,
    /// The session's token, for access keys that end.
    session_token: Option<Secret>,
    /// As `eu-central-1`.
    region: String,
    /// As `execute-api`, `s3` or `lambda`.
    service: String,
    /// The longest body that is held back to be signed; 0 leaves bodies unsigned.
    #[serde(default = "signed_body")]
    body: ByteSize,
}

const fn signed_body() -> ByteSize {
    ByteSize(1 << 20)
}

/// Shows a credential to the upstream.
#[derive(Debug)]
struct UpstreamAuth {
    way: Way,
    /// Held so that the names stay secret as long as this runs.
    _secrets: Arc<SecretNames>,
}

#[derive(Debug)]
enum Way {
    Fixed(Arc<dyn Credential>),
    Token(Arc<Source>),
    Exchange(Arc<Source>),
    Jwt(Signing),
    Aws(Arc<Aws>, u64),
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let written: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let given = settings.as_object().map_or(0, Map::len);
    if given != 1 {
        let what = format!("one way is given, not {given}");
        return Err(vec![Problem::new(at, what).hint("write one of them, as in `bearer: …`")]);
    }
    let secrets = SecretNames::of(cx.carry);
    let way = way(&written, settings, at, cx, &secrets, &mut problems)?;
    match way {
        Some(way) if problems.is_empty() => Ok(Arc::new(UpstreamAuth { way, _secrets: secrets })),
        _ => Err(problems),
    }
}

fn way(
    written: &Settings,
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
    secrets: &SecretNames,
    problems: &mut Problems,
) -> Result<Option<Way>, Problems> {
    let authorization = |value: String| Fixed::Field("Authorization".to_owned(), value);
    let fixed = |fixed| Some(Way::Fixed(Arc::new(fixed)));
    Ok(if let Some(basic) = &written.basic {
        let pair = format!("{}:{}", basic.user, basic.password.expose());
        if basic.user.contains(':') {
            let problem = Problem::new(&at.key("basic").key("user"), "the name has a colon in it");
            problems.push(problem.hint("use a name without one"));
        }
        fixed(authorization(format!("Basic {}", BASE64_STANDARD.encode(pair))))
    } else if let Some(token) = &written.bearer {
        let token = token.expose().trim();
        value(token, &at.key("bearer"), problems);
        fixed(authorization(format!("Bearer {token}")))
    } else if let Some(pair) = &written.header {
        let at = at.key("header");
        value(pair.value.expose(), &at.key("value"), problems);
        field(&pair.name, &at.key("name"), problems);
        secrets.add(&pair.name);
        fixed(Fixed::Field(pair.name.clone(), pair.value.expose().to_owned()))
    } else if let Some(pair) = &written.query {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if pair.name.is_empty() || !pair.name.bytes().all(plain) {
            let what = format!("`{}` can't be a parameter's name here", pair.name.escape_debug());
            let problem = Problem::new(&at.key("query").key("name"), what);
            problems.push(problem.hint("use letters, digits, `-`, `_` and `.`"));
        }
        secrets.add(&pair.name);
        fixed(Fixed::Parameter(pair.name.clone(), token::encoded(pair.value.expose())))
    } else if let Some(client) = &written.oauth2 {
        let params = vec![("grant_type", "client_credentials".to_owned())];
        let found = source(client, params, 1, settings, &at.key("oauth2"), cx, problems)?;
        if let Some(source) = &found {
            cx.chores.push(source.clone());
        }
        found.map(Way::Token)
    } else if let Some(exchange) = &written.exchange {
        exchanged(exchange, settings, at, cx, problems)?.map(Way::Exchange)
    } else if let Some(jwt) = &written.jwt {
        signing(jwt, &at.key("jwt"), problems).map(Way::Jwt)
    } else if let Some(aws) = &written.aws {
        let signer = Aws {
            access_key_id: aws.access_key_id.clone(),
            secret: aws.secret_access_key.expose().trim().to_owned(),
            token: aws.session_token.as_ref().map(|token| token.expose().trim().to_owned()),
            region: aws.region.clone(),
            service: aws.service.clone(),
        };
        let at = at.key("aws");
        for (name, text) in [
            ("access_key_id", &signer.access_key_id),
            ("secret_access_key", &signer.secret),
            ("region", &signer.region),
            ("service", &signer.service),
        ] {
            value(text, &at.key(name), problems);
        }
        Some(Way::Aws(Arc::new(signer), aws.body.0))
    } else {
        None
    })
}

/// What can't be sent as a field's value becomes a problem.
fn value(text: &str, at: &Pointer, problems: &mut Problems) {
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.trim().is_empty() || !text.bytes().all(plain) {
        let problem = Problem::new(at, "this can't be sent: it is empty or no printable ASCII");
        problems.push(problem.hint("see what the file or the variable it comes from holds"));
    }
}

/// What can't be the name of a field here becomes a problem.
fn field(name: &str, at: &Pointer, problems: &mut Problems) {
    let known = Known::of(name.as_bytes());
    if Name::new(name).is_none() || !matches!(known, Known::Other | Known::Authorization | Known::Cookie)
    {
        let what = format!("`{}` can't be the field here", name.escape_debug());
        problems.push(Problem::new(at, what).hint("use a name of its own, as in `X-Api-Key`"));
    }
}

fn source(
    written: &WrittenClient,
    mut params: Vec<(&'static str, String)>,
    most: usize,
    settings: &Value,
    at: &Pointer,
    cx: &Compile<'_>,
    problems: &mut Problems,
) -> Result<Option<Arc<Source>>, Problems> {
    let Some(url) = asked::url(&written.token_url, &at.key("token_url"), problems) else {
        return Ok(None);
    };
    if !written.scopes.is_empty() {
        params.push(("scope", written.scopes.join(" ")));
    }
    let more = [("audience", &written.audience), ("resource", &written.resource)];
    params.extend(more.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    let client = Client {
        url,
        id: written.client_id.clone(),
        secret: written.client_secret.expose().trim().to_owned(),
        method: written.method,
        within: written.timeout.0.max(Duration::from_millis(1)),
        remote: cx.world.remote(&written.tls, &at.key("tls"))?,
    };
    // What was had by other settings is of no use: the key has all of them in it, hashed.
    let hash = sigv4::hash(settings.to_string().as_bytes());
    let kept = format!("{} tokens {hash}", cx.id);
    Ok(Some(cx.carry.keep(&kept, || Source::new(client, params, most))))
}

fn exchanged(
    written: &WrittenExchange,
    settings: &Value,
    at: &Pointer,
    cx: &Compile<'_>,
    problems: &mut Problems,
) -> Result<Option<Arc<Source>>, Problems> {
    let at = at.key("exchange");
    let mut params = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
        ("subject_token_type", written.subject_token_type.clone()),
    ];
    if let Some(wanted) = &written.requested_token_type {
        params.push(("requested_token_type", wanted.clone()));
    }
    let most = written.entries as usize;
    if !(1..=1_000_000).contains(&most) {
        let problem = Problem::new(&at.key("entries"), "this is none, or more than a million");
        problems.push(problem.hint("leave it at 10000"));
    }
    source(&written.client, params, most, settings, &at.key("client"), cx, problems)
}

fn signing(written: &WrittenJwt, at: &Pointer, problems: &mut Problems) -> Option<Signing> {
    let algorithm = match &written.algorithm {
        Some(name) => {
            let found = Algorithm::named(name);
            if found.is_none() {
                let what = format!("`{}` is no algorithm that is known here", name.escape_debug());
                let problem = Problem::new(&at.key("algorithm"), what);
                problems.push(problem.hint("leave it out, or write one as in `ES256`"));
            }
            found
        }
        None => None,
    };
    if written.ttl.0 > Duration::from_secs(3_600) || written.ttl.0 < Duration::from_secs(2) {
        let problem = Problem::new(&at.key("ttl"), "a token lasts for 2s to 1h");
        problems.push(problem.hint("leave it at `5m`"));
    }
    let key = match SigningKey::from_pem(written.key.expose().as_bytes(), algorithm) {
        Ok(key) => match &written.key_id {
            Some(id) => key.named(id.clone()),
            None => key,
        },
        Err(what) => {
            let problem = Problem::new(&at.key("key"), format!("this is no key: {what}"));
            problems.push(problem.hint("name a PEM file with a private key, `${file:path}`"));
            return None;
        }
    };
    Some(Signing {
        key,
        issuer: written.issuer.clone(),
        subject: written.subject.clone(),
        audience: written.audience.clone(),
        claims: written.claims.clone(),
        ttl: written.ttl.0,
        made: Mutex::new(None),
    })
}

/// Sets a field of the request; what can't be written refuses.
fn set(request: &mut Outgoing<'_>, name: &str, value: &str) -> Result<(), Refusal> {
    if request.set(name, value) {
        return Ok(());
    }
    Err(Refusal::new(&UNAVAILABLE).note(format!("{name} can't be written")))
}

/// The token in `Authorization: Bearer`.
fn bearer(exchange: &Exchange) -> Option<&str> {
    let value = exchange.request.headers.get(Known::Authorization)?;
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl Policy for UpstreamAuth {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match &self.way {
            Way::Fixed(credential) => {
                exchange.credential = Some(credential.clone());
                Step::next()
            }
            Way::Token(source) => Step::Wait(Box::pin(show(source, Subject::GATEWAY, exchange))),
            Way::Exchange(source) => {
                let token = exchange.caller.as_ref().and_then(|_| bearer(exchange));
                match token.map(Subject::caller) {
                    Some(subject) => Step::Wait(Box::pin(show(source, subject, exchange))),
                    None => Step::refuse(Refusal::new(&NO_CALLER)),
                }
            }
            Way::Jwt(signing) => {
                let caller = exchange.caller.as_ref().and_then(|caller| caller.name());
                match signing.credential(caller, exchange.wall) {
                    Ok(credential) => {
                        exchange.credential = Some(credential);
                        Step::next()
                    }
                    Err(refusal) => Step::refuse(refusal),
                }
            }
            Way::Aws(by, 0) => {
                let body = sigv4::UNSIGNED.into();
                exchange.credential = Some(Arc::new(AwsSigned { by: by.clone(), body }));
                Step::next()
            }
            Way::Aws(by, most) => Step::Wait(Box::pin(hash(by, *most, exchange))),
        }
    }
}

/// Has a token and shows it.
async fn show(source: &Arc<Source>, subject: Subject, exchange: &mut Exchange) -> Flow {
    let refusal = match source.token(&subject, exchange.wall).await {
        Ok(token) => {
            exchange.credential = Some(source.credential(subject, token));
            return Flow::Continue;
        }
        Err(NoToken::Refused(why)) => Refusal::new(&REFUSED).note(why),
        Err(NoToken::Unavailable(why)) => {
            Refusal::new(&UNAVAILABLE).note(why).header("Retry-After", "1")
        }
    };
    Flow::Refuse(Box::new(refusal))
}

/// Holds back the body and signs it.
async fn hash(by: &Arc<Aws>, most: u64, exchange: &mut Exchange) -> Flow {
    let limit = usize::try_from(most.min(exchange.body_limit)).unwrap_or(usize::MAX);
    let refusal = match exchange.request.body.hold(limit).await {
        Ok(held) if held.whole => {
            let body = sigv4::hash(&held.bytes).into();
            exchange.credential = Some(Arc::new(AwsSigned { by: by.clone(), body }));
            return Flow::Continue;
        }
        Ok(_) => Refusal::new(&TOO_LARGE).detail(format!("at most {limit} bytes are taken")),
        Err(error) => error.into(),
    };
    Flow::Refuse(Box::new(refusal))
}

#[cfg(test)]
mod tests;
