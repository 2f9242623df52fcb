//! Uses of policies become policies, each with an id that is its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use config::v1::{self, PolicyUse};
use contract::{Contract, Files};
use policy::message::Name;
use policy::{Chore, Compile, Condition, Directory, LogTarget};

use super::world::World;
use super::{Findings, Inputs, unknown};
use crate::{ChainStep, Level};

/// The policy that holds an API to its contract; it stands beside the others, not among them.
const CONTRACT: &str = "contract";

/// Whose policies are compiled.
pub(super) enum Owner<'a> {
    /// The document's.
    Document,
    /// An API's.
    Api(&'a str),
    /// A route's.
    Route(&'a str, &'a str),
    /// A plan's.
    Plan(&'a str),
}

impl Owner<'_> {
    const fn level(&self) -> Level {
        match self {
            Self::Document => Level::Document,
            Self::Api(_) => Level::Api,
            Self::Route(..) => Level::Route,
            Self::Plan(_) => Level::Plan,
        }
    }

    /// What ids of its policies start with.
    fn prefix(&self) -> String {
        match self {
            Self::Document => "document".to_owned(),
            Self::Api(api) => format!("api/{api}"),
            Self::Route(api, route) => format!("route/{api}/{route}"),
            Self::Plan(plan) => format!("plan/{plan}"),
        }
    }

    /// The plan by which one has to call.
    fn plan(&self) -> Option<Arc<str>> {
        match self {
            Self::Plan(plan) => Some((*plan).into()),
            _ => None,
        }
    }
}

/// Makes policies.
pub(super) struct Policies<'a> {
    inputs: &'a Inputs<'a>,
    world: &'a World<'a>,
    directory: &'a Arc<Directory>,
    /// Ids people wrote, and where.
    written: HashMap<String, Pointer>,
    /// Ids that were made.
    made: HashSet<String>,
    identity_headers: Vec<String>,
    log_targets: Vec<Arc<LogTarget>>,
    chores: Vec<Arc<dyn Chore>>,
}

/// What policies made beside themselves.
pub(super) struct Made {
    /// Header names that say who the caller is.
    pub identity_headers: Vec<Name>,
    /// Where logs go.
    pub log_targets: Vec<Arc<LogTarget>>,
    /// What goes on beside the requests.
    pub chores: Vec<Arc<dyn Chore>>,
}

impl<'a> Policies<'a> {
    pub fn new(
        inputs: &'a Inputs<'a>,
        world: &'a World<'a>,
        directory: &'a Arc<Directory>,
    ) -> Self {
        Self {
            inputs,
            world,
            directory,
            written: HashMap::new(),
            made: HashSet::new(),
            identity_headers: Vec::new(),
            log_targets: Vec::new(),
            chores: Vec::new(),
        }
    }

    /// Compiles a list `policies` of what stands at `at`.
    pub fn compile(
        &mut self,
        uses: &[PolicyUse],
        owner: &Owner<'_>,
        at: &Pointer,
        findings: &mut Findings,
    ) -> Vec<ChainStep> {
        if uses.is_empty() {
            return Vec::new();
        }
        let list = at.key("policies");
        let mut steps = Vec::with_capacity(uses.len());
        for (number, one) in uses.iter().enumerate() {
            let at = list.index(number);
            if one.name == CONTRACT {
                let problem =
                    Problem::key(&at.key(CONTRACT), "a contract is not one of the policies");
                let hint = "write `contract:` beside `policies:`: it says which routes there are";
                findings.problem(problem.hint(hint));
                continue;
            }
            steps.extend(self.step(one, owner, &at, findings));
        }
        steps
    }

    /// What holds an API, which stands at `at`, to its contract.
    pub fn contract(
        &mut self,
        written: &v1::Contract,
        owner: &Owner<'_>,
        at: &Pointer,
        findings: &mut Findings,
    ) -> Option<ChainStep> {
        let settings = serde_json::to_value(written).unwrap_or_default();
        let one = PolicyUse { name: CONTRACT.into(), settings, when: None, id: None };
        self.step(&one, owner, at, findings)
    }

