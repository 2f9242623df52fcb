//! Says which methods are taken.
//!
//! Others are refused with 405, and `Allow` says which there are. Routes can name methods, too;
//! this is for bounds that hold whatever the routes say, for a whole document or API.
//!
//! ```yaml
//! policies:
//!   - method: { deny: [TRACE] }
//! apis:
//!   - name: reports
//!     path: /reports
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - id: read-only
//!         method: { allow: [GET, OPTIONS] }
//! ```
//!
//! `GET` stands for `HEAD`, too. Fields by which callers ask for another method than they use
//! (`X-HTTP-Method-Override` and the like) never reach an upstream, so that nobody gets around
//! this. CORS preflights that a `cors` policy answers come before it.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::Method;
use policy::{Compile, Exchange, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step, codes};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "method",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&codes::METHOD_NOT_ALLOWED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// Which methods are taken: either `allow` or `deny`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MethodRules")]
struct Settings {
    /// These and no others.
    #[serde(default)]
    allow: Option<Vec<String>>,
    /// All but these.
    #[serde(default)]
    deny: Option<Vec<String>>,
}

/// What `Allow` lists where only some are denied.
const USUAL: [Method; 7] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Options,
];

/// Says which methods are taken.
#[derive(Debug)]
struct Methods {
    listed: Box<[Method]>,
    /// Whether those listed are taken, or all others.
    allows: bool,
    /// `Allow`, for those who are refused.
    field: Box<str>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let (written, allows, at) = match (settings.allow, settings.deny) {
        (Some(allow), None) => (allow, true, at.key("allow")),
        (None, Some(deny)) => (deny, false, at.key("deny")),
        (both, _) => {
            let what = match both {
                Some(_) => "`allow` and `deny` stand beside each other",
                None => "neither `allow` nor `deny` is given",
            };
            let hint = "write `allow: [GET, POST]`, or `deny: [TRACE]`";
            return Err(vec![Problem::new(at, what).hint(hint)]);
        }
    };
    if written.is_empty() {
        let what = if allows { "nothing is allowed" } else { "nothing is denied" };
        return Err(vec![Problem::new(&at, what).hint("list methods, or remove the policy")]);
    }
    let mut problems = Problems::new();
    let mut listed = Vec::new();
    for (number, text) in written.iter().enumerate() {
        match Method::new(text.as_bytes()).filter(|_| *text == text.to_ascii_uppercase()) {
            Some(method) => listed.push(method),
            None => {
                let problem = Problem::new(&at.index(number), format!("`{text}` is no method"));
                problems.push(problem.hint("write it in upper case, as in `GET`"));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let has = |method: &Method| listed.contains(method);
    if has(&Method::Get) && !has(&Method::Head) {
        listed.push(Method::Head);
    }
    let usual = USUAL.iter().filter(|method| !listed.contains(method));
    let taken: Vec<_> = if allows { listed.iter().collect() } else { usual.collect() };
    let field = taken.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Ok(Arc::new(Methods { listed: listed.into(), allows, field: field.into() }))
}

impl Policy for Methods {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if self.listed.contains(&exchange.request.method) == self.allows {
            return Step::next();
        }
        let refusal = Refusal::new(&codes::METHOD_NOT_ALLOWED);
        Step::refuse(refusal.header("Allow", self.field.clone()))
    }
}
