//! Asks that the caller's application has a plan with this API in it.
//!
//! What applications may call stands in `plans`, who has which in `subscriptions`. Asked in this
//! order: is the caller an application; is it enabled; is its organization; does one of its plans
//! have the API, its version and the route; does the subscription count, and has it not ended; is
//! the plan enabled. Each `no` is a refusal with 403 and a code of its own. One subscription that
//! holds is enough.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     version: v1
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - subscription: {}
//!     routes:
//!       - { name: one, match: { methods: [GET], path: "/{id}" } }
//!       - { name: new, match: { methods: [POST] } }
//! applications:
//!   - name: shop
//!     keys: [ { sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683 } ]
//! plans:
//!   - { name: gold, apis: [ orders ] }
//!   - { name: trial, apis: [ { api: orders, version: v1, routes: [ one ] } ] }
//! subscriptions:
//!   - { application: shop, plan: trial, until: 2027-01-31 }
//! ```
//!
//! `plans` narrows down which plans count on this route, where an application may have several.
//!
//! **Plans have limits, too**: policies of the phase `limit`, which hold for calls that this policy
//! lets in by that plan, in all APIs of the plan together. Where several subscriptions hold, it is
//! the first one's plan, in the order of the document.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies: [ { api_key: {} }, { subscription: {} } ]
//! plans:
//!   - name: gold
//!     apis: [ orders ]
//!     policies:
//!       - quota: { limit: 100000, window: month }
//!       - rate: { limit: 50, window: 1s, by: application }
//!   - { name: trial, apis: [ orders ], policies: [ { quota: { limit: 100, window: day } } ] }
//! ```
//!
//! They hold beside those of the document, the API and the route, and run after them: whatever
//! has the least left decides, and none replaces another.

mod standing;

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Plan, Policy, PolicyKind, Posture, Refusal, Stage, Step,
    codes,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use standing::{Standing, standing};

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "subscription",
    phase: Phase::Authorize,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[
        &NO_APPLICATION,
        &codes::APPLICATION_DISABLED,
        &codes::ORGANIZATION_DISABLED,
        &NOT_SUBSCRIBED,
        &NOT_IN_PLAN,
        &DISABLED,
        &ENDED,
        &PLAN_DISABLED,
    ],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// A reason why the caller has no plan for this.
const fn refused(name: &'static str, title: &'static str, cure: &'static str) -> Code {
    Code {
        name,
        status: 403,
        grpc: 7,
        title,
        proxy_error: "http_request_denied",
        fault: Fault::Caller,
        cure,
    }
}

static NO_APPLICATION: Code = refused(
    "application_unknown",
    "Only known applications may call this",
    "Show a credential of an application. Operators: the credential that was shown, if any, names \
     no application of the document; map it to one, and let a policy of the phase authenticate \
     stand in the same chain.",
);

static NOT_SUBSCRIBED: Code = refused(
    "not_subscribed",
    "The application has no plan for this API",
    "Subscribe to a plan that has this version of the API; operators see them in `plans`, and add \
     to `subscriptions`.",
);

static NOT_IN_PLAN: Code = refused(
    "not_in_plan",
    "The application's plan does not have this",
    "Subscribe to a plan that has this route and method; operators add them to the plan's `apis`.",
);

static DISABLED: Code = refused(
    "subscription_disabled",
    "The application's subscription is not active",
    "Wait for its approval, or ask whoever runs the API why it is suspended; operators set its \
     `enabled`.",
);

static ENDED: Code = refused(
    "subscription_ended",
    "The application's subscription has ended",
    "Renew it with whoever runs the API; operators set its `until`.",
);

static PLAN_DISABLED: Code = refused(
    "plan_disabled",
    "The application's plan is not offered any more",
    "Subscribe to another plan; operators set the plan's `enabled`.",
);

/// Which plans count.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "SubscriptionPolicy")]
struct Settings {
    /// Names of the plans that count here; every one unless said.
    plans: Option<Vec<String>>,
}

/// Asks for a subscription.
#[derive(Debug)]
struct Subscribed {
    plans: Option<Vec<String>>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let at = at.key("plans");
    if settings.plans.as_ref().is_some_and(Vec::is_empty) {
        let problem = Problem::new(&at, "an empty list lets nobody in");
        problems.push(problem.hint("name plans, or leave it out for every plan to count"));
    }
    for (number, name) in settings.plans.iter().flatten().enumerate() {
        if !cx.directory.has_plan(name) {
            let problem = Problem::new(&at.index(number), format!("there is no plan `{name}`"));
            problems.push(problem.hint("name one of the document's `plans`"));
        }
    }
    if problems.is_empty() {
        Ok(Arc::new(Subscribed { plans: settings.plans }))
    } else {
        Err(problems)
    }
}

impl Policy for Subscribed {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match self.decide(exchange) {
            Ok(plan) => {
                exchange.plan = plan;
                Step::next()
            }
            Err(refusal) => Step::refuse(refusal),
        }
    }
}

impl Subscribed {
    /// The plan it is called by.
    fn decide(&self, exchange: &Exchange) -> Result<Option<Arc<Plan>>, Refusal> {
        let caller = exchange.caller.as_ref();
        let application = caller.and_then(|caller| caller.application.as_ref());
        let application = application.ok_or(&NO_APPLICATION)?;
        application.may_call()?;
        let Some(route) = &exchange.route else {
            return Err(Refusal::new(&NOT_SUBSCRIBED).note("no API answers here"));
        };
        let counts = |name: &str| {
            self.plans.as_ref().is_none_or(|plans| plans.iter().any(|plan| plan == name))
        };
        let of_them = application.subscriptions.iter().filter(|one| counts(&one.plan.name));
        let (stands, nearest) = standing(of_them, route, exchange.request.method, exchange.wall);
        let code = match stands {
            Standing::Active => return Ok(nearest.map(|one| one.plan.clone())),
            Standing::NotSubscribed => &NOT_SUBSCRIBED,
            Standing::NotInPlan => &NOT_IN_PLAN,
            Standing::Disabled => &DISABLED,
            Standing::Ended => &ENDED,
            Standing::PlanDisabled => &PLAN_DISABLED,
        };
        Err(Refusal::new(code))
    }
}
