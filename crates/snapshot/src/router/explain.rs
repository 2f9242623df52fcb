//! Why a request takes the route it takes: every route asked by itself, and what it failed by.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::sync::Arc;

use policy::message::{Method, Request};

use super::{Host, Router, Rule};
use crate::Route;
use crate::path::Pattern;

/// A route, and how it fared.
#[derive(Debug)]
pub struct Considered<'s> {
    /// The route.
    pub route: &'s Arc<Route>,
    /// Its path, with its API's, as documents write it.
    pub path: String,
    /// How it fared.
    pub verdict: Verdict,
}

/// How a route fared. What is asked last stands first: the later it failed, the nearer it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the request.
    Takes,
    /// It matches, but another goes first by this.
    Beaten(Criterion),
    /// It has other methods.
    Method(Vec<String>),
    /// This query parameter is missing or has another value.
    Query(String),
    /// This header field is missing or has another value.
    Header(String),
    /// Its path is another.
    Path,
    /// Its hosts are others.
    Host(Vec<String>),
    /// Its API answers on other listeners.
    Listener,
}

/// What decides between two routes that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// A more specific host.
    Host,
    /// A more specific path.
    Path,
    /// That it names methods.
    Method,
    /// More tests of header fields.
    Headers,
    /// More tests of query parameters.
    Query,
    /// That it stands first in the document.
    Order,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Takes => f.write_str("takes the request"),
            Self::Beaten(criterion) => write!(f, "matches, but {criterion}"),
            Self::Method(methods) => write!(f, "takes only {}", methods.join(", ")),
            Self::Query(name) => write!(f, "the query parameter `{name}` does not match"),
            Self::Header(name) => write!(f, "the header field `{name}` does not match"),
            Self::Path => f.write_str("the path does not match"),
            Self::Host(hosts) => write!(f, "answers only on {}", hosts.join(", ")),
            Self::Listener => f.write_str("its API does not answer on this listener"),
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "a more specific host goes first",
            Self::Path => "a more specific path goes first",
            Self::Method => "a route that names methods goes first",
            Self::Headers => "more header fields go first",
            Self::Query => "more query parameters go first",
            Self::Order => "one above it in the document goes first",
        })
    }
}

/// A rule that matches, with what its precedence depends on.
#[derive(Clone, Copy)]
struct Match<'s> {
    number: usize,
    rule: &'s Rule,
    pattern: &'s Pattern,
    host: usize,
}

impl Match<'_> {
    /// Which of two goes first, and by what.
    fn against(&self, other: &Self) -> (Ordering, Criterion) {
        let named = |one: &Self| Reverse(!one.rule.methods.is_empty());
        let headers = |one: &Self| Reverse(one.rule.headers.len());
        let query = |one: &Self| Reverse(one.rule.query.len());
        let decided = [
            (other.host.cmp(&self.host), Criterion::Host),
            (self.pattern.precedence(other.pattern), Criterion::Path),
            (named(self).cmp(&named(other)), Criterion::Method),
            (headers(self).cmp(&headers(other)), Criterion::Headers),
            (query(self).cmp(&query(other)), Criterion::Query),
        ];
        let first = decided.into_iter().find(|(order, _)| order.is_ne());
        first.unwrap_or((self.number.cmp(&other.number), Criterion::Order))
    }
}

impl Router {
    /// How every route fares with `request` on listener number `listener`, the one that takes it
    /// first. Asks them one by one: for people, not for traffic.
    pub fn explain(&self, listener: usize, request: &Request) -> Vec<Considered<'_>> {
        let asked: Vec<(&Rule, Result<Match<'_>, Verdict>)> = self
            .rules
            .iter()
            .enumerate()
            .map(|(number, rule)| (rule, ask(number, rule, listener, request)))
            .collect();
        let matches = asked.iter().filter_map(|(_, answer)| answer.as_ref().ok());
        let winner = matches.min_by(|a, b| a.against(b).0).copied();
        let mut considered: Vec<Considered<'_>> = asked
            .into_iter()
            .map(|(rule, answer)| {
                let verdict = match (answer, &winner) {
                    (Err(verdict), _) => verdict,
                    (Ok(own), Some(winner)) if own.number != winner.number => {
                        Verdict::Beaten(winner.against(&own).1)
                    }
                    (Ok(_), _) => Verdict::Takes,
                };
                let path = rule.patterns.first().map(ToString::to_string).unwrap_or_default();
                Considered { route: &rule.route, path, verdict }
            })
            .collect();
        // Stable: what failed alike stays in the order of the document.
        considered.sort_by_key(|one| rank(&one.verdict));
        considered
    }
}

/// How near a route was.
const fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Takes => 0,
        Verdict::Beaten(_) => 1,
        Verdict::Method(_) => 2,
        Verdict::Query(_) => 3,
        Verdict::Header(_) => 4,
        Verdict::Path => 5,
        Verdict::Host(_) => 6,
        Verdict::Listener => 7,
    }
}

fn ask<'s>(
    number: usize,
    rule: &'s Rule,
    listener: usize,
    request: &Request,
) -> Result<Match<'s>, Verdict> {
    if !rule.hears(listener) {
        return Err(Verdict::Listener);
    }
    let asked = request.target.authority.host();
    let Some(host) = rule.hosts.iter().filter_map(|host| host.fit(asked)).max() else {
        return Err(Verdict::Host(rule.hosts.iter().map(Host::to_string).collect()));
    };
    let path = request.target.path.as_str();
    let Some(pattern) = rule.patterns.iter().find(|pattern| pattern.matches(path)) else {
        return Err(Verdict::Path);
    };
    if let Some(missed) = rule.missed_header(request) {
        return Err(Verdict::Header(missed.name.as_str().to_owned()));
    }
    if let Some(missed) = rule.missed_query(request) {
        return Err(Verdict::Query(missed.name.to_string()));
    }
    if !rule.takes(request.method) {
        return Err(Verdict::Method(rule.methods.iter().map(Method::to_string).collect()));
    }
    Ok(Match { number, rule, pattern, host })
}
