//! Asks that the caller's credential may be used for this.
//!
//! Scopes say what a credential may be used for. They come with it: a key has them in the document,
//! a token among its claims. With `any`, one of them is enough; with `all`, every one is needed;
//! with both, all of `all` and one of `any`. Who has too little is refused with 403.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - scope:
//!           any: [ "orders:read", "orders:write" ]
//!           methods:
//!             POST: { all: [ "orders:write" ] }
//!             DELETE: { all: [ "orders:write", "orders:admin" ] }
//! applications:
//!   - name: shop
//!     keys:
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//!         scopes: [ "orders:read" ]
//! ```
//!
//! `methods` says what methods need in place of that, not on top of it; what `GET` needs, `HEAD`
//! needs, unless it is named itself. `GET: {}` needs no scope, but still a known caller.
//!
//! A caller with a bearer token is told in `WWW-Authenticate` which scopes to ask its authorization
//! server for (RFC 6750 §3.1).

mod required;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::Method;
use policy::{
    Caller, Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage,
    Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::caller::UNKNOWN;
use required::{Needed, Required};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "scope",
    phase: Phase::Authorize,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&UNKNOWN, &INSUFFICIENT],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static INSUFFICIENT: Code = Code {
    name: "scope_insufficient",
    status: 403,
    grpc: 7,
    title: "The credential may not be used for this",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Use a credential with the scopes that the detail names: ask the authorization server \
           for them, or whoever runs the API for a key that has them; operators set a key's \
           `scopes`.",
};

/// Policies whose callers show a bearer token (RFC 6750), and are to be told by its rules.
const BEARERS: &[&str] = &["jwt", "introspect"];

/// Which scopes are needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scope")]
struct Settings {
    /// One of these is needed.
    #[serde(default)]
    any: Vec<String>,
    /// All of these are needed.
    #[serde(default)]
    all: Vec<String>,
    /// What single methods need in place of that.
    #[serde(default)]
    methods: BTreeMap<String, OfMethod>,
}

/// Which scopes a method needs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ScopeOfMethod")]
struct OfMethod {
    /// One of these is needed.
    any: Vec<String>,
    /// All of these are needed.
    all: Vec<String>,
}

/// Asks for scopes.
#[derive(Debug)]
struct Scope {
    required: Required,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    if settings.any.is_empty() && settings.all.is_empty() {
        let what = "neither `any` nor `all` names a scope";
        let hint = "write what methods need that `methods` does not name, as in \
                    `any: [\"orders:read\"]`";
        problems.push(Problem::new(at, what).hint(hint));
    }
    let others = needed(settings.any, settings.all, at, &mut problems);
    let at = at.key("methods");
    let mut methods = Vec::new();
    for (name, written) in settings.methods {
        let at = at.key(&name);
        let needed = needed(written.any, written.all, &at, &mut problems);
        match Method::new(name.as_bytes()) {
            Some(method) if name == name.to_ascii_uppercase() => methods.push((method, needed)),
            _ => {
                let problem = Problem::key(&at, format!("`{name}` is no method"));
                problems.push(problem.hint("write it in capitals, as in `GET`"));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(Scope { required: Required { others, methods } }))
}

fn needed(any: Vec<String>, all: Vec<String>, at: &Pointer, problems: &mut Problems) -> Needed {
    for (word, list) in [("any", &any), ("all", &all)] {
        for (number, scope) in list.iter().enumerate() {
            // RFC 6749 §3.3, and so nothing that could end the challenge's quotes.
            let good = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            if scope.is_empty() || !scope.bytes().all(good) {
                let at = at.key(word).index(number);
                let what = format!("`{scope}` is no scope: one word of visible ASCII");
                let hint = "write one list item for each scope";
                problems.push(Problem::new(&at, what).hint(hint));
            }
        }
    }
    Needed { any, all }
}

impl Policy for Scope {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let Some(caller) = &exchange.caller else { return Step::refuse(Refusal::new(&UNKNOWN)) };
        let needed = self.required.by(exchange.request.method);
        let grant = caller.grant.as_deref();
        let granted = grant.map_or(&[][..], |grant| &grant.scopes);
        if needed.met(granted.iter().map(|scope| &**scope)) {
            return Step::next();
        }
        Step::refuse(refusal(needed, caller))
    }
}

/// Says what is needed; to who shows bearer tokens by their rules.
fn refusal(needed: &Needed, caller: &Caller) -> Refusal {
    let told = needed.told();
    let refusal = Refusal::new(&INSUFFICIENT).detail(match needed.any.as_slice() {
        [] => format!("all of these scopes are needed: {told}"),
        _ if needed.all.is_empty() => format!("one of these scopes is needed: {told}"),
        any => format!(
            "these scopes are needed: {}; and one of: {}",
            needed.all.join(" "),
            any.join(" ")
        ),
    });
    if !BEARERS.contains(&caller.by) {
        return refusal;
    }
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{told}\"");
    refusal.header("WWW-Authenticate", challenge)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::harness;

    /// Who shows a bearer token is told what to ask for; who shows a key is not told of tokens.
    #[test]
    fn bearers_are_told_which_scopes_to_ask_for() {
        let settings = json!({ "all": ["a", "b"], "any": ["c"] });
        let policy = harness::Bench::default().compile(&KIND, &settings).unwrap();
        for (by, challenge) in [
            ("jwt", Some("Bearer error=\"insufficient_scope\", scope=\"a b c\"")),
            ("introspect", Some("Bearer error=\"insufficient_scope\", scope=\"a b c\"")),
            ("api_key", None),
        ] {
            let mut exchange = harness::exchange();
            let (application, grant) = (None, None);
            exchange.caller = Some(Caller { application, credential: "1".into(), by, grant });
            let refusal = harness::refusal(policy.on_request(&mut exchange)).unwrap();
            let fields = refusal.headers.iter().map(|(_, value)| &**value);
            assert_eq!(fields.collect::<Vec<_>>(), Vec::from_iter(challenge), "{by}");
        }
    }
}
