//! Upstreams: those of the document, and those that APIs name by a URL.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use base::{Pointer, Problem};
use config::v1;
use policy::message::Name;

use super::endpoint::{self, looks_like_url};
use super::{Findings, Inputs, retry, tcp, unknown};
use crate::diff::fingerprint;
use crate::tls::{self, Files, Towards};
use crate::{
    Balance, Breaker, Dns, Endpoint, EndpointScheme, Health, HealthProbe, Outlier, Pool, Protocol,
    Upstream,
};

/// The upstreams so far.
pub(super) struct Upstreams<'a> {
    list: Vec<Upstream>,
    numbers: HashMap<String, usize>,
    /// How many of them the document names.
    named: usize,
    inputs: &'a Inputs<'a>,
    files: &'a Files<'a>,
}

impl<'a> Upstreams<'a> {
    /// Compiles the document's own.
    pub fn compile(
        document: &v1::Document,
        inputs: &'a Inputs<'a>,
        files: &'a Files<'a>,
        findings: &mut Findings,
    ) -> Self {
        let mut upstreams =
            Self { list: Vec::new(), numbers: HashMap::new(), named: 0, inputs, files };
        let list = Pointer::root().key("upstreams");
        for (number, written) in document.upstreams.iter().enumerate() {
            let at = list.index(number);
            if looks_like_url(&written.name) {
                let what = format!("`{}` is a URL, not a name", written.name);
                let hint = "give it a name, and put the URL into `endpoints`";
                findings.problem(Problem::new(&at.key("name"), what).hint(hint));
            }
            upstreams.add(written, &at, findings);
        }
        upstreams.named = upstreams.list.len();
        upstreams
    }

    /// The number of the upstream that `text` names, or of the one whose URL it is, for requests.
    pub fn resolve(&mut self, text: &str, at: &Pointer, findings: &mut Findings) -> Option<usize> {
        let number = self.number(text, at, findings)?;
        if self.list.get(number).is_some_and(tcp::is_raw) {
            let what = format!("the upstream `{text}` is for TCP listeners, not for requests");
            let problem = Problem::new(at, what);
            findings.problem(problem.hint("write its endpoints with `http://` or `https://`"));
        }
        Some(number)
    }

    /// The same for connections that are passed on unopened.
    pub fn resolve_tcp(
        &mut self,
        text: &str,
        at: &Pointer,
        findings: &mut Findings,
    ) -> Option<usize> {
        let number = self.number(text, at, findings)?;
        if !self.list.get(number).is_some_and(tcp::takes_raw) {
            let what = format!("the upstream `{text}` is for requests, not for TCP listeners");
            let problem = Problem::new(at, what);
            findings.problem(problem.hint("write its endpoints with `tcp://host:port`"));
        }
        Some(number)
    }

    fn number(&mut self, text: &str, at: &Pointer, findings: &mut Findings) -> Option<usize> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        if !looks_like_url(text) {
            let names = self.list.iter().take(self.named).map(|upstream| &*upstream.name);
            findings.problem(unknown(at, "upstream", text, names));
            return None;
        }
        let endpoint = findings.take(endpoint(&v1::Endpoint::Url(text.into()).full(), at))?;
        let written = v1::Upstream::of_url(text);
        let tls = (endpoint.scheme == EndpointScheme::Https).then(|| {
            let towards = Towards::Upstream(written.protocol);
            tls::client(&written.tls, towards, at, self.files, self.inputs, findings)
        });
        Some(self.push(&written, vec![endpoint], tls.flatten(), at, findings))
    }

    /// The upstream of this number.
    pub fn get(&self, number: usize) -> Option<&Upstream> {
        self.list.get(number)
    }

    /// All of them.
    pub fn finish(self) -> Vec<Arc<Upstream>> {
        self.list.into_iter().map(Arc::new).collect()
    }

    fn add(&mut self, written: &v1::Upstream, at: &Pointer, findings: &mut Findings) {
        let endpoints = endpoints(written, at, findings);
        let is_secure = endpoints.iter().any(|endpoint| endpoint.scheme == EndpointScheme::Https);
        let at_tls = at.key("tls");
        let tls = if is_secure {
            let towards = Towards::Upstream(written.protocol);
            tls::client(&written.tls, towards, &at_tls, self.files, self.inputs, findings)
        } else {
            check_tls_is_used(written, &at_tls, findings);
            None
        };
        tcp::check(written, &endpoints, at, findings);
        self.push(written, endpoints, tls, at, findings);
    }

    fn push(
        &mut self,
        written: &v1::Upstream,
        endpoints: Vec<Endpoint>,
        tls: Option<crate::UpstreamTls>,
        at: &Pointer,
        findings: &mut Findings,
    ) -> usize {
        let number = self.list.len();
        let timeouts = retry::timeouts(&written.timeouts, &at.key("timeouts"), findings);
        let at_retry = at.key("retry");
        let retry = retry::retry(&written.retry, &at_retry, findings);
        let misfit = retry::misfit(&retry, &timeouts, &at_retry.key("per_try_timeout"));
        misfit.into_iter().for_each(|problem| findings.problem(problem));
        let fingerprint = fingerprint(written, tls.as_ref().map(|tls| &tls.identity));
        self.numbers.entry(written.name.clone()).or_insert(number);
        self.list.push(Upstream {
            number,
            name: written.name.as_str().into(),
            endpoints,
            balance: balance(&written.balance, &at.key("balance"), findings),
            protocol: match written.protocol {
                v1::UpstreamProtocol::Auto => Protocol::Auto,
                v1::UpstreamProtocol::Http1 => Protocol::Http1,
                v1::UpstreamProtocol::Http2 => Protocol::Http2,
            },
            tls,
            health: written.health.as_ref().map(|one| health(one, &at.key("health"), findings)),
            outlier: outlier(&written.outlier, &at.key("outlier"), findings),
            pool: pool(&written.pool, &at.key("pool"), findings),
            timeouts,
            retry,
            breaker: breaker(&written.breaker, &at.key("breaker"), findings),
            panic_threshold: written.panic_threshold,
            slow_start: written.slow_start.get(),
            dns: dns(&written.dns, &at.key("dns"), findings),
            fingerprint,
        });
        number
    }
}

