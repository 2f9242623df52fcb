//! Lets in callers that show an API key of one of the document's applications.
//!
//! The key is read from the header field `x-api-key`, from what `header` names, from the query
//! parameter that `query` names, or from both where both are named. Only the SHA-256 of a key
//! stands in the document; a request's key is hashed, looked up and compared in constant time. The
//! key is removed before anything else sees the request, so no upstream and no log can have it.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: { header: x-api-key, query: key }
//! applications:
//!   - name: shop
//!     organization: acme
//!     keys:
//!       # printf %s KEY | sha256sum
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! A request without a key, or with an unknown one, is refused with 401; one that shows two
//! different keys with 400, since it is not clear who is asking.
//!
//! The upstream learns who calls from the header fields `X-Gateward-Application`,
//! `X-Gateward-Organization` (where the application has one) and `X-Gateward-Credential` (the key's
//! id). The gateway removes what callers send under these names, whatever their spelling.
//! `identity` gives them other names, and an empty name tells nothing; the policy `identity` tells
//! more, for every way to prove who calls. Where an upstream must not know, the `header` policy
//! removes them again.
//!
//! Where an API and its document both ask for a key, the first one found counts for both.

mod credential;

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::{Name, Request};
use policy::{
    Caller, Code, Compile, Directory, Exchange, Fault, KeyState, Phase, Policy, PolicyKind,
    Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shown::MULTIPLE_CREDENTIALS;
use crate::identity::{self, Fact, Fields};
use crate::secret_names::SecretNames;
use credential::Found;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "api_key",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&MISSING, &INVALID, &MULTIPLE_CREDENTIALS],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static MISSING: Code = Code {
    name: "api_key_missing",
    status: 401,
    grpc: 16,
    title: "An API key is needed",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Send an API key where WWW-Authenticate says.",
};

static INVALID: Code = Code {
    name: "api_key_invalid",
    status: 401,
    grpc: 16,
    title: "The API key is not known",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Check the key: it may be mistyped, replaced or withdrawn.",
};

/// Where the key stands, and how the upstream learns who calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ApiKey")]
struct Settings {
    /// The header field that holds the key; `x-api-key` unless this or `query` is given.
    header: Option<String>,
    /// The query parameter that holds the key. Headers are better: queries end up in many logs.
    query: Option<String>,
    /// The header fields that tell the upstream who calls.
    identity: Identity,
}

/// Names of the header fields that tell the upstream who calls; an empty one tells nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ApiKeyIdentity")]
struct Identity {
    /// Holds the application's name.
    application: String,
    /// Holds the organization's name.
    organization: String,
    /// Holds the id of the key.
    credential: String,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            application: "X-Gateward-Application".to_owned(),
            organization: "X-Gateward-Organization".to_owned(),
            credential: "X-Gateward-Credential".to_owned(),
        }
    }
}

/// Asks for a key.
#[derive(Debug)]
struct ApiKey {
    header: Option<Name>,
    query: Option<String>,
    /// What the upstream learns of who calls.
    told: Fields,
    challenge: Box<str>,
    directory: Arc<Directory>,
    /// Held so that the names stay secret as long as this runs.
    _secrets: Arc<SecretNames>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let header = match (&settings.header, &settings.query) {
        (None, None) => Some("x-api-key"),
        (header, _) => header.as_deref(),
    };
    let header = header.and_then(|text| identity::name(text, &at.key("header"), &mut problems));
    let query = settings.query;
    if let Some(query) = &query
        && (query.is_empty() || !query.bytes().all(credential::is_plain))
    {
        let what = format!("`{query}` can't be a query parameter's name here");
        let hint = "use letters, digits, `-`, `_` and `.`, as in `api_key`";
        problems.push(Problem::new(&at.key("query"), what).hint(hint));
    }
    let (at, mut told) = (at.key("identity"), Fields::default());
    for (word, name, fact) in [
        ("application", &settings.identity.application, Fact::Application),
        ("organization", &settings.identity.organization, Fact::Organization),
        ("credential", &settings.identity.credential, Fact::Credential),
    ] {
        told.add(name, fact, &at.key(word), cx, &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let secrets = SecretNames::of(cx.carry);
    let (shown, place) = (header.as_ref().map(Name::as_str), query.as_deref());
    shown.into_iter().chain(place).for_each(|name| secrets.add(name));
    let challenge = match (shown, place) {
        (Some(name), _) => format!("ApiKey in=\"header\", name=\"{name}\""),
        (None, name) => format!("ApiKey in=\"query\", name=\"{}\"", name.unwrap_or_default()),
    };
    Ok(Arc::new(ApiKey {
        header,
        query,
        told,
        challenge: challenge.into(),
        directory: cx.directory.clone(),
        _secrets: secrets,
    }))
}

impl Policy for ApiKey {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if exchange.caller.as_ref().is_some_and(|caller| caller.by == KIND.name) {
            return Step::next();
        }
        let found =
            credential::take(&mut exchange.request, self.header.as_ref(), self.query.as_deref());
        let known = match found {
            Found::One(sha256) => self.directory.by_key(&sha256),
            Found::None => return Step::refuse(self.refusal(&MISSING).absent()),
            Found::TooLong => None,
            Found::Several => return Step::refuse(Refusal::new(&MULTIPLE_CREDENTIALS)),
        };
        let known = known.filter(|key| key.state(exchange.wall) == KeyState::Live);
        let Some(key) = known else { return Step::refuse(self.refusal(&INVALID)) };
        if let Err(code) = key.application().may_call() {
            return Step::refuse(Refusal::new(code));
        }
        let caller = Caller {
            application: Some(key.application().clone()),
            credential: key.id().clone(),
            by: KIND.name,
            grant: key.grant().cloned(),
        };
        self.told.write(&mut exchange.request.headers, Some(&caller));
        exchange.caller = Some(caller);
        Step::next()
    }

    fn hide(&self, request: &mut Request) {
        credential::take(request, self.header.as_ref(), self.query.as_deref());
    }
}

impl ApiKey {
    fn refusal(&self, code: &'static Code) -> Refusal {
        Refusal::new(code).header("WWW-Authenticate", self.challenge.clone())
    }
}
