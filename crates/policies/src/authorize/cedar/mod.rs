//! Decides by policies in Cedar whether a call may go on.
//!
//! Cedar (<https://www.cedarpolicy.com>) is a language for who may do what. A call is permitted
//! where a `permit` policy fits and no `forbid` policy does. Policies stand in the document, in
//! files of their own, or both.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - cedar:
//!           policies: |
//!             permit(principal in Organization::"acme", action, resource);
//!             permit(principal, action in Action::"read", resource in Api::"orders");
//!             @id("no deletes from outside")
//!             forbid(principal, action == Action::"DELETE", resource)
//!             unless { context.client.isInRange(ip("10.0.0.0/8")) };
//! applications:
//!   - name: shop
//!     organization: acme
//!     keys:
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! What policies can speak of:
//!
//! - the principal, a `Caller` named by its subject or else its application, in its `Application`,
//!   `Organization` and each `Group`. It has `name`, `by` (the policy that knew it), `credential`,
//!   `scopes`, and, where they are known, `application`, `organization`, `subject` and `issuer`.
//!   What a token claims are its tags: `principal.getTag("department").contains("sales")`; each is
//!   a set of texts;
//! - the action: `GET`, `HEAD` and `OPTIONS`, which are in `Action::"read"`; `POST`, `PUT`,
//!   `PATCH`, `DELETE` and `other`, in `Action::"write"`;
//! - the resource, a `Route` in its `Api`;
//! - the context: `method`, `scheme`, `host`, `path`, `client` (an `ipaddr`), and `params`, whose
//!   tags are the parameters of the route's path.
//!
//! The policies are checked against this when the document is, so that a misspelt name is found
//! before it permits or forbids anything. A call that nobody is known for is refused: strangers are
//! named by `anonymous`. Where a policy can't be evaluated, the call is refused.
//!
//! `rule` is cheaper, and better at header fields; Cedar is for policies that many people write.

mod engine;

use std::fmt;
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{
    Caller, Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal,
    RouteFacts, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use engine::{Asked, Engine, Said};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "cedar",
    phase: Phase::Authorize,
    manual: crate::manual::manual!(),
    stage: Stage::Preview,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&DENIED, &UNDECIDED, &NOBODY],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static DENIED: Code = Code {
    name: "cedar_denied",
    status: 403,
    grpc: 7,
    title: "This call is not permitted",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Ask whoever runs the API for the right; the log names the policies that forbid it.",
};

static UNDECIDED: Code = Code {
    name: "cedar_undecided",
    status: 403,
    grpc: 7,
    title: "Whether this call is permitted could not be decided",
    proxy_error: "proxy_configuration_error",
    fault: Fault::Gateway,
    cure: "Mend the policy that the log names.",
};

static NOBODY: Code = Code {
    name: "cedar_caller_unknown",
    status: 403,
    grpc: 7,
    title: "Nobody is known to be calling",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Show a credential; operators put a policy that asks for one, or `anonymous`, before it.",
};

/// Most bytes of policies.
const MOST: usize = 256 << 10;

/// Most claims, and values of one, that policies see.
const CLAIMS: usize = 128;

/// Policies in Cedar.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Cedar")]
struct Settings {
    /// The policies, in the Cedar language.
    policies: String,
    /// Files of further policies; taken again when they change.
    files: Vec<String>,
}

/// Asks the policies.
struct Cedar {
    engine: Engine,
}

impl fmt::Debug for Cedar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cedar")
    }
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let Settings { policies: mut text, files } = PolicyKind::settings(settings, at)?;
    let place = if files.is_empty() { at.key("policies") } else { at.key("files") };
    for (number, file) in files.iter().enumerate() {
        let at = at.key("files").index(number);
        let bytes = cx.world.read(file, "policies in Cedar", MOST as u64, &at);
        let bytes = bytes.map_err(|problem| vec![problem])?;
        let read = String::from_utf8(bytes).map_err(|_| {
            let problem = Problem::new(&at, format!("`{file}` is no text"));
            vec![problem.hint("write policies in the Cedar language, in UTF-8")]
        })?;
        text.push('\n');
        text.push_str(&read);
    }
    if text.len() > MOST {
        let problem = Problem::new(&place, format!("the policies have more than {MOST} bytes"));
        return Err(vec![problem.hint("split them over the APIs they are for")]);
    }
    let hint = "see the manual page for what policies can speak of";
    let engine = Engine::new(&text).map_err(|wrong| {
        wrong.into_iter().map(|what| Problem::new(&place, what).hint(hint)).collect::<Problems>()
    })?;
    Ok(Arc::new(Cedar { engine }))
}

impl Policy for Cedar {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let Some(caller) = &exchange.caller else { return Step::refuse(Refusal::new(&NOBODY)) };
        let asked = match asked(exchange, caller) {
            Ok(asked) => asked,
            Err(why) => return Step::refuse(Refusal::new(&UNDECIDED).note(why)),
        };
        match self.engine.ask(&asked) {
            Said::Permit => Step::next(),
            Said::Unknown(why) => Step::refuse(Refusal::new(&UNDECIDED).note(why)),
            Said::Forbid(by) if by.is_empty() => {
                Step::refuse(Refusal::new(&DENIED).note("no policy permits it"))
            }
            Said::Forbid(by) => {
                Step::refuse(Refusal::new(&DENIED).note(format!("forbidden by {}", by.join(", "))))
            }
        }
    }
}

/// The call, as policies see it.
fn asked<'x>(exchange: &'x Exchange, caller: &'x Caller) -> Result<Asked<'x>, String> {
    let (request, route) = (&exchange.request, exchange.route.as_ref());
    let grant = caller.grant.as_deref();
    let claims = grant.into_iter().flat_map(|grant| &grant.claims);
    let claims: Vec<_> =
        claims.filter_map(|(name, value)| Some((name.as_str(), values(value)?))).collect();
    if claims.len() > CLAIMS || claims.iter().any(|(_, values)| values.len() > CLAIMS) {
        return Err(format!("the credential claims more than {CLAIMS} things"));
    }
    let path = &request.target.path;
    let params = route.into_iter().flat_map(|route| route.params(path));
    Ok(Asked {
        name: caller.name().unwrap_or_default(),
        by: caller.by,
        credential: &caller.credential,
        application: caller.application_name(),
        organization: caller.organization(),
        subject: grant.and_then(|grant| grant.subject.as_deref()),
        issuer: grant.and_then(|grant| grant.issuer.as_deref()),
        scopes: caller.scopes().collect(),
        groups: caller.groups().collect(),
        claims,
        method: request.method.as_str(),
        scheme: request.target.scheme.text(),
        host: request.target.authority.host(),
        path,
        client: exchange.client.to_string(),
        api: route.map(RouteFacts::api).unwrap_or_default(),
        route: route.map(RouteFacts::route).unwrap_or_default(),
        params: params.collect(),
    })
}

/// A claim's values as texts; none of what is no text, number, true, false or list of those.
fn values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Number(number) => Some(vec![number.to_string()]),
        Value::Bool(yes) => Some(vec![yes.to_string()]),
        Value::Array(items) => {
            let one = |item: &Value| values(item).filter(|_| !item.is_array());
            items.iter().map(|item| one(item)?.pop()).collect()
        }
        Value::Null | Value::Object(_) => None,
    }
}