    /// What an API's contract says, which is named at `at`.
    pub fn read(&self, written: &v1::Contract, at: &Pointer) -> Result<Contract, Problems> {
        let reached: (&dyn policy::World, _) = (self.world, self.inputs.carry);
        let files = Files::read(&written.file, &written.references, at, reached);
        Contract::read(files.map_err(|problem| vec![problem])?, at)
    }

    fn step(
        &mut self,
        one: &PolicyUse,
        owner: &Owner<'_>,
        at: &Pointer,
        findings: &mut Findings,
    ) -> Option<ChainStep> {
        let id = self.id(one, owner, at, findings);
        let when = match one.when.as_deref().map(Condition::compile).transpose() {
            Ok(when) => when.map(Arc::new),
            Err(bad) => {
                findings.problem(bad.problem(&at.key("when")));
                None
            }
        };
        let at_settings = at.key(one.name.as_str());
        let Some(kind) = self.inputs.registry.find(&one.name) else {
            let names = self.inputs.registry.kinds().iter().map(|kind| kind.name);
            let problem = unknown(&at_settings, "policy", &one.name, names);
            findings.problem(Problem { at_key: true, ..problem });
            return None;
        };
        let mut with = Compile {
            directory: self.directory,
            registry: self.inputs.registry,
            world: self.world,
            carry: self.inputs.carry,
            id: &id,
            identity_headers: &mut self.identity_headers,
            log_targets: &mut self.log_targets,
            chores: &mut self.chores,
        };
        match (kind.compile)(&one.settings, &at_settings, &mut with) {
            Ok(policy) => Some(ChainStep {
                policy,
                kind: kind.name,
                id: id.into(),
                phase: kind.phase,
                level: owner.level(),
                at: Arc::new(at.clone()),
                plan: owner.plan(),
                when,
            }),
            Err(problems) => {
                findings.problems.extend(problems);
                None
            }
        }
    }

    /// The id that was written, or one made from the place: the same as long as the use is not
    /// moved.
    fn id(
        &mut self,
        one: &PolicyUse,
        owner: &Owner<'_>,
        at: &Pointer,
        findings: &mut Findings,
    ) -> String {
        let Some(id) = &one.id else {
            let id = format!("{}/{}", owner.prefix(), one.name);
            let numbered = |number: usize| match number {
                1 => id.clone(),
                number => format!("{id}-{number}"),
            };
            let free = (1..).map(numbered).find(|id| !self.made.contains(id)).unwrap_or(id.clone());
            self.made.insert(free.clone());
            return free;
        };
        let at = at.key("id");
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if id.is_empty() || id.len() > 64 || !id.bytes().all(good) {
            let problem = Problem::new(&at, format!("`{id}` is no id"));
            let hint = "an id has up to 64 letters, digits, `-`, `_` and `.`";
            findings.problem(problem.hint(hint));
        } else if let Some(first) = self.written.get(id) {
            findings.problem(
                Problem::new(&at, format!("two policies have the id `{id}`"))
                    .hint("give one of them another, or leave it out")
                    .see(first, "the first one"),
            );
        }
        self.written.entry(id.clone()).or_insert(at);
        id.clone()
    }

    /// What they made beside themselves.
    pub fn finish(self) -> Made {
        let mut names: Vec<Name> = Vec::new();
        for name in self.identity_headers.iter().filter_map(|name| Name::new(name)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut chores: Vec<Arc<dyn Chore>> = Vec::new();
        for chore in self.chores {
            if !chores.iter().any(|known| Arc::ptr_eq(known, &chore)) {
                chores.push(chore);
            }
        }
        Made { identity_headers: names, log_targets: self.log_targets, chores }
    }
}
