//! APIs and their routes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1;
use contract::Contract;
use policy::RouteNames;
use rustc_hash::FxBuildHasher;

use super::actions::{self, Place};
use super::contracts::{self, Planned, Standing};
use super::policies::{Owner, Policies};
use super::upstreams::Upstreams;
use super::{Findings, host, matches, plans, unknown};
use crate::diff::fingerprint;
use crate::router::{Host, Rule};
use crate::{Api, Chain, ChainStep, Listener, Route};

/// Routes an API may have no name for: longer ones are cut.
pub(super) const NAME_BYTES: usize = 100;

/// What compiling APIs needs.
pub(super) struct Apis<'a, 'u, 'p> {
    pub listeners: &'a [Arc<Listener>],
    pub upstreams: &'a mut Upstreams<'u>,
    pub policies: &'a mut Policies<'p>,
    pub for_all: &'a [ChainStep],
    pub plans: &'a [plans::Limits<'a>],
    pub findings: &'a mut Findings,
}

/// What the routes of an API have in common.
struct Common<'a> {
    written: &'a v1::Api,
    at: Pointer,
    api: Arc<Api>,
    /// Empty where none of them is right: such an API gets no rules, or they would seem to collide
    /// with others'.
    hosts: Arc<[Host]>,
    listeners: Option<Arc<[usize]>>,
    /// What runs on its routes.
    free: Steps,
    /// What runs on those of its contract.
    held: Option<Steps>,
    contract: Option<Contract>,
}

/// The policies of an API, and the chain of a route that has none of its own.
struct Steps {
    own: Vec<ChainStep>,
    chain: Arc<Chain>,
}

/// The versions of every API, by its name.
pub(super) fn versions(
    routes: &[Arc<Route>],
) -> HashMap<Arc<str>, Vec<Option<Arc<str>>>, FxBuildHasher> {
    let mut apis: HashMap<Arc<str>, Vec<Option<Arc<str>>>, FxBuildHasher> = HashMap::default();
    for api in routes.iter().map(|route| &route.api) {
        let versions = apis.entry(api.name.clone()).or_default();
        // Routes of an API stand beside one another.
        if versions.last() != Some(&api.version) {
            versions.push(api.version.clone());
        }
    }
    apis
}

