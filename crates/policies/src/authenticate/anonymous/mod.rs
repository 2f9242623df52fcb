//! Gives callers who show no credential the name of an application.
//!
//! Whoever is not known by now calls as this application, so that limits, logs and rules have
//! something to go by. Put it last in an `any_of`: then strangers, and only those who showed
//! nothing, are let in by it. Alone it makes an API open to all.
//!
//! ```yaml
//! apis:
//!   - name: catalogue
//!     path: /catalogue
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - any_of:
//!           policies:
//!             - api_key: {}
//!             - anonymous: { application: guests, groups: [readers] }
//!       # each stranger for itself, and all strangers together
//!       - { rate: { limit: 10, window: 1m, by: client }, when: 'caller.by == "anonymous"' }
//!       - rate: { limit: 1000, window: 1m, by: application }
//!   - name: news
//!     path: /news
//!     upstream: http://127.0.0.1:9002
//!     policies: [ { anonymous: { application: readers } } ]
//! applications:
//!   - name: shop
//!     keys:
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! `caller.by` is `anonymous` in conditions, and `caller.application` the name given here. The
//! application need not stand in the document, and one that does lends nothing but its name: its
//! organization, plans and scopes are not for strangers. Where it stands there and is disabled, or
//! its organization is, strangers are refused.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{
    Application, Caller, Compile, Exchange, Phase, Policy, PolicyKind, Posture, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::application;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "anonymous",
    phase: Phase::Authenticate,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&policy::codes::APPLICATION_DISABLED, &policy::codes::ORGANIZATION_DISABLED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// What strangers are called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Anonymous")]
struct Settings {
    /// The application's name.
    application: String,
    /// Groups it is in.
    groups: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { application: "anonymous".to_owned(), groups: Vec::new() }
    }
}

/// Names strangers.
#[derive(Debug)]
struct Anonymous {
    caller: Caller,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let Settings { application, groups } = PolicyKind::settings(settings, at)?;
    if application.is_empty() {
        let problem = Problem::new(&at.key("application"), "the application has no name");
        return Err(vec![problem.hint("name it, as in `guests`")]);
    }
    let standing = cx.directory.by_name(&application).map(|known| known.standing);
    let application = Application {
        name: application.into(),
        standing: standing.unwrap_or_default(),
        groups: Arc::new(groups.into_iter().map(String::into_boxed_str).collect()),
        ..Application::default()
    };
    let caller = Caller {
        application: Some(Arc::new(application)),
        credential: KIND.name.into(),
        by: KIND.name,
        grant: None,
    };
    Ok(Arc::new(Anonymous { caller }))
}

impl Policy for Anonymous {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if exchange.caller.is_some() {
            return Step::next();
        }
        match application::admit(exchange, &self.caller) {
            Ok(()) => Step::next(),
            Err(refusal) => Step::refuse(refusal),
        }
    }
}
