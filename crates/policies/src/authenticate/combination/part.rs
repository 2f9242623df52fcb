//! One policy inside another: its settings, its hooks, and what is put back where it says no.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Pointer, Problem, Problems, closest};
use policy::message::{Headers, Request, Target};
use policy::{Caller, Compile, Exchange, Flow, Phase, Policy, PolicyKind, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::is_stranger;

/// Most policies inside one.
const MOST: usize = 16;

/// A policy that says who calls: its name and its settings, as in a list of policies.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::authenticate) struct Nested(BTreeMap<String, Value>);

/// A policy inside another, compiled.
#[derive(Debug)]
pub(in crate::authenticate) struct Part {
    pub(in crate::authenticate) kind: &'static PolicyKind,
    pub(in crate::authenticate) policy: Arc<dyn Policy>,
    /// Whether it lets in who shows nothing.
    pub(in crate::authenticate) open: bool,
}

/// What a policy may change before it has decided.
pub(in crate::authenticate) struct Saved {
    headers: Headers,
    target: Target,
    /// Who was known.
    pub(in crate::authenticate) caller: Option<Caller>,
    parts: usize,
}

/// Compiles the policies that stand at `at`.
pub(in crate::authenticate) fn compile(
    list: &[Nested],
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Vec<Part>, Problems> {
    let mut problems = Problems::new();
    if list.is_empty() || list.len() > MOST {
        let what = format!("there are {} policies, and must be 1 to {MOST}", list.len());
        let hint = "name policies that say who calls, as in `policies: [ { api_key: {} } ]`";
        problems.push(Problem::new(at, what).hint(hint));
        return Err(problems);
    }
    let mut parts: Vec<Part> = Vec::with_capacity(list.len());
    for (number, nested) in list.iter().enumerate() {
        match one(nested, &at.index(number), number, cx) {
            Ok(part) => parts.push(part),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(parts) } else { Err(problems) }
}

/// Compiles the one policy that stands at `at`, the one of this number.
pub(in crate::authenticate) fn one(
    nested: &Nested,
    at: &Pointer,
    number: usize,
    cx: &mut Compile<'_>,
) -> Result<Part, Problems> {
    let mut names = nested.0.iter();
    let (Some((name, settings)), None) = (names.next(), names.next()) else {
        let problem =
            Problem::new(at, "a policy inside another is its name and its settings alone");
        let hint = "write `api_key: {}`; `when` and `id` belong to the policy around it";
        return Err(vec![problem.hint(hint)]);
    };
    let at = at.key(name);
    let fit = |kind: &&&PolicyKind| kind.phase == Phase::Authenticate;
    let names = || cx.registry.kinds().iter().filter(fit).map(|kind| kind.name);
    let problem = match cx.registry.find(name) {
        Some(kind) if kind.phase == Phase::Authenticate => {
            // Numbered, so that what one keeps is not another's; from 1, as people count.
            let part = format!("{}-{name}", number + 1);
            let policy = cx.nested(kind, settings, &at, &part)?;
            return Ok(Part { kind, policy, open: is_open(name, settings) });
        }
        Some(kind) => {
            let what = format!("`{name}` does not say who calls: it runs in {}", kind.phase);
            Problem::new(&at, what).hint("put it beside this policy, not inside")
        }
        None => {
            let problem = Problem::new(&at, format!("there is no policy `{name}`"));
            problem.hint(match closest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            })
        }
    };
    Err(vec![Problem { at_key: true, ..problem }])
}

/// Whether the policy `name` with these settings lets in who shows nothing. Only asked of settings
/// that are right.
fn is_open(name: &str, settings: &Value) -> bool {
    let mut inner = settings.get("policies").and_then(Value::as_array).into_iter().flatten();
    let open = |one: &Value| {
        let mut uses = one.as_object().into_iter().flatten();
        uses.any(|(name, settings)| is_open(name, settings))
    };
    match name {
        "anonymous" | "optional" => true,
        "any_of" => inner.any(open),
        "all_of" => inner.all(open),
        _ => false,
    }
}

impl Nested {
    /// Compiles it alone.
    pub(in crate::authenticate) fn compile(
        &self,
        at: &Pointer,
        cx: &mut Compile<'_>,
    ) -> Result<Part, Problems> {
        one(self, at, 0, cx)
    }
}

impl Part {
    /// Runs it.
    pub(in crate::authenticate) async fn run(&self, exchange: &mut Exchange) -> Flow {
        match self.policy.on_request(exchange) {
            Step::Done(flow) => flow,
            Step::Wait(flow) => flow.await,
        }
    }

    /// Whether it let somebody in for a proof: `before` was known when it began, `after` now.
    pub(in crate::authenticate) fn was_shown(
        &self,
        before: Option<&Caller>,
        after: Option<&Caller>,
    ) -> bool {
        let same = || match (before, after) {
            (Some(before), Some(after)) => Arc::ptr_eq(&before.credential, &after.credential),
            _ => false,
        };
        !self.open || !is_stranger(after) && !same()
    }
}

impl Saved {
    /// How it stands now.
    pub(in crate::authenticate) fn of(exchange: &Exchange) -> Self {
        let Request { headers, target, .. } = &exchange.request;
        Self {
            headers: headers.clone(),
            target: target.clone(),
            caller: exchange.caller.clone(),
            parts: exchange.parts.len(),
        }
    }

    /// Puts it back.
    pub(in crate::authenticate) fn restore(self, exchange: &mut Exchange) {
        exchange.request.headers = self.headers;
        exchange.request.target = self.target;
        exchange.caller = self.caller;
        exchange.parts.truncate(self.parts);
    }
}

/// Notes that these parts of `whose` run from here to the end.
pub(in crate::authenticate) fn note<T>(exchange: &mut Exchange, whose: &T, parts: u32) {
    exchange.parts.push((address(whose), parts));
}

/// Those parts of `whose` that ran, in order.
pub(in crate::authenticate) fn ran<'p, T>(
    exchange: &Exchange,
    whose: &T,
    parts: &'p [Part],
) -> impl DoubleEndedIterator<Item = &'p Part> + use<'p, T> {
    let noted = exchange.parts.iter().find(|(whom, _)| *whom == address(whose));
    let bits = noted.map_or(0, |(_, bits)| *bits);
    parts.iter().enumerate().filter(move |(n, _)| bits >> n & 1 == 1).map(|(_, part)| part)
}

/// Where it is in memory: it is shared and stays there as long as an exchange runs through it.
fn address<T>(whose: &T) -> usize {
    std::ptr::from_ref(whose).addr()
}
