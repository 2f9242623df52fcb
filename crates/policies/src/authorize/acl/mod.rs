//! Lets in some applications, groups or organizations, or keeps some out.
//!
//! With `allow`, a caller comes in whom one of its lists has; with `deny`, one whom none of them
//! has. Everyone else is refused with 403. One of the two stands there, not both.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - api_key: {}
//!       - acl: { allow: { groups: [ partners ], organizations: [ acme ] } }
//! applications:
//!   - name: shop
//!     organization: acme
//!     keys: [ { sha256: 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683 } ]
//!   - name: courier
//!     groups: [ partners ]
//!     keys: [ { sha256: 9c1b9b5f3cc8f6e0f4e4f0a0d7b8c2f3a1d4e5f60718293a4b5c6d7e8f901234 } ]
//! ```
//!
//! Groups are those of the application and those that the credential gives: a token's, a
//! directory's. `labels` have a caller whose application has one of these labels, by itself or from
//! its organization, with one of these values.
//!
//! A request that no policy has authenticated is refused, also where only `deny` is written. Where
//! an API and its document both have lists, a caller has to get past both.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{
    Caller, Code, Compile, Directory, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal,
    Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::caller::UNKNOWN;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "acl",
    phase: Phase::Authorize,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&UNKNOWN, &DENIED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static DENIED: Code = Code {
    name: "access_denied",
    status: 403,
    grpc: 7,
    title: "The caller may not use this",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Ask whoever runs the API for access; operators see the caller in the log, and put its \
           application, group or organization on the acl policy's list.",
};

/// Who may come, by what is known of the caller. One of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Acl")]
struct Settings {
    /// Who may come; nobody else may.
    allow: Option<Lists>,
    /// Who may not come; everyone else who is known may.
    deny: Option<Lists>,
}

/// Callers: those that one of these has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AclLists")]
struct Lists {
    /// Names of applications.
    applications: Vec<String>,
    /// Groups: the application's, and those that the credential gives.
    groups: Vec<String>,
    /// Names of organizations.
    organizations: Vec<String>,
    /// Values of labels, by label.
    labels: BTreeMap<String, Vec<String>>,
}

/// Decides by lists.
#[derive(Debug)]
struct Acl {
    lists: Lists,
    /// Whether those on the lists come in, or all the others.
    allows: bool,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let (lists, allows, word) = match (settings.allow, settings.deny) {
        (Some(lists), None) => (lists, true, "allow"),
        (None, Some(lists)) => (lists, false, "deny"),
        (both, _) => {
            let what = match both {
                Some(_) => "`allow` and `deny` stand side by side",
                None => "neither `allow` nor `deny` is written",
            };
            let hint = "write one of them, as in `allow: { groups: [partners] }`";
            return Err(vec![Problem::new(at, what).hint(hint)]);
        }
    };
    let at = at.key(word);
    let mut problems = Problems::new();
    if lists.are_empty() {
        let what = if allows { "empty lists let nobody in" } else { "empty lists keep nobody out" };
        let hint = "name applications, groups, organizations or labels";
        problems.push(Problem::new(&at, what).hint(hint));
    }
    lists.check(cx.directory, &at, &mut problems);
    if problems.is_empty() {
        Ok(Arc::new(Acl { lists: lists.sorted(), allows }))
    } else {
        Err(problems)
    }
}

impl Lists {
    fn are_empty(&self) -> bool {
        self.applications.is_empty()
            && self.groups.is_empty()
            && self.organizations.is_empty()
            && self.labels.values().all(Vec::is_empty)
    }

    /// Names that nobody has: a slip in `deny` would let in whom it was to keep out. Groups and
    /// labels can't be checked, since credentials give groups, too.
    fn check(&self, directory: &Directory, at: &Pointer, problems: &mut Problems) {
        let list = at.key("applications");
        for (number, name) in self.applications.iter().enumerate() {
            if directory.by_name(name).is_none() {
                let what = format!("there is no application `{name}`");
                let hint = "name one of the document's `applications`";
                problems.push(Problem::new(&list.index(number), what).hint(hint));
            }
        }
        let list = at.key("organizations");
        for (number, name) in self.organizations.iter().enumerate() {
            if !directory.has_organization(name) {
                let what = format!("there is no organization `{name}`");
                let hint = "name one of the document's `organizations`, or one that an application belongs to";
                problems.push(Problem::new(&list.index(number), what).hint(hint));
            }
        }
    }

    /// The same, ready to be searched.
    fn sorted(mut self) -> Self {
        self.applications.sort_unstable();
        self.groups.sort_unstable();
        self.organizations.sort_unstable();
        self
    }

    fn have(&self, caller: &Caller) -> bool {
        let has = |list: &[String], name: &str| {
            list.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
        };
        caller.application_name().is_some_and(|name| has(&self.applications, name))
            || caller.organization().is_some_and(|name| has(&self.organizations, name))
            || (!self.groups.is_empty() && caller.groups().any(|group| has(&self.groups, group)))
            || self.labels.iter().any(|(label, values)| {
                let labels = caller.application.as_ref().map(|application| &application.labels);
                let value = labels.and_then(|labels| labels.get(label));
                value.is_some_and(|value| values.contains(value))
            })
    }
}

impl Policy for Acl {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let Some(caller) = &exchange.caller else { return Step::refuse(Refusal::new(&UNKNOWN)) };
        if self.lists.have(caller) == self.allows {
            return Step::next();
        }
        let list = if self.allows { "not on `allow`" } else { "on `deny`" };
        let name = caller.name().unwrap_or(&caller.credential);
        Step::refuse(Refusal::new(&DENIED).note(format!("{name} is {list}")))
    }
}
