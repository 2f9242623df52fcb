//! Plans: which parts of which APIs.

use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1::{self, PlanApi, PlanPart as Written};
use policy::{Plan, PlanPart};

use super::super::{Findings, matches, unknown};

/// The document's plans, in their order.
pub(super) fn compile(document: &v1::Document, findings: &mut Findings) -> Vec<Arc<Plan>> {
    let mut plans = Vec::with_capacity(document.plans.len());
    for (number, written) in document.plans.iter().enumerate() {
        let at = Pointer::root().key("plans").index(number).key("apis");
        let parts = written.apis.iter().enumerate();
        let parts = parts.map(|(number, api)| part(document, api, &at.index(number), findings));
        plans.push(Arc::new(Plan {
            name: written.name.as_str().into(),
            enabled: written.enabled,
            parts: parts.collect(),
        }));
    }
    plans
}

fn part(
    document: &v1::Document,
    written: &PlanApi,
    at: &Pointer,
    findings: &mut Findings,
) -> PlanPart {
    let (api, part) = match written {
        PlanApi::Name(name) => (name, None),
        PlanApi::Part(part) => (&part.api, Some(part)),
    };
    let at_name = if part.is_some() { at.key("api") } else { at.clone() };
    let versions: Vec<&v1::Api> = document.apis.iter().filter(|known| known.name == *api).collect();
    if versions.is_empty() {
        let names = document.apis.iter().map(|known| &*known.name);
        findings.problem(unknown(&at_name, "API", api, names));
    } else if let Some(part) = part {
        check(&versions, part, at, findings);
    }
    PlanPart {
        api: api.as_str().into(),
        version: part.and_then(|part| part.version.as_deref()).map(Into::into),
        routes: part
            .map_or(&[][..], |part| &part.routes)
            .iter()
            .map(|it| it.as_str().into())
            .collect(),
        methods: part.map_or_else(Box::default, |part| {
            matches::methods(&part.methods, &at.key("methods"), findings)
        }),
    }
}

/// What a part names that the API does not have: a plan that lets nothing through is a mistake, and
/// the one who has paid for it would be told that it has not.
fn check(versions: &[&v1::Api], part: &Written, at: &Pointer, findings: &mut Findings) {
    let meant = |api: &&&v1::Api| part.version.is_none() || api.version == part.version;
    if let Some(version) = &part.version
        && !versions.iter().any(|api| meant(&api))
    {
        let known = versions.iter().filter_map(|api| api.version.as_deref());
        let problem = unknown(&at.key("version"), "version", version, known);
        let what = format!("API `{}` has no version `{version}`", part.api);
        return findings.problem(Problem { what, ..problem });
    }
    let routes = versions.iter().filter(meant).flat_map(|api| &api.routes);
    let known = routes.filter_map(|route| route.name.as_deref());
    for (number, name) in part.routes.iter().enumerate() {
        if known.clone().any(|known| known == name) {
            continue;
        }
        let at = at.key("routes").index(number);
        let problem = unknown(&at, "route", name, known.clone());
        let what = format!("API `{}` has no route named `{name}`", part.api);
        findings.problem(match known.clone().next() {
            Some(_) => Problem { what, ..problem },
            None => Problem { what, ..problem }.hint("give the routes that plans name a `name`"),
        });
    }
}
