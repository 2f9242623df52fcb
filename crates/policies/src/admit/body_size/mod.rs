//! Sets how long a request's body may be.
//!
//! What says in its `Content-Length` that it is longer is refused at once with 413, before the
//! upstream hears of it; a body that only turns out to be longer while it comes is broken off then.
//! The limit takes the place of the listener's `body_bytes`, and a route's that of its API's, so it
//! can be lower or higher.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - body_size: { max: 64KiB }
//!     routes:
//!       - match: { path: "/{id}/photo", methods: [PUT] }
//!         policies:
//!           - body_size: { max: 20MiB }
//!       - match: { path: "/{rest*}" }
//! ```

use std::sync::Arc;

use base::{ByteSize, Pointer, Problems};
use policy::{Compile, Exchange, Phase, Policy, PolicyKind, Posture, Stage, Step, codes};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "body_size",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&codes::BODY_TOO_LARGE],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// How long a body may be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BodySize")]
struct Settings {
    /// The most bytes a request's body may have; `0` lets no body through.
    max: ByteSize,
}

/// Sets how long a body may be.
#[derive(Debug)]
struct BodySize {
    max: u64,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    Ok(Arc::new(BodySize { max: settings.max.0 }))
}

impl Policy for BodySize {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        // The engine holds to it, once every policy had its say: an inner limit may be higher.
        exchange.body_limit = self.max;
        Step::next()
    }
}
