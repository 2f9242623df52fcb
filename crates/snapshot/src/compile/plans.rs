//! What plans limit their subscribers by, and where that holds.

use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1::{self, PlanApi};
use policy::Phase;

use super::Findings;
use super::policies::{Owner, Policies};
use crate::{ChainStep, Route};

/// The policy that says by which plan a call is made.
const DECIDES: &str = "subscription";

/// The limits of a plan.
pub(super) struct Limits<'a> {
    written: &'a v1::Plan,
    at: Pointer,
    steps: Vec<ChainStep>,
}

/// The limits of the document's plans.
pub(super) fn compile<'a>(
    document: &'a v1::Document,
    policies: &mut Policies<'_>,
    findings: &mut Findings,
) -> Vec<Limits<'a>> {
    let list = Pointer::root().key("plans");
    let mut limits = Vec::new();
    for (number, written) in document.plans.iter().enumerate() {
        let at = list.index(number);
        let steps = policies.compile(&written.policies, &Owner::Plan(&written.name), &at, findings);
        for step in steps.iter().filter(|step| step.phase != Phase::Limit) {
            let what = format!("`{}` is no limit", step.kind);
            let hint = "a plan has policies of the phase `limit`; write others in the API";
            findings.problem(Problem::new(&step.at, what).hint(hint));
        }
        if !steps.is_empty() {
            limits.push(Limits { written, at, steps });
        }
    }
    limits
}

/// The limits that hold in `chain`, for routes of the API `api`: those of plans that have it, where
/// somebody asks by which plan a call is made.
pub(super) fn holding(limits: &[Limits<'_>], api: &str, chain: &[&[ChainStep]]) -> Vec<ChainStep> {
    let decided = chain.iter().copied().flatten().any(|step| step.kind == DECIDES);
    let there = limits.iter().filter(|one| decided && one.apis().any(|(_, name)| name == api));
    there.flat_map(|one| one.steps.iter().cloned()).collect()
}

/// A plan's limits that hold nowhere in an API of it are a mistake that nobody would see.
pub(super) fn check(limits: &[Limits<'_>], routes: &[Arc<Route>], findings: &mut Findings) {
    for one in limits {
        for (at, api) in one.apis() {
            let mut own = routes.iter().filter(|route| *route.api.name == *api).peekable();
            let known = own.peek().is_some();
            let decides =
                |route: &Arc<Route>| route.chain.steps.iter().any(|it| it.kind == DECIDES);
            if known && !own.any(decides) {
                let plan = &one.written.name;
                let what = format!("the limits of plan `{plan}` hold nowhere in API `{api}`");
                let hint = "add `subscription: {}` to its policies, which says by which plan \
                            somebody calls";
                findings.problem(Problem::new(&at, what).hint(hint));
            }
        }
    }
}

impl Limits<'_> {
    /// The APIs in the plan, and where they stand.
    fn apis(&self) -> impl Iterator<Item = (Pointer, &str)> {
        let list = self.at.key("apis");
        self.written.apis.iter().enumerate().map(move |(number, api)| match api {
            PlanApi::Name(name) => (list.index(number), name.as_str()),
            PlanApi::Part(part) => (list.index(number).key("api"), part.api.as_str()),
        })
    }
}
