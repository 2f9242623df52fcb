//! Lets in callers that show an API key of one of the document's applications.
//!
//! The key is read from the header field `x-api-key`, or from the header field, the query parameter
//! and the cookie that `header`, `query` and `cookie` name. Only the SHA-256 of a key stands in the
//! document; a request's key is hashed, looked up and compared in constant time. The key is removed
//! before the upstream sees the request, unless `hide: false` is written, and is never logged.
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
//!     keys:                             # two that count while the one is replaced by the other
//!       - id: "2026"
//!         sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//!         expires: 2027-02-01
//!       - id: "2027"
//!         sha256: 9c1b9b5f3cc8f6e0f4e4f0a0d7b8c2f3a1d4e5f60718293a4b5c6d7e8f901234
//!         not_before: 2027-01-01
//!         scopes: [ "orders:read" ]
//! ```
//!
//! `gateward key new --application shop` makes a key and the lines to put into the document. Such
//! keys start with `gw_`, so that scanners find those that leak, and end with a checksum: one that
//! is mistyped or made up is refused before it is looked up. Keys of other makes are as good,
//! unless `format: strict` is written.
//!
//! A request without a key, or with one that is not known, not valid yet, expired or disabled, is
//! refused with 401, each with a code of its own; one whose application or organization is disabled
//! with 403; one that shows two different keys with 400, since it is not clear who is asking.
//!
//! A browser sends a cookie with every request, also with those that another site makes it send:
//! ask for keys in cookies only where requests can't do harm, or where something else proves that
//! they are meant.
//!
//! The upstream learns who calls from the header fields `X-Gateward-Application`,
//! `X-Gateward-Organization` (where the application has one) and `X-Gateward-Credential` (the key's
//! id). The gateway removes what callers send under these names, whatever their spelling.
//! `identity` gives them other names, and an empty name tells nothing; the policy `identity` tells
//! more, for every way to prove who calls. Where an upstream must not know, the `header` policy
//! removes them again.
//!
//! Where an API and its document both ask for a key, the first one found counts for both.

mod codes;
mod credential;

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::{Name, Request};
use policy::{
    Caller, Code, Compile, Directory, Exchange, Issued, Key, KeyState, Phase, Policy, PolicyKind,
    Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shown::MULTIPLE_CREDENTIALS;
use crate::identity::{self, Fact, Fields};
use crate::secret_names::SecretNames;
use credential::{Found, Places};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "api_key",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[
        &codes::MISSING,
        &codes::MALFORMED,
        &codes::INVALID,
        &codes::EARLY,
        &codes::EXPIRED,
        &codes::DISABLED,
        &MULTIPLE_CREDENTIALS,
        &policy::codes::APPLICATION_DISABLED,
        &policy::codes::ORGANIZATION_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// Where the key stands, and how the upstream learns who calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ApiKey")]
struct Settings {
    /// The header field that holds the key; `x-api-key` unless this, `query` or `cookie` is given.
    header: Option<String>,
    /// The query parameter that holds the key. Headers are better: queries end up in many logs.
    query: Option<String>,
    /// The cookie that holds the key.
    cookie: Option<String>,
    /// Which keys are looked up at all.
    format: Format,
    /// Whether the key is removed from what the upstream sees.
    hide: bool,
    /// The header fields that tell the upstream who calls.
    identity: Identity,
}

/// Which keys are looked up.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ApiKeyFormat")]
enum Format {
    /// Every one, but those that start as Gateward's do and have a wrong checksum.
    #[default]
    Any,
    /// Those that `gateward key new` made.
    Strict,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            header: None,
            query: None,
            cookie: None,
            format: Format::Any,
            hide: true,
            identity: Identity::default(),
        }
    }
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
    places: Places,
    format: Format,
    hide: bool,
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
    let places = places(&settings, at, &mut problems);
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
    let header = places.header.as_ref().map(Name::as_str);
    header.into_iter().chain(places.query.as_deref()).for_each(|name| secrets.add(name));
    Ok(Arc::new(ApiKey {
        challenge: challenge(&places).into(),
        places,
        format: settings.format,
        hide: settings.hide,
        told,
        directory: cx.directory.clone(),
        _secrets: secrets,
    }))
}

