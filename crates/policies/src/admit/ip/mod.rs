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
//! `countries` and `systems` decide by where an address comes from, as a database in MaxMind's
//! format (`.mmdb`) says it: the country, by its two letters, and the autonomous system, by its
//! number. All that is written has to let a request in.
//!
//! ```yaml
//! policies:
//!   - ip:
//!       countries: { database: GeoLite2-Country.mmdb, allow: [ DE, FR ] }
//!       systems: { database: GeoLite2-ASN.mmdb, deny: [ 64496 ] }
//! ```
//!
//! An address that the database says nothing of (private ones are among them) is refused, unless
//! `unknown: accept` is written. The files are read when the document is, watched like it, and what
//! replaces them is used as soon as it is there; a broken one is refused with the whole document,
//! and what runs keeps running. Every use reads the file again while the document is compiled: one
//! use in the document's own `policies` is cheaper than one in each of many APIs.
//!
//! The client's address is that of the connection, or what a proxy said that the listener trusts
//! (`client_address`, `proxy_protocol`). An IPv4 address written as an IPv6 one (`::ffff:10.0.0.7`)
//! is the IPv4 address. Clients of a Unix socket have the address `0.0.0.0`.

mod origin;

use std::net::IpAddr;
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{
    Code, Compile, Exchange, Fault, Phase, Policy, PolicyKind, Posture, Refusal, Stage, Step,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::networks::{self, Networks};
use origin::{Ask, Database, Origin, Said};

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

/// Who may come, by address. At least one of the fields.
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
    /// Countries that may come or may not.
    #[serde(default)]
    countries: Option<Countries>,
    /// Autonomous systems that may come or may not.
    #[serde(default)]
    systems: Option<Systems>,
}

/// Who may come, by country. At least one of the lists.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IpCountries")]
struct Countries {
    /// The file that knows the countries of addresses, in MaxMind's format.
    database: String,
    /// Countries that may come, by their two letters (ISO 3166-1); nobody else may.
    #[serde(default)]
    allow: Option<Vec<String>>,
    /// Countries that may not come.
    #[serde(default)]
    deny: Vec<String>,
    /// What becomes of addresses that the database says nothing of.
    #[serde(default)]
    unknown: Unknown,
}

/// Who may come, by autonomous system. At least one of the lists.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IpSystems")]
struct Systems {
    /// The file that knows the autonomous systems of addresses, in MaxMind's format.
    database: String,
    /// Numbers of systems that may come; nobody else may.
    #[serde(default)]
    allow: Option<Vec<u32>>,
    /// Numbers of systems that may not come.
    #[serde(default)]
    deny: Vec<u32>,
    /// What becomes of addresses that the database says nothing of.
    #[serde(default)]
    unknown: Unknown,
}

/// What becomes of addresses that nothing is known of.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "IpUnknown")]
enum Unknown {
    /// They are refused.
    #[default]
    Refuse,
    /// They are let past.
    Accept,
}

/// Decides by address.
#[derive(Debug)]
struct Ip {
    allow: Option<Networks>,
    deny: Networks,
    origins: Vec<Origins>,
}

/// Decides by where an address comes from.
#[derive(Debug)]
struct Origins {
    database: Arc<Database>,
    ask: Ask,
    allow: Option<Vec<Origin>>,
    deny: Vec<Origin>,
    unknown: Unknown,
}

