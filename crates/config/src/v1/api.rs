use std::collections::BTreeMap;

use base::{ByteSize, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ContractUse, PolicyUse, Priority, Retry, defaults};

/// A virtual, front-end API.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Its name; unique together with the version.
    pub name: String,
    /// Its version, as people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Hosts it answers on: `api.example.com`, `*.example.com`. None: any host.
    #[serde(default)]
    pub hosts: Vec<HostPattern>,
    /// Listeners it answers on, by name. None: all.
    #[serde(default)]
    pub listeners: Vec<String>,
    /// The base path, matched by whole segments.
    #[serde(default = "root")]
    pub path: String,
    /// Remove the base path before the upstream sees the request.
    #[serde(default = "yes")]
    pub strip_path: bool,
    /// Where requests go unless a route says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamRef>,
    /// Its OpenAPI document: operations become routes, and what they take and give is held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractUse>,
    /// Policies for the whole API.
    #[serde(default)]
    pub policies: Vec<PolicyUse>,
    /// Its routes. None: those of its contract, or one that matches everything under the path.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// When there is too much to do, `low` is turned away first and `high` last. `normal` unless
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Bytes a second a client must send or take of a body, in place of the listener's
    /// `body_rate`. 0: any pace, for streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_rate: Option<ByteSize>,
    /// Timeouts that differ from the upstream's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<RouteTimeouts>,
    /// Retries that differ from the upstream's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How path and host change on the way up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// A copy of the traffic for another upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

fn root() -> String {
    "/".into()
}

fn yes() -> bool {
    true
}

/// A host: exact, or `*.` and a suffix that stands for one or more labels.
pub type HostPattern = String;

/// A rule that matches requests of an API, and what happens to them.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// What it is called in logs and metrics; made from its match unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which requests. Nothing: all of the API's.
    #[serde(rename = "match")]
    pub matches: Match,
    /// Where they go, in place of the API's upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamRef>,
    /// Send them elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// Answer them here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respond: Option<FixedAnswer>,
    /// Policies of this route, inside the API's.
    pub policies: Vec<PolicyUse>,
    /// Its priority, in place of the API's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Bytes a second a client must send or take of a body, in place of the API's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_rate: Option<ByteSize>,
    /// Timeouts of this route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<RouteTimeouts>,
    /// Retries of this route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How path and host change on the way up, in place of the API's rewrite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// A copy of this route's traffic for another upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

/// What a request must look like. Everything named must hold.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// An operation of the API's contract, by its `operationId`, or as in `GET /orders/{id}`: its
    /// method and path, in place of `methods` and `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Methods; none: any.
    pub methods: Vec<String>,
    /// The path below the API's: a template such as `/orders/{id}` or `/files/{rest*}`, or a long
    /// form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// Header fields, by name.
    pub headers: BTreeMap<String, HeaderMatch>,
    /// Query parameters, by name.
    pub query: BTreeMap<String, HeaderMatch>,
}

/// How a path is matched: a template as text, or one of `exact`, `prefix`, `regex`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum PathMatch {
    /// A template: `{name}` stands for one segment, a last `{name*}` for the rest.
    Template(String),
    /// This very path, braces and all.
    Exact {
        /// The path.
        exact: String,
    },
    /// This path and everything below it, by whole segments.
    Prefix {
        /// The path.
        prefix: String,
    },
    /// A regular expression that the whole path must match; named groups become parameters.
    Regex {
        /// The expression, in the syntax of the regex crate (linear time, no look-around).
        regex: String,
    },
}

/// How a header field or query parameter is matched: its exact value as text, or a long form.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum HeaderMatch {
    /// This very value.
    Value(String),
    /// The long form.
    Pattern(HeaderPattern),
}

/// The long form of a header or query match; exactly one.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderPattern {
    /// A regular expression that the whole value must match.
    Regex(String),
    /// Whether it is there at all, whatever its value.
    Present(bool),
}

/// Where requests go: an upstream's name, a URL, or several with weights.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum UpstreamRef {
    /// A name of `upstreams`, or directly a URL.
    One(String),
    /// Several, by weight.
    Split(Vec<WeightedUpstream>),
}

/// One upstream of a split.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedUpstream {
    /// A name of `upstreams`, or directly a URL.
    pub to: String,
    /// Its share, against the others'. 0 takes none.
    #[serde(default = "defaults::weight")]
    pub weight: u32,
}

/// An answer that sends the caller elsewhere.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    #[serde(default = "found")]
    pub status: u16,
    /// Another scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Another port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Another path: a template over the route's parameters. The same path unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Keep the query.
    #[serde(default = "yes")]
    pub keep_query: bool,
}

fn found() -> u16 {
    302
}

/// An answer given here.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixedAnswer {
    /// The status, 200 to 599.
    #[serde(default = "ok")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// Header fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

fn ok() -> u16 {
    200
}

/// Timeouts of an API or a route; what is not named is the upstream's.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteTimeouts {
    /// To the response's first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Span>,
    /// Between two pieces of a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
    /// The whole exchange; `0s` for no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Span>,
}

/// How path and host change on the way up.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rewrite {
    /// The path sent: a template over the route's parameters, or a long form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
    /// The host sent. The caller's unless said; `{upstream}` is the endpoint's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// A new path: a template as text, or `prefix`, or `regex` with `to`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum PathRewrite {
    /// A template over the route's parameters: `/v2/orders/{id}`.
    Template(String),
    /// Puts this in place of what the route's path (or the API's) matched as a prefix.
    Prefix {
        /// The new prefix.
        prefix: String,
    },
    /// Replaces the first match.
    Regex {
        /// The expression.
        regex: String,
        /// What to put in its place; `$1`, `$name` are its groups.
        to: String,
    },
}

/// A copy of requests, sent and forgotten; its answers reach nobody.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// A name of `upstreams`, or directly a URL.
    pub to: String,
    /// Share of the requests copied.
    #[serde(default = "all")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub percent: f64,
}

fn all() -> f64 {
    100.0
}