fn endpoints(written: &v1::Upstream, at: &Pointer, findings: &mut Findings) -> Vec<Endpoint> {
    let list = at.key("endpoints");
    if written.endpoints.is_empty() {
        let what = format!("upstream `{}` has no endpoint", written.name);
        let hint = "write one, as in `endpoints: [ \"http://10.0.0.7:9001\" ]`";
        findings.problem(Problem::new(&list, what).hint(hint));
        return Vec::new();
    }
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(written.endpoints.len());
    let mut places: HashMap<String, Pointer> = HashMap::new();
    for (number, one) in written.endpoints.iter().enumerate() {
        let mut at = list.index(number);
        if matches!(one, v1::Endpoint::Full(_)) {
            at = at.key("url");
        }
        let Some(endpoint) = findings.take(endpoint(&one.full(), &at)) else { continue };
        match places.get(&*endpoint.url) {
            Some(first) => findings.problem(
                Problem::new(&at, format!("`{}` is an endpoint twice", endpoint.url))
                    .hint("give it a larger `weight` if it is to take more")
                    .see(first, "the first one"),
            ),
            None => drop(places.insert(endpoint.url.to_string(), at)),
        }
        endpoints.push(endpoint);
    }
    if !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.weight == 0) {
        let what = format!("all endpoints of upstream `{}` have the weight 0", written.name);
        let hint = "give at least one of them a weight of 1 or more";
        findings.problem(Problem::new(&list, what).hint(hint));
    }
    endpoints
}

fn endpoint(written: &v1::EndpointFull, at: &Pointer) -> Result<Endpoint, Problem> {
    let url = endpoint::parse(&written.url, at)?;
    Ok(Endpoint {
        url: written.url.strip_suffix('/').unwrap_or(&written.url).into(),
        scheme: url.scheme,
        address: url.address,
        authority: url.authority.into(),
        weight: written.weight,
        priority: written.priority,
    })
}

/// TLS that is described but not spoken is what somebody believes in.
fn check_tls_is_used(written: &v1::Upstream, at: &Pointer, findings: &mut Findings) {
    let tls = &written.tls;
    let described = tls.ca.is_some()
        || tls.certificate.is_some()
        || tls.server_name.is_some()
        || !tls.names.is_empty()
        || !tls.verify;
    if described && !written.endpoints.is_empty() {
        let what = format!("upstream `{}` has TLS settings, but no `https` endpoint", written.name);
        let hint = "write the endpoints with `https://`, or remove `tls`";
        findings.problem(Problem::new(at, what).hint(hint));
    }
}

fn balance(written: &v1::Balance, at: &Pointer, findings: &mut Findings) -> Balance {
    let at = at.key("hash");
    match written {
        v1::Balance::By(by) => Balance::By(*by),
        v1::Balance::Hash { hash: v1::HashOn::ClientAddress } => Balance::HashClientAddress,
        v1::Balance::Hash { hash: v1::HashOn::Header(name) } => match Name::new(name) {
            Some(name) => Balance::HashHeader(name),
            None => {
                let what = format!("`{name}` is no name of a header field");
                let problem = Problem::new(&at.key("header"), what);
                findings.problem(problem.hint("write one, as in `header: x-session`"));
                Balance::HashClientAddress
            }
        },
        v1::Balance::Hash { hash: v1::HashOn::Cookie(name) } => {
            if name.is_empty() || !name.bytes().all(policy::message::is_token) {
                let problem =
                    Problem::new(&at.key("cookie"), format!("`{name}` is no name of a cookie"));
                findings.problem(problem.hint("write one, as in `cookie: session`"));
            }
            Balance::HashCookie(name.as_str().into())
        }
    }
}

