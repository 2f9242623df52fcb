//! Routes, compiled: what they match is the router's; this is what happens then.

use std::fmt;
use std::sync::Arc;

use base::Pointer;
use config::v1::Priority;
use policy::message::{Name, Status};
use policy::{Condition, Phase, Policy, RouteNames};

use crate::regex::Regex;
use crate::{Retry, Timeouts};

/// An API.
#[derive(Debug)]
pub struct Api {
    /// Its name.
    pub name: Arc<str>,
    /// Its version.
    pub version: Option<Arc<str>>,
    /// Its base path, without a slash at the end; empty for `/`.
    pub path: Arc<str>,
    /// Stands for all that was written of it: another number where anything changed.
    pub fingerprint: u64,
}

/// Its name, with its version where it has one: `orders`, `orders v1`.
impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} {version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A route.
#[derive(Debug)]
pub struct Route {
    /// Its number in the snapshot.
    pub number: usize,
    /// Its name, unique within its API.
    pub name: Arc<str>,
    /// What its requests call it.
    pub names: Arc<RouteNames>,
    /// The API it belongs to.
    pub api: Arc<Api>,
    /// Where it stands in the document.
    pub at: Pointer,
    /// Its policies, in the order they run. Shared with the other routes of the API that have none
    /// of their own.
    pub chain: Arc<Chain>,
    /// What happens after them.
    pub action: Action,
    /// Whether it is turned away before or after others.
    pub priority: Priority,
    /// Bytes a second of a body, either way, in place of the listener's; 0: any pace.
    pub body_rate: Option<u64>,
}

/// The policies of a route, in the order they run. The way back is the reverse.
#[derive(Debug, Default)]
pub struct Chain {
    /// The policies.
    pub steps: Box<[ChainStep]>,
    /// Whether one of them answers every CORS preflight itself.
    pub answers_preflights: bool,
}

/// One policy of a chain.
#[derive(Clone)]
pub struct ChainStep {
    /// The policy.
    pub policy: Arc<dyn Policy>,
    /// Its kind's name.
    pub kind: &'static str,
    /// What this use is called.
    pub id: Arc<str>,
    /// When it runs.
    pub phase: Phase,
    /// Where it was written: for the document, the API or the route.
    pub level: Level,
    /// Where it stands in the document.
    pub at: Arc<Pointer>,
    /// The plan by which one has to call for it to run; none: any, or none at all.
    pub plan: Option<Arc<str>>,
    /// Where it is true, the policy runs; none: always.
    pub when: Option<Arc<Condition>>,
}

impl fmt::Debug for ChainStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {:?})", self.id, self.phase, self.level)
    }
}

/// For whom a policy was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For every API.
    Document,
    /// For one API.
    Api,
    /// For one route.
    Route,
    /// For those who subscribe to a plan.
    Plan,
}

/// What happens to a request that passed its route's policies.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly every route forwards")]
pub enum Action {
    /// It goes to an upstream. As it is: a box would be one more look into memory that is cold.
    Forward(Forward),
    /// The caller is sent elsewhere.
    Redirect(Box<Redirect>),
    /// It is answered here.
    Respond(Box<FixedAnswer>),
}

/// How a request goes to an upstream.
#[derive(Debug)]
pub struct Forward {
    /// Which upstream.
    pub split: Split,
    /// Bytes of the request's path to cut off at its front: the API's base path, where it is
    /// stripped.
    pub strip: usize,
    /// The path's rewriting, in place of `strip`.
    pub path: Option<PathRewrite>,
    /// The host sent.
    pub host: HostRewrite,
    /// What is tried again; none: the upstream's own.
    pub retry: Option<Retry>,
    /// A copy for another upstream.
    pub mirror: Option<Mirror>,
}

/// Upstreams with their shares. Never empty.
#[derive(Clone, Debug)]
pub struct Split {
    /// The upstream of most routes: the first with a share above zero.
    pub first: Part,
    /// The others with a share above zero.
    pub others: Box<[Part]>,
}

/// One upstream of a split.
#[derive(Clone, Debug)]
pub struct Part {
    /// The upstream's number.
    pub upstream: usize,
    /// The sum of the shares up to and with this one.
    pub up_to: u64,
    /// How long this route waits for this upstream: the route's word, else the API's, else the
    /// upstream's.
    pub timeouts: Timeouts,
}

/// A copy of requests for another upstream.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// The upstream's number.
    pub upstream: usize,
    /// Share of the requests, in millionths.
    pub share: u32,
}

/// How the path changes.
#[derive(Debug)]
pub enum PathRewrite {
    /// A template over the route's parameters.
    Template(Template),
    /// This many bytes at the front give way to this prefix.
    Prefix(usize, Arc<str>),
    /// The first match gives way to this, `$1` and `$name` being its groups.
    Regex(Regex, Arc<str>),
}

/// The host sent to the upstream.
#[derive(Clone, Debug)]
pub enum HostRewrite {
    /// The caller's.
    Keep,
    /// The endpoint's own.
    Endpoint,
    /// This one.
    Fixed(Arc<str>),
}

/// Text with parameters of a route in it.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// Its parts, in order.
    pub parts: Vec<TemplatePart>,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum TemplatePart {
    /// Text.
    Text(Arc<str>),
    /// The value of the parameter of this number.
    Param(usize),
}

/// An answer that sends the caller elsewhere.
#[derive(Debug)]
pub struct Redirect {
    /// Its status.
    pub status: Status,
    /// Another scheme.
    pub scheme: Option<Arc<str>>,
    /// Another host.
    pub host: Option<Arc<str>>,
    /// Another port.
    pub port: Option<u16>,
    /// Another path.
    pub path: Option<Template>,
    /// Whether the query stays.
    pub keep_query: bool,
}

/// An answer given here.
#[derive(Debug)]
pub struct FixedAnswer {
    /// Its status.
    pub status: Status,
    /// Its fields.
    pub headers: Vec<(Name, Arc<str>)>,
    /// Its body.
    pub body: bytes::Bytes,
}
