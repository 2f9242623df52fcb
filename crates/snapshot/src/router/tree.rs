//! Trees of segments: one for each host, walked from the most to the least specific, so that the
//! first match wins.

use std::cmp::Ordering;
use std::num::NonZeroU32;
use std::ops::Range;

use policy::message::{Method, Request};
use smallvec::SmallVec;

use super::children::Children;
use super::{Allow, Rule};
use crate::path::{End, PARAMS_MAX, Pattern, Segment, value};
use crate::snapshot::place;

/// A node's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(NonZeroU32);

impl NodeId {
    /// Of the node at this place. There are fewer than documents have bytes.
    pub fn new(place: usize) -> Self {
        Self(
            u32::try_from(place)
                .map_or(NonZeroU32::MAX, |place| NonZeroU32::MIN.saturating_add(place)),
        )
    }

    /// The node's place.
    pub const fn number(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A pattern of a rule that ends at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    rule: u32,
    pattern: u32,
}

impl Candidate {
    pub const fn new(rule: usize, pattern: usize) -> Self {
        Self { rule: rule as u32, pattern: pattern as u32 }
    }

    pub fn of(self, rules: &[Rule]) -> Option<(&Rule, &Pattern)> {
        let rule = rules.get(self.rule as usize)?;
        Some((rule, rule.patterns.get(self.pattern as usize)?))
    }

    pub const fn rule(self) -> usize {
        self.rule as usize
    }
}

/// Candidates that end at one place; there is mostly one, found without another look into memory.
type Ends = SmallVec<[Candidate; 2]>;

/// Nodes below a node by the text around a parameter.
type Params = Vec<(Segment, NodeId)>;

/// A place in a tree: what patterns have in common up to here. Two lines of memory, fetched
/// together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Node {
    /// What it is found by among its siblings: a segment's text, a root's host. Here, not in the
    /// table above it: who looks at one looks at the other.
    own: SmallVec<[u8; 24]>,
    /// Nodes below, by the segment's text.
    text: Children,
    /// Nodes below, by the text around a parameter; more text first.
    params: Option<Box<Params>>,
    /// The node below for a parameter without text around it.
    any: Option<NodeId>,
    /// Patterns that end where the path does.
    exact: Ends,
    /// Patterns that take what is left, too.
    open: Ends,
}

/// The nodes of all trees.
#[derive(Debug, Default)]
pub(super) struct Nodes(Vec<Node>);

impl Nodes {
    /// A new node that is found by `own`.
    pub fn add(&mut self, own: &str) -> NodeId {
        self.0.push(Node { own: SmallVec::from_slice(own.as_bytes()), ..Node::default() });
        NodeId::new(self.0.len() - 1)
    }

    /// The one of `children` that is found by `text`.
    pub fn find(&self, children: &Children, text: &str) -> Option<NodeId> {
        children.find(text, |node| self.get(node).is_some_and(|node| *node.own == *text.as_bytes()))
    }

    /// Puts a pattern into the tree at `root`.
    pub fn insert(&mut self, root: NodeId, pattern: &Pattern, candidate: Candidate) {
        let at = pattern.segments.iter().fold(root, |at, segment| self.below(at, segment));
        let Some(node) = self.0.get_mut(at.number()) else { return };
        match pattern.end {
            End::Exact => node.exact.push(candidate),
            End::Regex(_) | End::Rest | End::Prefix(_) => node.open.push(candidate),
        }
    }

    /// The node below `at` for `segment`; a new one where there is none.
    fn below(&mut self, at: NodeId, segment: &Segment) -> NodeId {
        let known = self.get(at).and_then(|node| match segment {
            Segment::Text(text) => self.find(&node.text, text),
            Segment::Param(before, after) if before.is_empty() && after.is_empty() => node.any,
            Segment::Param(..) => node
                .params
                .iter()
                .flat_map(|params| &**params)
                .find(|(known, _)| known == segment)
                .map(|(_, below)| *below),
        });
        if let Some(known) = known {
            return known;
        }
        let new = self.add(if let Segment::Text(text) = segment { text } else { "" });
        if let Some(node) = self.0.get_mut(at.number()) {
            match segment {
                Segment::Text(text) => node.text.add(text, new),
                Segment::Param(before, after) if before.is_empty() && after.is_empty() => {
                    node.any = Some(new);
                }
                Segment::Param(..) => {
                    node.params.get_or_insert_default().push((segment.clone(), new))
                }
            }
        }
        new
    }

    /// Brings everything into the order in which it is asked.
    pub fn sort(&mut self, rules: &[Rule]) {
        let order = |a: &Candidate, b: &Candidate| match (a.of(rules), b.of(rules)) {
            (Some((rule, pattern)), Some((other, others))) => {
                // The segments are the same: only the end counts.
                pattern.precedence(others).then_with(|| rule.precedence(other))
            }
            _ => Ordering::Equal,
        };
        self.0.shrink_to_fit();
        for node in &mut self.0 {
            if let Some(params) = &mut node.params {
                params.sort_by(|(a, _), (b, _)| a.precedence(b));
                params.shrink_to_fit();
            }
            // Stable: what is equal stays in the order of the document.
            node.exact.sort_by(order);
            node.open.sort_by(order);
            node.exact.shrink_to_fit();
            node.open.shrink_to_fit();
        }
    }