/// Where keys stand.
fn places(settings: &Settings, at: &Pointer, problems: &mut Problems) -> Places {
    let header = match settings {
        Settings { header: None, query: None, cookie: None, .. } => Some("x-api-key"),
        Settings { header, .. } => header.as_deref(),
    };
    let header = header.and_then(|text| identity::name(text, &at.key("header"), problems));
    for (word, place, written) in
        [("query", "query parameter", &settings.query), ("cookie", "cookie", &settings.cookie)]
    {
        if let Some(name) = written
            && (name.is_empty() || !name.bytes().all(credential::is_plain))
        {
            let what = format!("`{name}` can't be a {place}'s name here");
            let hint = "use letters, digits, `-`, `_` and `.`, as in `api_key`";
            problems.push(Problem::new(&at.key(word), what).hint(hint));
        }
    }
    Places { header, query: settings.query.clone(), cookie: settings.cookie.clone() }
}

/// Where a key belongs, for those who show none.
fn challenge(places: &Places) -> String {
    let header = places.header.as_ref().map(|name| ("header", name.as_str()));
    let query = places.query.as_deref().map(|name| ("query", name));
    let cookie = places.cookie.as_deref().map(|name| ("cookie", name));
    let (place, name) = header.or(query).or(cookie).unwrap_or_default();
    format!("ApiKey in=\"{place}\", name=\"{name}\"")
}

impl Policy for ApiKey {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if exchange.caller.as_ref().is_some_and(|caller| caller.by == KIND.name) {
            return Step::next();
        }
        let key = match self.key(exchange) {
            Ok(key) => key,
            Err(code) => return self.refuse(code),
        };
        let caller = Caller {
            application: Some(key.application().clone()),
            credential: key.id().clone(),
            by: KIND.name,
            grant: key.grant().cloned(),
        };
        if self.hide {
            self.places.clear(&mut exchange.request);
        }
        self.told.write(&mut exchange.request.headers, Some(&caller));
        exchange.caller = Some(caller);
        Step::next()
    }

    fn hide(&self, request: &mut Request) {
        if self.hide {
            self.places.clear(request);
        }
    }
}

impl ApiKey {
    /// The key that the request shows, which counts.
    fn key(&self, exchange: &Exchange) -> Result<&Key, &'static Code> {
        let shown = match self.places.find(&exchange.request) {
            Found::One(shown) => shown,
            Found::None => return Err(&codes::MISSING),
            Found::TooLong => return Err(&codes::INVALID),
            Found::Several => return Err(&MULTIPLE_CREDENTIALS),
        };
        match (shown.issued, self.format) {
            (Issued::Yes, _) | (Issued::Other, Format::Any) => {}
            (Issued::Broken, _) | (Issued::Other, Format::Strict) => {
                return Err(&codes::MALFORMED);
            }
        }
        let key = self.directory.by_key(&shown.sha256).ok_or(&codes::INVALID)?;
        match key.state(exchange.wall) {
            KeyState::Live => {}
            KeyState::Early => return Err(&codes::EARLY),
            KeyState::Expired => return Err(&codes::EXPIRED),
            KeyState::Disabled => return Err(&codes::DISABLED),
        }
        key.application().may_call()?;
        Ok(key)
    }

    /// With where a key belongs, where another one may help.
    fn refuse(&self, code: &'static Code) -> Step<'_> {
        let mut refusal = Refusal::new(code);
        if code.status == 401 {
            refusal = refusal.header("WWW-Authenticate", self.challenge.clone());
        }
        // A key that is wrong is not absent: nobody becomes a stranger by a slip.
        let absent = std::ptr::eq(code, &codes::MISSING);
        Step::refuse(if absent { refusal.absent() } else { refusal })
    }
}
