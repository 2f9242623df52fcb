//! Sets, adds and removes header fields of requests and responses.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     routes:
//!       - match: { path: "/{id}" }
//!         policies:
//!           - header:
//!               request:
//!                 set: { X-Order: "{id}", X-Source: gateway }
//!                 remove: [ X-Debug ]
//!               response:
//!                 set: { Cache-Control: no-store }
//!                 add: { Set-Cookie: [ "a=1", "b=2" ] }
//!                 remove: [ Server, X-Powered-By ]
//! ```
//!
//! First what is in `remove` goes, then `set` puts one field in place of all of its name, then
//! `add` puts further fields after those that are there.
//!
//! In values, `{name}` stands for the parameter `name` of the route's path, as the caller wrote it;
//! `{{` and `}}` stand for braces. A value that names a parameter the route does not have is not
//! written.
//!
//! Fields that belong to the connection, to the body's framing or to the target (`Connection`,
//! `Transfer-Encoding`, `Content-Length`, `Host` …) are the gateway's own and can't be changed
//! here.

mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::message::{Headers, Known, Name, is_value};
use policy::{Compile, Exchange, Phase, Policy, PolicyKind, Posture, RouteFacts, Stage, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use template::Template;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "header",
    phase: Phase::Transform,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// What changes in which message. At least one change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Header")]
struct Settings {
    /// What changes in requests, before the upstream sees them.
    #[serde(default)]
    request: Changes,
    /// What changes in responses, before the caller sees them.
    #[serde(default)]
    response: Changes,
}

/// What changes in a message.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HeaderChanges")]
struct Changes {
    /// Names of the fields that go.
    remove: Vec<String>,
    /// Fields that take the place of all of their name.
    set: BTreeMap<String, String>,
    /// Fields that come after those that are there.
    add: BTreeMap<String, Values>,
}

/// One value, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "HeaderValues")]
enum Values {
    One(String),
    Several(Vec<String>),
}

/// Changes headers.
#[derive(Debug)]
struct Header {
    request: Edits,
    response: Edits,
}

/// Changes of a message, in order.
#[derive(Debug)]
struct Edits {
    remove: Vec<Name>,
    set: Vec<(Name, Written)>,
    add: Vec<(Name, Written)>,
}

/// A field to write: its name as people wrote it, and its value.
#[derive(Debug)]
struct Written {
    name: Box<str>,
    value: Template,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let request = settings.request.compile(&at.key("request"), &mut problems);
    let response = settings.response.compile(&at.key("response"), &mut problems);
    if problems.is_empty() && request.is_empty() && response.is_empty() {
        problems.push(
            Problem::new(at, "nothing is changed")
                .hint("write for example `response: { remove: [ Server ] }`"),
        );
    }
    if problems.is_empty() { Ok(Arc::new(Header { request, response })) } else { Err(problems) }
}

impl Changes {
    fn compile(self, at: &Pointer, problems: &mut Problems) -> Edits {
        let remove = self.remove.iter().enumerate();
        let remove = remove
            .filter_map(|(number, text)| name(text, &at.key("remove").index(number), problems))
            .collect();
        let set = self.set.iter();
        let set = set
            .filter_map(|(text, value)| field(text, value, &at.key("set").key(text), problems))
            .collect();
        let mut add = Vec::new();
        for (text, values) in &self.add {
            let at = at.key("add").key(text);
            match values {
                Values::One(value) => add.extend(field(text, value, &at, problems)),
                Values::Several(values) => {
                    for (number, value) in values.iter().enumerate() {
                        add.extend(field(text, value, &at.index(number), problems));
                    }
                }
            }
        }
        Edits { remove, set, add }
    }
}

fn field(
    text: &str,
    value: &str,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<(Name, Written)> {
    if !value.bytes().all(is_value) {
        problems.push(
            Problem::new(at, "the value has line breaks or other control characters")
                .hint("write it on one line"),
        );
    }
    let template = Template::new(value)
        .map_err(|bad| {
            problems.push(Problem::new(at, bad).hint(
                "`{name}` stands for a parameter of the route; write braces as `{{` and `}}`",
            ));
        })
        .ok();
    Some((name(text, at, problems)?, Written { name: text.into(), value: template? }))
}

/// The header name `text`; one that can't be changed becomes a problem.
fn name(text: &str, at: &Pointer, problems: &mut Problems) -> Option<Name> {
    let name = Name::new(text);
    if name.is_none() {
        problems.push(
            Problem::new(at, format!("`{text}` can't be a header's name"))
                .hint("use letters, digits and `-`, as in `X-Source`"),
        );
    } else if let Some(instead) = own(Known::of(text.as_bytes())) {
        problems
            .push(Problem::new(at, format!("`{text}` is the gateway's own field")).hint(instead));
        return None;
    }
    name
}

/// What to do instead of changing a field that is the gateway's own.
fn own(known: Known) -> Option<&'static str> {
    Some(match known {
        Known::Host => "to send another host use the API's `rewrite`",
        Known::ContentLength | Known::TransferEncoding | Known::Trailer | Known::Te => {
            "leave it out: the body's framing follows from the body"
        }
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::Upgrade
        | Known::Http2Settings => {
            "leave it out: it is about one connection, of which there are two"
        }
        Known::Expect => "leave it out: the gateway answers it",
        _ => return None,
    })
}

impl Policy for Header {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let path = &exchange.request.target.path;
        self.request.make(&mut exchange.request.headers, path, exchange.route.as_ref());
        Step::next()
    }

    fn on_response<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let path = &exchange.request.target.path;
        self.response.make(&mut exchange.response.headers, path, exchange.route.as_ref());
        Step::next()
    }
}

impl Edits {
    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    fn make(&self, headers: &mut Headers, path: &str, route: Option<&RouteFacts>) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, field) in &self.set {
            headers.remove(name);
            field.append(headers, path, route);
        }
        for (_, field) in &self.add {
            field.append(headers, path, route);
        }
    }
}

impl Written {
    fn append(&self, headers: &mut Headers, path: &str, route: Option<&RouteFacts>) {
        if let Some(value) = self.value.fill(|name| route?.param(path, name)) {
            headers.append(&*self.name, value.as_bytes());
        }
    }
}