fn compile(
    settings: &Value,
    at: &Pointer,
    cx: &mut Compile<'_>,
) -> Result<Arc<dyn Policy>, Problems> {
    let settings: Settings = PolicyKind::settings(settings, at)?;
    let mut problems = Problems::new();
    let nothing = settings.countries.is_none() && settings.systems.is_none();
    match &settings.allow {
        None if settings.deny.is_empty() && nothing => problems.push(
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
    let mut origins = Vec::new();
    if let Some(countries) = &settings.countries {
        origins.extend(countries.compile(&at.key("countries"), cx, &mut problems));
    }
    if let Some(systems) = &settings.systems {
        origins.extend(systems.compile(&at.key("systems"), cx, &mut problems));
    }
    if problems.is_empty() { Ok(Arc::new(Ip { allow, deny, origins })) } else { Err(problems) }
}

impl Countries {
    fn compile(&self, at: &Pointer, cx: &Compile<'_>, problems: &mut Problems) -> Option<Origins> {
        nobody(self.allow.as_ref().map(Vec::len), self.deny.len(), at, problems);
        let mut read = |list: &[String], at: Pointer| -> Vec<Origin> {
            let read = list.iter().enumerate().filter_map(|(number, text)| {
                let country = Origin::country(text);
                if country.is_none() {
                    let what = format!("`{text}` is no country's code");
                    let hint = "write its two letters in capitals, as in `DE`";
                    problems.push(Problem::new(&at.index(number), what).hint(hint));
                }
                country
            });
            read.collect()
        };
        let allow = self.allow.as_deref().map(|list| read(list, at.key("allow")));
        let deny = read(&self.deny, at.key("deny"));
        let lists = Lists { allow, deny, unknown: self.unknown };
        lists.compile(&self.database, Ask::Country, at, cx, problems)
    }
}

impl Systems {
    fn compile(&self, at: &Pointer, cx: &Compile<'_>, problems: &mut Problems) -> Option<Origins> {
        nobody(self.allow.as_ref().map(Vec::len), self.deny.len(), at, problems);
        let read = |list: &[u32]| list.iter().copied().map(Origin::System).collect();
        let (allow, deny) = (self.allow.as_deref().map(read), read(&self.deny));
        let lists = Lists { allow, deny, unknown: self.unknown };
        lists.compile(&self.database, Ask::System, at, cx, problems)
    }
}

/// What is wrong with lists of these lengths.
fn nobody(allow: Option<usize>, deny: usize, at: &Pointer, problems: &mut Problems) {
    if allow.unwrap_or(deny) == 0 {
        let problem = Problem::new(at, "it names nobody who may come, and nobody who may not");
        problems.push(problem.hint("write `allow` or `deny`, with something in it"));
    }
}

/// Origins that may come or may not, before their database is read.
struct Lists {
    allow: Option<Vec<Origin>>,
    deny: Vec<Origin>,
    unknown: Unknown,
}

impl Lists {
    fn compile(
        self,
        file: &str,
        ask: Ask,
        at: &Pointer,
        cx: &Compile<'_>,
        problems: &mut Problems,
    ) -> Option<Origins> {
        let Self { allow, deny, unknown } = self;
        let at = at.key("database");
        let bytes = cx.world.read(file, "address database", origin::BYTES_MAX, &at);
        let bytes = bytes.map_err(|problem| problems.push(problem)).ok()?;
        let opened = Database::kept(bytes, cx.carry).map_err(|what| {
            let what = format!("`{file}` is no address database: {what}");
            problems.push(Problem::new(&at, what).hint("put a file in MaxMind's format there"));
        });
        let database = opened.ok()?;
        if !database.answers(ask) {
            let what =
                format!("`{file}` is of the kind `{}`, which does not tell this", database.kind());
            let hint = match ask {
                Ask::Country => "use one that knows countries, such as GeoLite2-Country",
                Ask::System => "use one that knows autonomous systems, such as GeoLite2-ASN",
            };
            problems.push(Problem::new(&at, what).hint(hint));
        }
        Some(Origins { database, ask, allow, deny, unknown })
    }
}

impl Origins {
    /// Why `client` may not come, if it may not.
    fn refuses(&self, client: IpAddr) -> Option<String> {
        match self.database.of(client, self.ask) {
            Said::Known(origin) if self.deny.contains(&origin) => {
                Some(format!("{origin}, which is in `deny`"))
            }
            Said::Known(origin) => match &self.allow {
                Some(allow) if !allow.contains(&origin) => {
                    Some(format!("{origin}, which is not in `allow`"))
                }
                _ => None,
            },
            Said::Nothing if self.unknown == Unknown::Accept => None,
            Said::Nothing => Some("unknown to the database".to_owned()),
            Said::Broken => Some("where the database is broken".to_owned()),
        }
    }
}

impl Policy for Ip {
    fn on_request<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let client = exchange.client;
        let allowed = self.allow.as_ref().is_none_or(|allow| allow.have(client));
        if !allowed || self.deny.have(client) {
            let list = if allowed { "in `deny`" } else { "not in `allow`" };
            return Step::refuse(Refusal::new(&DENIED).note(format!("{client} is {list}")));
        }
        match self.origins.iter().find_map(|origins| origins.refuses(client)) {
            Some(why) => Step::refuse(Refusal::new(&DENIED).note(format!("{client} is {why}"))),
            None => Step::next(),
        }
    }
}
