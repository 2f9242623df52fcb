//! The router: which route a request takes. Compiled once; finding a route does not allocate.
//!
//! The order in which routes are asked, and why, is `docs/manual/routing.md`: the most specific
//! host, then the most specific path, then method, header fields, query, and last the order in the
//! document. The first that matches wins.

mod allow;
mod children;
mod conflict;
mod explain;
mod host;
mod request;
mod rule;
mod tree;

use std::ops::Range;
use std::sync::Arc;

use policy::Values;
use policy::message::{Method, Request};

use crate::Route;
use crate::snapshot::place;
use tree::Walk;

pub use allow::Allow;
pub use explain::{Considered, Criterion, Verdict};
pub(crate) use host::Host;
pub(crate) use rule::{FieldTest, Patterns, Rule, Test};

/// What a router has to say to a request.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "made once and looked at where it is: a box would cost more than its room"
)]
pub enum Found<'s> {
    /// It takes this route.
    Route(&'s Arc<Route>),
    /// Routes would match but for its method; these methods are the ones that would do.
    MethodNotAllowed(Allow),
    /// No route matches.
    NotFound,
}

/// Every route of a snapshot, by what it matches.
#[derive(Debug, Default)]
pub struct Router {
    /// The rules, in the order of the document.
    rules: Vec<Rule>,
    /// The trees of their paths, by host.
    hosts: host::Hosts,
    /// The nodes of all trees.
    nodes: tree::Nodes,
}

impl Router {
    /// A router of these rules, which stand in the order of the document.
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let mut router =
            Self { rules, hosts: host::Hosts::default(), nodes: tree::Nodes::default() };
        for (number, rule) in router.rules.iter().enumerate() {
            for host in &*rule.hosts {
                let root = router.hosts.root(host, &mut router.nodes);
                for (which, pattern) in rule.patterns.iter().enumerate() {
                    router.nodes.insert(root, pattern, tree::Candidate::new(number, which));
                }
            }
        }
        router.nodes.sort(&router.rules);
        router
    }

    /// Where in memory it stands.
    pub(crate) fn memory(&self) -> impl Iterator<Item = Range<usize>> {
        self.nodes.memory().chain([place(&self.rules)])
    }

    /// The route that `request` takes on listener number `listener`. Where its path's parameters
    /// stand is put into `values`, which is emptied first. A preflight takes the route of the
    /// request that it asks for, where that route answers preflights.
    pub fn find<'s>(
        &'s self,
        listener: usize,
        request: &Request,
        values: &mut Values,
    ) -> Found<'s> {
        if let Some(asked) = request.preflight() {
            match self.find_for(listener, request, asked, values) {
                Found::Route(route) if route.chain.answers_preflights => {
                    return Found::Route(route);
                }
                _ => {}
            }
        }
        self.find_for(listener, request, request.method, values)
    }

    /// The route that `request` would take if its method were `method`.
    fn find_for<'s>(
        &'s self,
        listener: usize,
        request: &Request,
        method: Method,
        values: &mut Values,
    ) -> Found<'s> {
        values.clear();
        let mut walk = Walk::new(&self.nodes, &self.rules, listener, request, method);
        let host = request.target.authority.host();
        for root in self.hosts.roots(host, &self.nodes) {
            let Some(rule) = walk.from(root) else { continue };
            values.extend_from_slice(walk.values());
            return Found::Route(&rule.route);
        }
        let allow = walk.allow();
        if allow.is_empty() { Found::NotFound } else { Found::MethodNotAllowed(allow) }
    }
}