    /// Patterns that end at the same place, each list in the order in which it is asked.
    pub fn ends(&self) -> impl Iterator<Item = &[Candidate]> {
        self.0.iter().flat_map(|node| [&*node.exact, &*node.open])
    }

    /// Where in memory they stand.
    pub fn memory(&self) -> impl Iterator<Item = Range<usize>> {
        let tables = self.0.iter().map(|node| node.text.memory());
        tables.chain([place(&self.0)])
    }

    fn get(&self, id: NodeId) -> Option<&Node> {
        self.0.get(id.number())
    }
}

/// One request's way through the trees.
pub(super) struct Walk<'s, 'r> {
    nodes: &'s Nodes,
    rules: &'s [Rule],
    listener: usize,
    request: &'r Request,
    method: Method,
    path: &'r str,
    /// Where the parameters' values stand so far.
    values: SmallVec<[(u32, u32); PARAMS_MAX]>,
    /// Methods of rules that failed by nothing but the method.
    allow: Allow,
}

impl<'s, 'r> Walk<'s, 'r> {
    pub fn new(
        nodes: &'s Nodes,
        rules: &'s [Rule],
        listener: usize,
        request: &'r Request,
        method: Method,
    ) -> Self {
        let path = request.target.path.as_str();
        let (values, allow) = (SmallVec::new(), Allow::default());
        Self { nodes, rules, listener, request, method, path, values, allow }
    }

    /// The rule that matches first in the tree at `root`.
    pub fn from(&mut self, root: NodeId) -> Option<&'s Rule> {
        // `*` and the authority of CONNECT are no paths: no route matches them.
        if self.path.starts_with('/') { self.visit(root, 0) } else { None }
    }

    /// Where the values stand, after a match.
    pub fn values(&self) -> &[(u32, u32)] {
        &self.values
    }

    /// Methods that would have done, after no match.
    pub fn allow(self) -> Allow {
        self.allow
    }

    /// Asks `node`, with the path read up to byte `at`. As deep as documents let patterns be.
    fn visit(&mut self, node: NodeId, at: usize) -> Option<&'s Rule> {
        let node = self.nodes.get(node)?;
        let rest = self.path.get(at..)?;
        if let Some(below) = rest.strip_prefix('/') {
            let start = at + 1;
            let end = start + below.find('/').unwrap_or(below.len());
            let segment = self.path.get(start..end)?;
            let text = self.nodes.find(&node.text, segment);
            if let Some(found) = text.and_then(|next| self.visit(next, end)) {
                return Some(found);
            }
            for (param, next) in node.params.iter().flat_map(|params| &**params) {
                let Segment::Param(before, after) = param else { continue };
                let Some((from, to)) = value(segment, before, after) else { continue };
                let found = self.with((start + from, start + to), |walk| walk.visit(*next, end));
                if found.is_some() {
                    return found;
                }
            }
            if let Some(next) = node.any.filter(|_| start < end) {
                let found = self.with((start, end), |walk| walk.visit(next, end));
                if found.is_some() {
                    return found;
                }
            }
        } else if let Some(found) = node.exact.iter().find_map(|end| self.ask(*end)) {
            return Some(found);
        }
        node.open.iter().find_map(|end| self.ask_open(*end, at))
    }

    /// Asks a candidate that takes more than the path read so far.
    fn ask_open(&mut self, candidate: Candidate, at: usize) -> Option<&'s Rule> {
        let (_, pattern) = candidate.of(self.rules)?;
        // What comes after the slash, or nothing where there is no slash.
        let rest = ((at + 1).min(self.path.len()), self.path.len());
        match &pattern.end {
            End::Regex(regex) => {
                let before = self.values.len();
                let values = &mut self.values;
                let found = |start, end| values.push((start as u32, end as u32));
                let found = regex.matches(self.path, found).then(|| self.ask(candidate)).flatten();
                if found.is_none() {
                    self.values.truncate(before);
                }
                found
            }
            End::Rest if at == self.path.len() => None,
            End::Rest | End::Prefix(true) => self.with(rest, |walk| walk.ask(candidate)),
            End::Prefix(false) | End::Exact => self.ask(candidate),
        }
    }

    /// Asks a candidate whose path matches.
    fn ask(&mut self, candidate: Candidate) -> Option<&'s Rule> {
        let rule = self.rules.get(candidate.rule())?;
        let matches = rule.hears(self.listener)
            && rule.missed_header(self.request).is_none()
            && rule.missed_query(self.request).is_none();
        if !matches {
            return None;
        }
        if !rule.takes(self.method) {
            rule.methods.iter().for_each(|method| self.allow.add(*method));
            return None;
        }
        Some(rule)
    }

    /// Goes on with a value, and forgets it where that leads nowhere.
    fn with(
        &mut self,
        (start, end): (usize, usize),
        go: impl FnOnce(&mut Self) -> Option<&'s Rule>,
    ) -> Option<&'s Rule> {
        let before = self.values.len();
        self.values.push((start as u32, end as u32));
        let found = go(self);
        if found.is_none() {
            self.values.truncate(before);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_and_what_is_asked_of_a_rule_take_no_more_lines_than_they_are_said_to() {
        assert_eq!(size_of::<Node>(), 128);
        assert!(std::mem::offset_of!(Rule, hosts) <= 64);
    }
}
