//! Writes a line of JSON for every exchange, when it is over.
//!
//! ```yaml
//! policies:
//!   - access_log:
//!       to: { file: logs/access.log }
//!       request_headers: [ referer ]
//!       sample: 0.1
//! ```
//!
//! Without settings, everything in the table below goes to standard output. Writing never makes
//! traffic wait: lines that nobody takes off in time are dropped, and counted in the metrics.
//!
//! | field | what it is |
//! |---|---|
//! | `time` | when the request came, RFC 3339 in UTC, with milliseconds |
//! | `id` | the request's id |
//! | `trace_id` | the trace it belongs to |
//! | `client` | the client's address |
//! | `listener` | the listener it came by |
//! | `protocol` | the version of HTTP it came by: `1.1`, `2` |
//! | `tls` | the version of TLS: `1.3` |
//! | `method` `scheme` `host` `path` | what it asked for |
//! | `query` | the query; only with `query: true`, since queries hold secrets |
//! | `user_agent` | the field `User-Agent`, its first 256 bytes |
//! | `status` | the status sent |
//! | `code` | the refusal's code, where the gateway refused |
//! | `note` | what the refusal has to say for operators |
//! | `complete` | false where the response broke off |
//! | `duration_ms` | from the request's head to the response's end |
//! | `queued_ms` | how much of it the request waited for its turn, where a policy had it queue |
//! | `bytes_in` `bytes_out` | bytes of the request's and the response's body |
//! | `api` `version` `route` | what matched |
//! | `application` `organization` `credential` | the caller |
//! | `upstream` `endpoint` | who was called |
//! | `attempts` | tries made, where there were several |
//! | `upstream_status` | the status the upstream sent |
//! | `connect_ms` | time to connect, where a connection was opened |
//! | `first_byte_ms` | time from the last try's start to its first byte |
//!
//! What is not known of an exchange is left out of its line. `fields` names those to write, in this
//! order. `request_headers` and `response_headers` add header fields by name, as `request_…` and
//! `response_…`; `Authorization`, cookies, and the places where policies look for credentials are
//! refused there and never written, and values of such query parameters are written as `***`.
//!
//! With `sample`, only that share of exchanges is written, and of those that failed (refused,
//! status 500 and above, or broken off) still every one.

mod field;
mod json;
mod time;

use std::path::PathBuf;
use std::sync::Arc;

use base::{Pointer, Problem, Problems, closest};
use policy::message::Name;
use policy::{
    Compile, Exchange, LogDestination, LogTarget, Phase, Policy, PolicyKind, Posture, Stage,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::secret_names::{self, SecretNames};
use field::Field;
use json::Line;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "access_log",
    phase: Phase::Watch,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

/// What is written, of which exchanges, and where to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AccessLog")]
struct Settings {
    /// Where lines go.
    to: Destination,
    /// The fields to write, in this order. All unless said.
    fields: Option<Vec<String>>,
    /// Whether the query is written.
    query: bool,
    /// Header fields of requests to write.
    request_headers: Vec<String>,
    /// Header fields of responses to write.
    response_headers: Vec<String>,
    /// The share of exchanges that is written, 0 to 1; those that failed always are.
    #[schemars(range(min = 0.0, max = 1.0))]
    sample: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            to: Destination::default(),
            fields: None,
            query: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            sample: 1.0,
        }
    }
}

/// Where lines go.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AccessLogTo")]
enum Destination {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to; opened again when it was moved away.
    File(PathBuf),
}

/// Writes lines.
#[derive(Debug)]
struct AccessLog {
    target: Arc<LogTarget>,
    fields: Vec<Field>,
    request_headers: Vec<Header>,
    response_headers: Vec<Header>,
    sample: f64,
    secrets: Arc<SecretNames>,
}