impl Apis<'_, '_, '_> {
    /// Every route and what it matches, in the order of the document.
    pub fn compile(mut self, document: &v1::Document) -> (Vec<Arc<Route>>, Vec<Rule>) {
        let (mut routes, mut rules) = (Vec::new(), Vec::new());
        let list = Pointer::root().key("apis");
        for (number, written) in document.apis.iter().enumerate() {
            let common = self.common(written, list.index(number));
            let mut names = self.names(&common);
            let contract = common.contract.as_ref();
            for planned in contracts::plan(written, contract, &common.at, self.findings) {
                let name = unique_name(&planned.route, &mut names);
                let Some((route, rule)) = self.route(planned, &common, name, routes.len()) else {
                    continue;
                };
                routes.push(route);
                rules.push(rule);
            }
        }
        plans::check(self.plans, &routes, self.findings);
        (routes, rules)
    }

    fn common<'d>(&mut self, written: &'d v1::Api, at: Pointer) -> Common<'d> {
        let mut is_right = true;
        let path = match crate::path::canonical(&written.path) {
            Ok(_) if written.path.contains(['{', '}']) => {
                let what = format!("the API's path `{}` has a brace", written.path);
                let hint = "put parameters into the routes' paths: `match: { path: /{id} }`";
                self.findings.problem(Problem::new(&at.key("path"), what).hint(hint));
                is_right = false;
                String::new()
            }
            Ok(path) => path.strip_suffix('/').map_or(path.clone(), str::to_owned),
            Err(bad) => {
                self.findings.problem(bad.problem(&at.key("path")));
                is_right = false;
                String::new()
            }
        };
        let api = Arc::new(Api {
            name: written.name.as_str().into(),
            version: written.version.as_deref().map(Into::into),
            path: path.into(),
            fingerprint: fingerprint(written, ()),
        });
        let title = title(&api);
        let steps =
            self.policies.compile(&written.policies, &Owner::Api(&title), &at, self.findings);
        let contract = self.contract(written, &at);
        let held = contract.as_ref().and_then(|_| {
            let full = written.contract.as_ref()?.full();
            let step = self.policies.contract(&full, &Owner::Api(&title), &at, self.findings)?;
            Some(self.steps(&api, steps.iter().cloned().chain([step]).collect()))
        });
        let free = self.steps(&api, steps);
        let timeouts = written.timeouts.iter();
        timeouts.for_each(|timeouts| {
            super::retry::check_overrides(timeouts, &at.key("timeouts"), self.findings);
        });
        let hosts = self.hosts(written, &at.key("hosts"));
        let hosts = if is_right { hosts } else { Arc::default() };
        let listeners = self.listeners(written, &at.key("listeners"));
        Common { written, at, api, hosts, listeners, free, held, contract }
    }

    /// What the API's contract says.
    fn contract(&mut self, written: &v1::Api, at: &Pointer) -> Option<Contract> {
        let full = written.contract.as_ref()?.full();
        let read = self.policies.read(&full, &at.key("contract").key("file"));
        read.map_err(|problems| self.findings.problems.extend(problems)).ok()
    }

    fn steps(&self, api: &Api, own: Vec<ChainStep>) -> Steps {
        let chain = self.chain(api, &own, &[]);
        Steps { own, chain }
    }

    /// What runs on routes of `api` with these policies.
    fn chain(&self, api: &Api, steps: &[ChainStep], own: &[ChainStep]) -> Arc<Chain> {
        let limits = plans::holding(self.plans, &api.name, &[self.for_all, steps, own]);
        Arc::new(Chain::of(&[self.for_all, steps, own, &limits]))
    }

    fn hosts(&mut self, written: &v1::Api, at: &Pointer) -> Arc<[Host]> {
        let mut hosts: Vec<Host> = Vec::with_capacity(written.hosts.len());
        for (number, text) in written.hosts.iter().enumerate() {
            let at = at.index(number);
            match host::parse(text, &at) {
                Ok(host) if hosts.contains(&host) => {
                    let problem = Problem::new(&at, format!("the host `{text}` stands here twice"));
                    self.findings.problem(problem.hint("remove one of them"));
                }
                Ok(host) => hosts.push(host),
                Err(problem) => self.findings.problem(problem),
            }
        }
        if written.hosts.is_empty() { [Host::Any].into() } else { hosts.into() }
    }

    fn listeners(&mut self, written: &v1::Api, at: &Pointer) -> Option<Arc<[usize]>> {
        if written.listeners.is_empty() {
            return None;
        }
        let mut numbers = Vec::with_capacity(written.listeners.len());
        for (number, name) in written.listeners.iter().enumerate() {
            match self.listeners.iter().find(|listener| *listener.name == **name) {
                Some(listener) if listener.relay.is_some() => {
                    let what = format!("no request comes by the listener `{name}`");
                    let hint = "it passes bytes on unopened: name one that speaks HTTP";
                    self.findings.problem(Problem::new(&at.index(number), what).hint(hint));
                }
                Some(listener) => numbers.push(listener.number),
                None => {
                    let names = self.listeners.iter().map(|listener| &*listener.name);
                    self.findings.problem(unknown(&at.index(number), "listener", name, names));
                }
            }
        }
        Some(numbers.into())
    }

    /// The names that routes have by their writer's word.
    fn names(&mut self, common: &Common<'_>) -> HashSet<String> {
        let mut names: HashMap<&str, Pointer> = HashMap::new();
        for (number, route) in common.written.routes.iter().enumerate() {
            let Some(name) = &route.name else { continue };
            let at = common.at.key("routes").index(number).key("name");
            if name.is_empty() || name.len() > NAME_BYTES || name.contains(char::is_control) {
                let what = format!("a route's name has 1 to {NAME_BYTES} bytes of text");
                self.findings.problem(Problem::new(&at, what));
            }
            if let Some(first) = names.get(name.as_str()) {
                let what = format!("API `{}` has two routes named `{name}`", common.api);
                let problem = Problem::new(&at, what).hint("give one of them another name");
                self.findings.problem(problem.see(first, "the first one"));
            }
            names.entry(name).or_insert(at);
        }
        names.into_keys().map(str::to_owned).collect()
    }

    fn route(
        &mut self,
        planned: Planned<'_>,
        common: &Common<'_>,
        name: String,
        number: usize,
    ) -> Option<(Arc<Route>, Rule)> {
        let Planned { route: written, at, standing } = planned;
        let written = &*written;
        let steps = match standing {
            Standing::Free => &common.free,
            // Without them something is wrong, which has been said.
            Standing::Operation(_) | Standing::Unknown => common.held.as_ref()?,
        };
        let chain = if written.policies.is_empty() {
            steps.chain.clone()
        } else {
            let title = title(&common.api);
            let owner = Owner::Route(&title, &name);
            let own = self.policies.compile(&written.policies, &owner, &at, self.findings);
            self.chain(&common.api, &steps.own, &own)
        };
        let at_match = at.key("match");
        let path = matches::path(&written.matches, &common.api.path, &at_match, self.findings);
        let list = at_match.key("methods");
        let methods = matches::methods(&written.matches.methods, &list, self.findings);
        let headers = matches::headers(&written.matches, &at_match, self.findings);
        let query = matches::query(&written.matches, &at_match, self.findings);
        let place = Place { api: common.written, at_api: &common.at, route: written, at: &at };
        let prefix = path.as_ref().map_or(0, |path| path.prefix);
        let params = path.as_ref().map(|path| path.params()).unwrap_or_default();
        let action = actions::Actions {
            place,
            base: common.api.path.len(),
            prefix,
            params: &params,
            upstreams: self.upstreams,
            findings: self.findings,
        }
        .compile();
        let name: Arc<str> = name.into();
        let names = RouteNames {
            api: common.api.name.clone(),
            version: common.api.version.clone(),
            route: name.clone(),
            params,
            operation: standing.operation(),
        };
        let route = Arc::new(Route {
            number,
            name,
            names: Arc::new(names),
            api: common.api.clone(),
            at,
            chain,
            action: action?,
            priority: written.priority.or(common.written.priority).unwrap_or_default(),
            body_rate: written.body_rate.or(common.written.body_rate).map(|rate| rate.0),
        });
        let rule = Rule {
            route: route.clone(),
            listeners: common.listeners.clone().map(Box::new),
            hosts: common.hosts.clone(),
            patterns: path?.patterns,
            methods,
            headers,
            query,
        };
        Some((route, rule))
    }
}

