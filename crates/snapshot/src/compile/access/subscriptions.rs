//! Who subscribes to what, until it is known whose it is.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1;
use policy::{Directory, Plan, Subscription, World};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use super::super::{Findings, unknown};
use super::origin::{List, Origin};
use super::{TOLD_MAX, lines, plans};

/// Most applications among which one is looked for that may have been meant.
const SEARCHED_MAX: usize = 10_000;

/// A subscription by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Terms {
    /// The plan's number.
    plan: u32,
    enabled: bool,
    /// When it ends, in seconds since 1970; `u64::MAX` where it does not.
    until: u64,
}

/// What an application is subscribed to, and where that stands; mostly one.
type Written = SmallVec<[(Terms, Origin); 1]>;

/// Subscriptions by the application's name.
#[derive(Default)]
pub(super) struct Subscriptions {
    plans: Vec<Arc<Plan>>,
    by_application: HashMap<Box<str>, Written, FxBuildHasher>,
    /// Lists that many applications have in common, each made once.
    shared: HashMap<Vec<Terms>, Arc<Vec<Subscription>>, FxBuildHasher>,
}

impl Subscriptions {
    pub fn compile(document: &v1::Document, world: &dyn World, findings: &mut Findings) -> Self {
        let mut all = Self { plans: plans::compile(document, findings), ..Self::default() };
        let names = document.plans.iter().enumerate();
        let names = names.map(|(number, plan)| (plan.name.as_str(), number as u32)).collect();
        for (number, written) in document.subscriptions.iter().enumerate() {
            all.add(written, Origin::written(List::Subscriptions, number), &names, findings);
        }
        let at = Pointer::root().key("long_lists").key("subscriptions");
        for (file, name) in document.long_lists.subscriptions.iter().enumerate() {
            let bytes =
                world.read(name, "list of subscriptions", lines::BYTES_MAX, &at.index(file));
            let bytes = findings.take(bytes).unwrap_or_default();
            let before = findings.problems.len();
            all.by_application.reserve(lines::count(&bytes));
            for (line, item) in lines::items(&bytes) {
                let origin = Origin::line(List::Subscriptions, file, line);
                match item {
                    Ok(written) => all.add(&written, origin, &names, findings),
                    Err(what) => findings.problem(lines::problem(origin, &what)),
                }
                if findings.problems.len() - before >= TOLD_MAX {
                    break;
                }
            }
        }
        all
    }

    fn add(
        &mut self,
        written: &v1::Subscription,
        origin: Origin,
        names: &HashMap<&str, u32>,
        findings: &mut Findings,
    ) {
        let Some(plan) = names.get(written.plan.as_str()).copied() else {
            let known = names.keys().copied();
            let problem = unknown(&origin.below(&["plan"]), "plan", &written.plan, known);
            let what = origin.told(&problem.what);
            return findings.problem(Problem { what, ..problem });
        };
        let until = written.until.map_or(u64::MAX, base::Moment::as_secs);
        let terms = Terms { plan, enabled: written.enabled, until };
        let Some(others) = self.by_application.get_mut(written.application.as_str()) else {
            let name = written.application.as_str().into();
            self.by_application.insert(name, SmallVec::from([(terms, origin)]));
            return;
        };
        if let Some((_, first)) = others.iter().find(|(other, _)| other.plan == plan) {
            let (application, plan) = (&written.application, &written.plan);
            let what = format!("application `{application}` subscribes to plan `{plan}` twice");
            let problem = origin.problem(&["plan"], what).hint("keep one of them");
            return findings.problem(first.first(&["plan"], problem));
        }
        others.push((terms, origin));
    }

    /// Those of this application, which exists.
    pub fn of(&mut self, application: &str) -> Arc<Vec<Subscription>> {
        let mut terms: Vec<Terms> = match self.by_application.remove(application) {
            Some(found) => found.into_iter().map(|(terms, _)| terms).collect(),
            None => Vec::new(),
        };
        terms.sort_unstable();
        if let Some(known) = self.shared.get(&terms) {
            return known.clone();
        }
        let made = terms.iter().filter_map(|terms| {
            let plan = self.plans.get(terms.plan as usize)?.clone();
            let until = Some(terms.until).filter(|until| *until != u64::MAX);
            Some(Subscription { plan, enabled: terms.enabled, until })
        });
        let made = Arc::new(made.collect::<Vec<_>>());
        self.shared.insert(terms, made.clone());
        made
    }

    /// What is left is nobody's.
    pub fn finish(self, directory: &Directory, findings: &mut Findings) {
        let mut left: Vec<(Box<str>, Origin)> = self
            .by_application
            .into_iter()
            .flat_map(|(name, all)| all.into_iter().map(move |(_, origin)| (name.clone(), origin)))
            .collect();
        left.sort_unstable_by_key(|(_, origin)| *origin);
        for (name, origin) in left.into_iter().take(TOLD_MAX) {
            let at = origin.below(&["application"]);
            let problem = match directory.applications().len() {
                0..=SEARCHED_MAX => unknown(&at, "application", &name, directory.names()),
                _ => Problem::new(&at, format!("there is no application `{name}`"))
                    .hint("correct the name, or remove the subscription"),
            };
            let what = origin.told(&problem.what);
            findings.problem(Problem { what, ..problem });
        }
    }
}