fn health(written: &v1::Health, at: &Pointer, findings: &mut Findings) -> Health {
    retry::check_not_zero("interval", written.interval, at, findings);
    retry::check_not_zero("timeout", written.timeout, at, findings);
    check_count("fall", written.fall.into(), at, findings);
    check_count("rise", written.rise.into(), at, findings);
    let probe = match written.kind {
        v1::HealthKind::Tcp => HealthProbe::Tcp,
        v1::HealthKind::Grpc => HealthProbe::Grpc(written.service.as_str().into()),
        v1::HealthKind::Http => {
            let path = written.path.split('?').next().unwrap_or_default();
            if let Err(bad) = crate::path::canonical(path) {
                findings.problem(bad.problem(&at.key("path")));
            }
            if written.expect.is_empty() {
                let problem = Problem::new(&at.key("expect"), "no status passes the check");
                findings.problem(problem.hint("write statuses, as in `[ \"200-299\" ]`"));
            }
            let expect = written.expect.iter().enumerate().filter_map(|(number, text)| {
                findings.take(statuses(text, &at.key("expect").index(number)))
            });
            let expect = expect.collect();
            let host = written.host.as_deref().map(Into::into);
            HealthProbe::Http(written.path.as_str().into(), host, expect)
        }
    };
    Health {
        probe,
        interval: written.interval.get(),
        timeout: written.timeout.get(),
        fall: written.fall,
        rise: written.rise,
    }
}

/// `200` or `200-299`.
fn statuses(text: &str, at: &Pointer) -> Result<RangeInclusive<u16>, Problem> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if (100..=last).contains(&first) && last <= 599 => Ok(first..=last),
        _ => Err(Problem::new(at, format!("`{text}` is no status"))
            .hint("write `200`, or a range as in `200-299`")),
    }
}

fn outlier(written: &v1::Outlier, at: &Pointer, findings: &mut Findings) -> Option<Outlier> {
    if !written.enabled {
        return None;
    }
    check_count("consecutive", written.consecutive.into(), at, findings);
    if written.base > written.max {
        let what = format!(
            "the first ejection ({}) is longer than the longest ({})",
            written.base, written.max
        );
        findings.problem(Problem::new(&at.key("base"), what).hint("raise `max`, or lower `base`"));
    }
    Some(Outlier {
        consecutive: written.consecutive,
        base: written.base.get(),
        max: written.max.get(),
        max_percent: written.max_percent,
    })
}

fn pool(written: &v1::Pool, at: &Pointer, findings: &mut Findings) -> Pool {
    check_count("streams", written.streams.into(), at, findings);
    Pool {
        idle: written.idle as usize,
        idle_timeout: written.idle_timeout.get(),
        max_age: written.max_age.get(),
        max_requests: match written.max_requests {
            0 => u64::MAX,
            bound => bound,
        },
        streams: written.streams as usize,
    }
}

fn breaker(written: &v1::Breaker, at: &Pointer, findings: &mut Findings) -> Breaker {
    check_count("connections", written.connections.into(), at, findings);
    check_count("running", written.running.into(), at, findings);
    check_count("failure_requests", written.failure_requests.into(), at, findings);
    retry::check_not_zero("open", written.open, at, findings);
    Breaker {
        connections: written.connections as usize,
        pending: written.pending as usize,
        running: written.running as usize,
        failure_percent: written.failure_percent,
        failure_requests: written.failure_requests.into(),
        open: written.open.get(),
        ramp: written.ramp.get(),
    }
}

fn dns(written: &v1::Dns, at: &Pointer, findings: &mut Findings) -> Dns {
    if written.min_ttl > written.max_ttl {
        let what = format!(
            "`min_ttl` ({}) is longer than `max_ttl` ({})",
            written.min_ttl, written.max_ttl
        );
        findings
            .problem(Problem::new(&at.key("min_ttl"), what).hint("lower it, or raise the other"));
    }
    let mut servers = Vec::new();
    for (number, server) in written.servers.iter().enumerate() {
        let with_port = server.parse::<SocketAddr>();
        match with_port.or_else(|_| server.parse::<IpAddr>().map(|ip| (ip, 53).into())) {
            Ok(server) => servers.push(server),
            Err(_) => {
                let at = at.key("servers").index(number);
                let problem = Problem::new(&at, format!("`{server}` is no address of a server"));
                findings.problem(problem.hint("write `address:port`, as in `10.0.0.2:53`"));
            }
        }
    }
    Dns { min_ttl: written.min_ttl.get(), max_ttl: written.max_ttl.get(), servers }
}

fn check_count(name: &str, value: u64, at: &Pointer, findings: &mut Findings) {
    if value == 0 {
        let problem = Problem::new(&at.key(name), format!("`{name}` is 0, and must be 1 or more"));
        findings.problem(problem.hint("leave it out for the default"));
    }
}