/// A header field to write.
#[derive(Debug)]
struct Header {
    name: Name,
    /// What stands before its value in a line: `,"request_referer":`.
    key: Box<str>,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let mut fields = fields(settings.fields.as_deref(), &at.key("fields"), &mut problems);
    fields.retain(|field| *field != Field::Query || settings.query);
    if settings.query && !fields.contains(&Field::Query) {
        fields.push(Field::Query);
    }
    let place = at.key("request_headers");
    let request_headers = headers("request", &settings.request_headers, &place, &mut problems);
    let place = at.key("response_headers");
    let response_headers = headers("response", &settings.response_headers, &place, &mut problems);
    if !(0.0..=1.0).contains(&settings.sample) {
        problems.push(
            Problem::new(&at.key("sample"), format!("{} is no share", settings.sample))
                .hint("write a number from 0 to 1; 0.1 is one in ten"),
        );
    }
    let destination = match settings.to {
        Destination::Stdout => LogDestination::Stdout,
        Destination::Stderr => LogDestination::Stderr,
        Destination::File(path) => {
            if path.as_os_str().is_empty() {
                problems.push(
                    Problem::new(&at.key("to").key("file"), "the file has no name")
                        .hint("write a path, as in `logs/access.log`"),
                );
            }
            LogDestination::File(path)
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Arc::new(AccessLog {
        target: cx.log_target(destination),
        fields,
        request_headers,
        response_headers,
        sample: settings.sample,
        secrets: SecretNames::of(cx.carry),
    }))
}

fn fields(written: Option<&[String]>, at: &Pointer, problems: &mut Problems) -> Vec<Field> {
    let Some(written) = written else {
        return Field::ALL.iter().map(|(field, _)| *field).collect();
    };
    if written.is_empty() {
        problems.push(
            Problem::new(at, "no field is left to write")
                .hint("name fields, or leave `fields` out to write all"),
        );
    }
    let names = || Field::ALL.iter().map(|(_, name)| *name);
    let mut fields = Vec::new();
    for (number, name) in written.iter().enumerate() {
        match Field::ALL.iter().find(|(_, known)| known == name) {
            Some((field, _)) if fields.contains(field) => {
                problems.push(Problem::new(&at.index(number), format!("`{name}` is named twice")));
            }
            Some((field, _)) => fields.push(*field),
            None => {
                let hint = match closest(name, names()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
                };
                let what = format!("there is no field `{name}`");
                problems.push(Problem::new(&at.index(number), what).hint(hint));
            }
        }
    }
    fields
}

fn headers(whose: &str, names: &[String], at: &Pointer, problems: &mut Problems) -> Vec<Header> {
    let mut headers = Vec::new();
    for (number, text) in names.iter().enumerate() {
        let at = at.index(number);
        match Name::new(text) {
            None => problems.push(
                Problem::new(&at, format!("`{text}` can't be a header's name"))
                    .hint("use letters, digits and `-`, as in `referer`"),
            ),
            Some(_) if secret_names::usually(text) => problems.push(
                Problem::new(&at, format!("`{text}` holds secrets, which are not logged"))
                    .hint("to see who calls use the fields application and credential"),
            ),
            Some(name) => {
                let mut key = Vec::from(b",\"");
                json::escape(&mut key, format!("{whose}_{}", name.as_str()).as_bytes());
                key.extend_from_slice(b"\":");
                headers.push(Header { key: String::from_utf8_lossy(&key).into(), name });
            }
        }
    }
    headers
}

impl Policy for AccessLog {
    fn on_end(&self, exchange: &Exchange) {
        if self.sample < 1.0 && !failed(exchange) && fastrand::f64() >= self.sample {
            return;
        }
        self.target.line(exchange.core, |out| {
            let mut line = Line::start(out);
            for field in &self.fields {
                field.write(&mut line, exchange, &self.secrets);
            }
            for (headers, wanted) in [
                (&exchange.request.headers, &self.request_headers),
                (&exchange.response.headers, &self.response_headers),
            ] {
                for header in wanted {
                    // A policy may read credentials from it since this was compiled.
                    if !self.secrets.has(header.name.as_str()) {
                        line.values(&header.key, headers.all(&header.name));
                    }
                }
            }
            line.end();
        });
    }
}

/// Whether somebody will ask for this exchange's line.
fn failed(exchange: &Exchange) -> bool {
    exchange.refusal.is_some() || exchange.response.status.code() >= 500 || !exchange.complete
}
