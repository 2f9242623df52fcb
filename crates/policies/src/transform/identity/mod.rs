//! Tells the upstream who calls, in header fields, however the caller proved it.
//!
//! Unless names are given, these are told where they are known: the application, its organization,
//! the credential's id, the subject, the scopes (separated by spaces) and the groups (by commas),
//! in `X-Gateward-Application`, `-Organization`, `-Credential`, `-Subject`, `-Scopes` and
//! `-Groups`. An empty name tells nothing. `claims` tells what else a token says, by its place in
//! the token (RFC 6901).
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - optional: { policy: { api_key: {} } }
//!       - identity:
//!           application: X-App
//!           credential: ""
//!           claims: { X-Email: /email, X-Roles: /realm_access/roles }
//! applications:
//!   - name: shop
//!     organization: acme
//!     keys:
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! What callers send under these names never reaches the upstream, whether they prove who they are
//! or not, and a name that a server could take for one of them (`X_App`) is refused.
//!
//! In values, what is no visible ASCII is percent-encoded, `%` too; in lists also spaces and
//! commas, so that no group can pass for two. Of claims, texts, numbers, true and false are told,
//! and lists of them; what is longer than 4096 bytes is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{Compile, Exchange, Phase, Policy, PolicyKind, Posture, Stage, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::identity::{Fact, Fields};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "identity",
    phase: Phase::Transform,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// Names of the header fields that tell the upstream who calls; an empty one tells nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Identity")]
struct Settings {
    /// Holds the application's name.
    application: String,
    /// Holds the organization's name.
    organization: String,
    /// Holds the id of the credential.
    credential: String,
    /// Holds whom the credential speaks of.
    subject: String,
    /// Holds who issued the credential; not told unless named.
    issuer: String,
    /// Holds what the credential may be used for, separated by spaces.
    scopes: String,
    /// Holds the groups, separated by commas.
    groups: String,
    /// Fields that hold what else the credential says: a field's name, and the place of the value
    /// as a JSON Pointer, as in `/email`.
    claims: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        let own = |word: &str| format!("X-Gateward-{word}");
        Self {
            application: own("Application"),
            organization: own("Organization"),
            credential: own("Credential"),
            subject: own("Subject"),
            issuer: String::new(),
            scopes: own("Scopes"),
            groups: own("Groups"),
            claims: BTreeMap::new(),
        }
    }
}

/// Tells who calls.
#[derive(Debug)]
struct Identity(Fields);

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let (mut fields, mut problems) = (Fields::default(), Problems::new());
    for (word, name, fact) in [
        ("application", &settings.application, Fact::Application),
        ("organization", &settings.organization, Fact::Organization),
        ("credential", &settings.credential, Fact::Credential),
        ("subject", &settings.subject, Fact::Subject),
        ("issuer", &settings.issuer, Fact::Issuer),
        ("scopes", &settings.scopes, Fact::Scopes),
        ("groups", &settings.groups, Fact::Groups),
    ] {
        fields.add(name, fact, &at.key(word), cx, &mut problems);
    }
    for (name, place) in &settings.claims {
        let at = at.key("claims").key(name);
        if place.len() < 2 || !place.starts_with('/') {
            let problem = Problem::new(&at, format!("`{place}` is no place in a token"));
            problems.push(problem.hint("write a JSON Pointer, as in `/email` or `/realm/roles`"));
        } else {
            fields.add(name, Fact::Claim(place.as_str().into()), &at, cx, &mut problems);
        }
    }
    if problems.is_empty() && fields.is_empty() {
        let problem = Problem::new(at, "nothing is told to the upstream");
        problems.push(problem.hint("name a field, or leave the policy out"));
    }
    if problems.is_empty() { Ok(Arc::new(Identity(fields))) } else { Err(problems) }
}

impl Policy for Identity {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        self.0.write(&mut exchange.request.headers, exchange.caller.as_ref());
        Step::next()
    }
}
