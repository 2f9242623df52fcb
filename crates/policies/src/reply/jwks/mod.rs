//! Answers with the public keys that verify what the gateway signs.
//!
//! The `identity_jwt` policy tells upstreams who calls by tokens it signs; this one publishes the
//! keys as a JWK Set (RFC 7517), at a path of your own. The upstream is not asked.
//!
//! ```yaml
//! apis:
//!   - name: keys
//!     path: /.well-known/jwks.json
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - jwks: {}
//! ```
//!
//! Where `identity_jwt` has its keys in files, name the same files in `keys`. The private halves
//! are never shown.

use std::sync::Arc;

use base::{Pointer, Problems};
use policy::message::{Body, Known, Response, Status};
use policy::{Compile, Exchange, Phase, Policy, PolicyKind, Posture, Stage, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::ring::{self, Ring};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "jwks",
    phase: Phase::Reply,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// Which keys are published.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Jwks")]
struct Settings {
    /// Files with private keys in PEM, as `identity_jwt` has them; those that this instance made
    /// for itself unless given.
    keys: Vec<String>,
    /// The name of the keys that this instance made for itself.
    set: Option<String>,
}

#[derive(Debug)]
struct Jwks(Arc<Ring>);

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let ring = match settings.keys.as_slice() {
        [] => Ring::own(settings.set.as_deref().unwrap_or("identity"), cx.carry),
        files => Arc::new(Ring::read(files, None, &at.key("keys"), cx.world, &mut problems)),
    };
    if problems.is_empty() { Ok(Arc::new(Jwks(ring))) } else { Err(problems) }
}

impl Policy for Jwks {
    fn on_request<'a>(&'a self, _: &'a mut Exchange) -> Step<'a> {
        let mut response = Response { status: Status::OK, ..Response::default() };
        response.headers.append_known(Known::ContentType, "application/jwk-set+json");
        response.headers.append_known(Known::CacheControl, "public, max-age=300");
        response.body = Body::from(ring::document(&self.0));
        Step::reply(response)
    }
}
