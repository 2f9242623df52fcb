//! Lets callers in who show no credential, and judges those who do.
//!
//! Where the policy inside says that nothing was shown, the call goes on with nobody known:
//! `caller.name` is null in conditions, and no identity is told to the upstream. A credential that
//! is shown is judged as ever: a wrong, malformed or expired one is refused, and so is one that
//! can't be judged now.
//!
//! ```yaml
//! apis:
//!   - name: catalogue
//!     path: /catalogue
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - optional: { policy: { api_key: {} } }
//!       - { rate: { limit: 10, window: 1m }, when: 'caller.application == null' }
//! applications:
//!   - name: shop
//!     keys:
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! To give strangers a name, so that what counts by application counts them too, use `any_of` with
//! `anonymous` behind the others.

use std::sync::Arc;

use base::{Pointer, Problems};
use policy::message::Request;
use policy::{Compile, Exchange, Flow, Phase, Policy, PolicyKind, Posture, Stage, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::combination::{self, Nested, Part, Saved};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "optional",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// What may be shown.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Optional")]
struct Settings {
    /// The policy that judges what is shown.
    policy: Nested,
}

/// Asks, and takes nothing for an answer.
#[derive(Debug)]
struct Optional {
    /// The one.
    parts: [Part; 1],
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let part = settings.policy.compile(&at.key("policy"), cx)?;
    Ok(Arc::new(Optional { parts: [part] }))
}

impl Policy for Optional {
    // Waits even where the part does not: its step borrows the exchange that is put back after it.
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        Step::Wait(Box::pin(self.run(exchange)))
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match combination::ran(exchange, self, &self.parts).next() {
            Some(part) => part.policy.on_response(exchange),
            None => Step::next(),
        }
    }

    fn on_end(&self, exchange: &Exchange) {
        for part in combination::ran(exchange, self, &self.parts) {
            part.policy.on_end(exchange);
        }
    }

    fn hide(&self, request: &mut Request) {
        self.parts.iter().for_each(|part| part.policy.hide(request));
    }
}

impl Optional {
    async fn run(&self, exchange: &mut Exchange) -> Flow {
        let [part] = &self.parts;
        let before = Saved::of(exchange);
        match part.run(exchange).await {
            Flow::Refuse(refusal) if refusal.absent => {
                before.restore(exchange);
                part.policy.hide(&mut exchange.request);
                Flow::Continue
            }
            refusal @ Flow::Refuse(_) => {
                before.restore(exchange);
                refusal
            }
            flow => {
                combination::note(exchange, self, 1);
                flow
            }
        }
    }
}
