//! Decides by rules whether a call may go on.
//!
//! Each rule has a condition and what follows from it; the first whose condition holds decides.
//! Where none does, the call is refused, unless `otherwise: allow`.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - rule:
//!           rules:
//!             - if: '"suspended" in caller.groups'
//!               then: deny
//!               detail: this application is suspended
//!             - if: 'request.path.startsWith("/orders/own/") && caller.organization != "acme"'
//!               then: deny
//!               status: 404
//!             - if: 'request.method == "GET"'
//!               then: allow
//!             - if: 'has(caller.labels.tier) && caller.labels.tier == "gold"'
//!               then: allow
//! applications:
//!   - name: shop
//!     organization: acme
//!     labels: { tier: gold }
//!     keys:
//!       - sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683
//! ```
//!
//! Conditions are written as for `when`, in CEL, and see the same: the request as it will be sent
//! upstream but for what transforms, the caller, the route, the connection. They are checked when
//! the document is, and bounded in what they may cost.
//!
//! A condition that can't be evaluated (it asks for a claim that is not there, say) refuses the
//! call: whether it should have been denied is not known. Guard what may be missing with `has()` or
//! `in`. Of a header field that came several times, a rule that denies is met by one of the values,
//! a rule that allows only by all of them.
//!
//! Who is refused hears 403, with `detail` where the rule has one; with `status: 404`, what it
//! would hear if there were nothing. The log has the rule's number.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{
    Code, Compile, Condition, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage,
    Step, codes,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "rule",
    phase: Phase::Authorize,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&DENIED, &UNDECIDED, &codes::ROUTE_NOT_FOUND],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static DENIED: Code = Code {
    name: "rule_denied",
    status: 403,
    grpc: 7,
    title: "This call is not allowed",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Ask whoever runs the API what the call needs; operators find the rule's number in the \
           log.",
};

static UNDECIDED: Code = Code {
    name: "rule_undecided",
    status: 403,
    grpc: 7,
    title: "Whether this call is allowed could not be decided",
    proxy_error: "proxy_configuration_error",
    fault: Fault::Gateway,
    cure: "Mend the rule that the log names; guard what may be missing with has() or `in`.",
};

/// Most rules of one policy.
const MOST: usize = 256;

/// The rules.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rules")]
struct Settings {
    /// The rules, in the order they are tried; at most 256.
    rules: Vec<Rule>,
    /// What happens where no rule's condition holds; `deny` unless said.
    #[serde(default)]
    otherwise: Then,
}

/// One rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule")]
struct Rule {
    /// The condition, in CEL.
    r#if: String,
    /// What happens where it holds.
    then: Then,
    /// What a refused caller hears: 403 unless said, or 404 as if there were nothing.
    status: Option<u16>,
    /// What else a refused caller is told.
    detail: Option<String>,
}

/// What follows from a rule.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RuleThen")]
enum Then {
    /// The call goes on.
    Allow,
    /// It is refused.
    #[default]
    Deny,
}

/// Rules, compiled.
#[derive(Debug)]
struct Rules {
    rules: Vec<Ready>,
    otherwise: Then,
}

/// A rule, compiled.
#[derive(Debug)]
struct Ready {
    when: Condition,
    then: Then,
    code: &'static Code,
    detail: Option<Box<str>>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let at = at.key("rules");
    let mut problems = Problems::new();
    if settings.rules.is_empty() || settings.rules.len() > MOST {
        let what = format!("there are {} rules, and must be 1 to {MOST}", settings.rules.len());
        let hint = "write `{ if: …, then: allow }` for what may pass";
        problems.push(Problem::new(&at, what).hint(hint));
    }
    let mut rules = Vec::with_capacity(settings.rules.len());
    for (number, rule) in settings.rules.into_iter().enumerate() {
        rules.extend(rule.ready(&at.index(number), &mut problems));
    }
    let settled = |rule: &Ready| rule.then == settings.otherwise;
    if problems.is_empty() && settings.otherwise == Then::Allow && rules.iter().all(settled) {
        let what = "every rule allows, and so does `otherwise`: nothing is ever refused";
        problems
            .push(Problem::new(&at, what).hint("leave `otherwise` out, or add a rule that denies"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(Rules { rules, otherwise: settings.otherwise }))
}

impl Rule {
    /// The rule, which stands at `at`, compiled.
    fn ready(self, at: &Pointer, problems: &mut Problems) -> Option<Ready> {
        let before = problems.len();
        let code = match (self.status, self.then) {
            (None | Some(403), _) => &DENIED,
            (Some(404), _) => &codes::ROUTE_NOT_FOUND,
            (Some(status), _) => {
                let problem = Problem::new(&at.key("status"), format!("no rule answers {status}"));
                problems.push(problem.hint("write 403, or 404 for as if there were nothing"));
                &DENIED
            }
        };
        let said = self.status.map(|_| "status").or(self.detail.as_ref().map(|_| "detail"));
        if let (Then::Allow, Some(said)) = (self.then, said) {
            let problem =
                Problem::new(&at.key(said), format!("a rule that allows has no `{said}`"));
            problems.push(problem.hint("leave it out"));
        }
        let when = Condition::compile(&self.r#if)
            .map_err(|bad| problems.push(bad.problem(&at.key("if"))))
            .ok()?;
        let detail = self.detail.map(Into::into);
        (problems.len() == before).then_some(Ready { when, then: self.then, code, detail })
    }
}

impl Ready {
    /// Whether it decides this call.
    fn decides(&self, exchange: &Exchange) -> Result<bool, String> {
        match self.then {
            Then::Allow => self.when.holds_for_all(exchange),
            Then::Deny => self.when.holds(exchange),
        }
    }
}

impl Policy for Rules {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        for (number, rule) in (1..).zip(&self.rules) {
            match rule.decides(exchange) {
                Ok(false) => {}
                Ok(true) if rule.then == Then::Allow => return Step::next(),
                Ok(true) => {
                    let refusal = Refusal::new(rule.code).note(format!("denied by rule {number}"));
                    return Step::refuse(match &rule.detail {
                        Some(detail) => refusal.detail(detail.clone()),
                        None => refusal,
                    });
                }
                Err(why) => {
                    let note = format!("rule {number}: {why}");
                    return Step::refuse(Refusal::new(&UNDECIDED).note(note));
                }
            }
        }
        match self.otherwise {
            Then::Allow => Step::next(),
            Then::Deny => Step::refuse(Refusal::new(&DENIED).note("no rule allows it")),
        }
    }
}