/// What ids and messages call an API.
fn title(api: &Api) -> String {
    match &api.version {
        Some(version) => format!("{}:{version}", api.name),
        None => api.name.to_string(),
    }
}

/// The name a route was given, or one made of its methods and path that no other has.
fn unique_name(route: &v1::Route, names: &mut HashSet<String>) -> String {
    if let Some(name) = &route.name {
        return name.clone();
    }
    let path = match &route.matches.path {
        None => "/*".to_owned(),
        Some(v1::PathMatch::Template(path) | v1::PathMatch::Exact { exact: path }) => path.clone(),
        Some(v1::PathMatch::Prefix { prefix }) => format!("{}/*", prefix.trim_end_matches('/')),
        Some(v1::PathMatch::Regex { regex }) => format!("~{regex}"),
    };
    let methods = route.matches.methods.join(",");
    let mut made = if methods.is_empty() { path } else { format!("{methods} {path}") };
    made.retain(|c| !c.is_control());
    made.truncate(made.floor_char_boundary(NAME_BYTES));
    let numbered = |number: usize| match number {
        1 => made.clone(),
        number => format!("{made} #{number}"),
    };
    let free = (1..).map(numbered).find(|name| !names.contains(name)).unwrap_or(made.clone());
    names.insert(free.clone());
    free
}
