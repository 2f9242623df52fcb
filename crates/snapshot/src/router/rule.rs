//! What one route matches.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use policy::message::{Method, Name, Request};
use smallvec::SmallVec;

use super::{Host, request};
use crate::Route;
use crate::path::Pattern;
use crate::regex::Regex;

/// The patterns of a route's path: mostly one.
pub(crate) type Patterns = SmallVec<[Pattern; 1]>;

/// What one route matches, and the route. What is asked of every rule whose path matches stands in
/// its first line of memory: with many routes, each line is a cold one.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Rule {
    /// The route.
    pub route: Arc<Route>,
    /// Numbers of the listeners it answers on; none: all.
    pub listeners: Option<Box<Arc<[usize]>>>,
    /// Its methods; none: any.
    pub methods: Box<[Method]>,
    /// Header fields.
    pub headers: Box<[FieldTest<Name>]>,
    /// Query parameters.
    pub query: Box<[FieldTest<Box<str>>]>,
    /// Its hosts.
    pub hosts: Arc<[Host]>,
    /// Its path. Two patterns where the API's own path is meant: it may end in a slash.
    pub patterns: Patterns,
}

/// What must be true of a header field or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FieldTest<N> {
    /// Its name.
    pub name: N,
    /// What must be true of it.
    pub test: Test,
}

/// What must be true of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// It is this.
    Is(Box<[u8]>),
    /// It matches this as a whole.
    Matches(Regex),
    /// It is there.
    Present,
    /// It is not there.
    Absent,
}

impl Test {
    /// Whether it holds for a value, or for there being none.
    pub fn holds(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Is(wanted), Some(value)) => **wanted == *value,
            (Self::Matches(regex), Some(value)) => regex.is_match(value),
            (Self::Present, value) => value.is_some(),
            (Self::Absent, value) => value.is_none(),
            (Self::Is(_) | Self::Matches(_), None) => false,
        }
    }
}

impl Rule {
    /// Whether it answers on listener number `listener`.
    pub fn hears(&self, listener: usize) -> bool {
        self.listeners.as_ref().is_none_or(|listeners| listeners.contains(&listener))
    }

    /// The first header test that fails.
    pub fn missed_header(&self, request: &Request) -> Option<&FieldTest<Name>> {
        self.headers.iter().find(|field| {
            request::with_header(request, &field.name, |value| !field.test.holds(value))
        })
    }

    /// The first query test that fails.
    pub fn missed_query(&self, request: &Request) -> Option<&FieldTest<Box<str>>> {
        self.query.iter().find(|field| {
            request::with_parameter(request, &field.name, |value| !field.test.holds(value))
        })
    }

    /// Whether the request's method is one of its own.
    pub fn takes(&self, method: Method) -> bool {
        self.methods.is_empty() || self.methods.contains(&method)
    }

    /// Which of two rules goes first where host and path decide nothing: one that names methods,
    /// then more header tests, then more query tests. What is equal then is decided by the order in
    /// the document.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let key = |rule: &Self| {
            let named = !rule.methods.is_empty();
            (Reverse(named), Reverse(rule.headers.len()), Reverse(rule.query.len()))
        };
        key(self).cmp(&key(other))
    }
}
