//! Listeners that pass connections on unopened: TCP, and TLS by its server name.

use std::collections::HashMap;

use base::{Pointer, Problem, Span};
use config::v1;

use super::upstreams::Upstreams;
use super::{Findings, host, retry, split};
use crate::router::Host;
use crate::{Part, Relay, RelayTo, ServerNames, Split};

/// What compiling a relay needs.
pub(super) struct Relays<'a, 'u> {
    pub listener: &'a v1::Listener,
    pub at: &'a Pointer,
    pub upstreams: &'a mut Upstreams<'u>,
    pub findings: &'a mut Findings,
}

impl Relays<'_, '_> {
    /// The relay of a listener that speaks no HTTP.
    pub fn compile(mut self) -> Option<Relay> {
        match (&self.listener.tcp, &self.listener.tls_passthrough) {
            (None, None) => None,
            (Some(tcp), passthrough) => {
                if passthrough.is_some() {
                    let at = self.at.key("tls_passthrough");
                    let problem = Problem::key(&at, "the listener has `tcp` already");
                    self.findings.problem(problem.hint("keep one: `tcp` looks at no name"));
                }
                self.check_alone("tcp");
                let at = self.at.key("tcp");
                retry::check_not_zero("idle_timeout", tcp.idle_timeout, &at, self.findings);
                let to = RelayTo::One(self.split(&tcp.upstream, &at.key("upstream"))?);
                Some(relay(to, tcp.idle_timeout, tcp.send_proxy_protocol))
            }
            (None, Some(tls)) => {
                self.check_alone("tls_passthrough");
                let at = self.at.key("tls_passthrough");
                retry::check_not_zero("idle_timeout", tls.idle_timeout, &at, self.findings);
                let to = RelayTo::Named(self.server_names(tls, &at));
                Some(relay(to, tls.idle_timeout, tls.send_proxy_protocol))
            }
        }
    }

    /// Refuses what only means something where HTTP is spoken.
    fn check_alone(&mut self, relay: &str) {
        let listener = self.listener;
        let limits = |limits: &v1::ListenerLimits| serde_json::to_value(limits).ok();
        let (written, usual) = (limits(&listener.limits), limits(&v1::ListenerLimits::default()));
        let of_http = HTTP_LIMITS.iter().filter(|name| {
            let value = |limits: &Option<serde_json::Value>| limits.as_ref()?.get(**name).cloned();
            value(&written) != value(&usual)
        });
        let at_limits = self.at.key("limits");
        let mut wrong: Vec<(Pointer, &str)> =
            of_http.map(|name| (at_limits.key(*name), *name)).collect();
        for (name, is_there) in [
            ("tls", listener.tls.is_some()),
            ("client_address", listener.client_address.is_some()),
            ("protocols", listener.protocols != [v1::Protocol::Http1, v1::Protocol::Http2]),
        ] {
            if is_there {
                wrong.push((self.at.key(name), name));
            }
        }
        for (at, name) in wrong {
            let what = format!("`{name}` does nothing beside `{relay}`: bytes pass unopened");
            let hint = match name {
                "tls" => "remove it, or remove the other for a listener that opens TLS",
                "client_address" => "remove it; `proxy_protocol` tells the client's address here",
                _ => "remove it",
            };
            self.findings.problem(Problem::key(&at, what).hint(hint));
        }
    }

    fn server_names(&mut self, tls: &v1::TlsPassthrough, at: &Pointer) -> ServerNames {
        if tls.routes.is_empty() && tls.default.is_none() {
            let problem = Problem::new(at, "no name has an upstream: nothing would pass");
            let hint = "write `routes: [ { names: [ a.example.com ], upstream: a } ]`";
            self.findings.problem(problem.hint(hint));
        }
        let mut names = ServerNames::default();
        let mut places: HashMap<Host, Pointer> = HashMap::new();
        for (number, route) in tls.routes.iter().enumerate() {
            let at = at.key("routes").index(number);
            let split = self.split(&route.upstream, &at.key("upstream"));
            if route.names.is_empty() {
                let problem = Problem::new(&at.key("names"), "the route is for no name");
                let hint = "name some, or write `default` for all others";
                self.findings.problem(problem.hint(hint));
            }
            for (number, name) in route.names.iter().enumerate() {
                let at = at.key("names").index(number);
                let Some(host) = self.findings.take(server_name(name, &at)) else { continue };
                if let Some(first) = places.get(&host) {
                    let what = format!("`{host}` has an upstream already: this never matches");
                    let problem = Problem::new(&at, what).hint("remove it from one of the routes");
                    self.findings.problem(problem.see(first, "the first one"));
                    continue;
                }
                places.insert(host.clone(), at);
                if let Some(split) = &split {
                    names.add(host, split.clone());
                }
            }
        }
        if let Some(default) = &tls.default
            && let Some(split) = self.split(default, &at.key("default"))
        {
            names.add(Host::Any, split);
        }
        names
    }

    fn split(&mut self, to: &v1::UpstreamRef, at: &Pointer) -> Option<Split> {
        let resolve = |name: &str, at: &Pointer, findings: &mut Findings| {
            self.upstreams.resolve_tcp(name, at, findings)
        };
        let shares = split::shares(to, at, self.findings, resolve);
        split::of(shares.into_iter().filter_map(|(upstream, up_to)| {
            let timeouts = self.upstreams.get(upstream)?.timeouts;
            Some(Part { upstream, up_to, timeouts })
        }))
    }
}

/// Bounds that hold where HTTP is spoken, and nowhere else.
const HTTP_LIMITS: [&str; 7] = [
    "header_bytes",
    "header_count",
    "header_timeout",
    "body_idle_timeout",
    "keep_alive",
    "http2_streams",
    "body_bytes",
];

fn relay(to: RelayTo, idle_timeout: Span, send_proxy_protocol: bool) -> Relay {
    Relay { to, idle_timeout: idle_timeout.get(), send_proxy_protocol }
}

/// A name that TLS clients can ask for (RFC 6066 §3).
fn server_name(text: &str, at: &Pointer) -> Result<Host, Problem> {
    if text == "*" {
        return Err(Problem::new(at, "`*` is no name").hint("write `default` for all other names"));
    }
    let host = host::parse(text, at)?;
    let is_address = matches!(&host, Host::Exact(name)
        if name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok());
    if is_address {
        return Err(Problem::new(at, format!("`{text}` is an address, not a name"))
            .hint("TLS clients ask for names alone; write `default` for those without one"));
    }
    Ok(host)
}
