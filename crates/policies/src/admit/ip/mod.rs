//! Lets requests in, or keeps them out, by the client's address.
//!
//! With `allow`, only addresses in its networks come in. An address in a network of `deny` stays
//! out, also where `allow` has it. Everyone else is refused with 403.
//!
//! ```yaml
//! apis:
//!   - name: orders
//!     path: /orders
//!     upstream: http://127.0.0.1:9001
//!     policies:
//!       - ip:
//!           allow: [ 10.0.0.0/8, 2001:db8::/32 ]
//!           deny: [ 10.66.0.0/16, 10.0.0.7 ]
//! ```
//!
//! The client's address is that of the connection, or what a proxy said that the listener trusts
//! (`client_address`, `proxy_protocol`). An IPv4 address written as an IPv6 one (`::ffff:10.0.0.7`)
//! is the IPv4 address. Clients of a Unix socket have the address `0.0.0.0`.

mod networks;

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use networks::Networks;

pub(crate) static KIND: PolicyKind = PolicyKind {
    name: "ip",
    phase: Phase::Admit,
    manual: crate::manual::manual!(),
    stage: Stage::Stable,
    posture: Posture { untrusted_callers: true, untrusted_upstreams: true, buffers: false },
    codes: &[&DENIED],
    schema: PolicyKind::schema_of::<Settings>,
    compile,
};

static DENIED: Code = Code {
    name: "address_denied",
    status: 403,
    grpc: 7,
    title: "The client's address is not allowed here",
    proxy_error: "http_request_denied",
    fault: Fault::Caller,
    cure: "Call from an allowed network; operators see the address in the log and the lists in the ip policy.",
};

/// Who may come, by address. At least one of the lists.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ip")]
struct Settings {
    /// Networks and addresses that may come; nobody else may.
    #[serde(default)]
    allow: Option<Vec<String>>,
    /// Networks and addresses that may not come, even where `allow` has them.
    #[serde(default)]
    deny: Vec<String>,
}

/// Decides by address.
#[derive(Debug)]
struct Ip {
    allow: Option<Networks>,
    deny: Networks,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    _: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    match &settings.allow {
        None if settings.deny.is_empty() => problems.push(
            Problem::new(at, "neither `allow` nor `deny` has a network")
                .hint("write for example `allow: [ 10.0.0.0/8 ]`"),
        ),
        Some(allow) if allow.is_empty() => problems.push(
            Problem::new(&at.key("allow"), "an empty list lets nobody in")
                .hint("name networks, or leave `allow` out to let everyone in but `deny`"),
        ),
        _ => {}
    }
    let mut networks = |written: &[String], at: Pointer| {
        let read = written.iter().enumerate().filter_map(|(number, text)| {
            networks::read(text)
                .map_err(|bad| {
                    problems.push(Problem::new(&at.index(number), bad.what).hint(bad.hint));
                })
                .ok()
        });
        Networks::new(read.collect())
    };
    let allow = settings.allow.as_deref().map(|allow| networks(allow, at.key("allow")));
    let deny = networks(&settings.deny, at.key("deny"));
    if problems.is_empty() { Ok(Arc::new(Ip { allow, deny })) } else { Err(problems) }
}

impl Policy for Ip {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let client = exchange.client;
        let allowed = self.allow.as_ref().is_none_or(|allow| allow.have(client));
        if allowed && !self.deny.have(client) {
            return Step::next();
        }
        let list = if allowed { "in `deny`" } else { "not in `allow`" };
        Step::refuse(Refusal::new(&DENIED).note(format!("{client} is {list}")))
    }
}
