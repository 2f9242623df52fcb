//! Upstreams of TCP listeners: what is special about them.

use base::{Pointer, Problem};
use config::v1;

use super::Findings;
use crate::{Endpoint, EndpointAddress, EndpointScheme, Upstream};

/// Whether an upstream takes no requests, only bytes.
pub(super) fn is_raw(upstream: &Upstream) -> bool {
    upstream.endpoints.iter().any(|endpoint| endpoint.scheme == EndpointScheme::Tcp)
}

/// Whether an upstream takes connections of TCP listeners. One without endpoints is refused for
/// that.
pub(super) fn takes_raw(upstream: &Upstream) -> bool {
    upstream.endpoints.iter().all(is_raw_endpoint)
}

fn is_raw_endpoint(endpoint: &Endpoint) -> bool {
    endpoint.scheme == EndpointScheme::Tcp || matches!(endpoint.address, EndpointAddress::Unix(_))
}

/// Refuses what an upstream of TCP listeners can't do.
pub(super) fn check(
    written: &v1::Upstream,
    endpoints: &[Endpoint],
    at: &Pointer,
    findings: &mut Findings,
) {
    if !endpoints.iter().any(|endpoint| endpoint.scheme == EndpointScheme::Tcp) {
        return;
    }
    if let Some(other) = endpoints.iter().find(|endpoint| !is_raw_endpoint(endpoint)) {
        let what = format!("`{}` speaks HTTP, and other endpoints are raw TCP", other.url);
        let hint = "make two upstreams of them: one for APIs, one for TCP listeners";
        findings.problem(Problem::new(&at.key("endpoints"), what).hint(hint));
    }
    if written.protocol != v1::UpstreamProtocol::Auto {
        let what = "`protocol` does nothing: bytes are passed to `tcp://` endpoints as they come";
        findings.problem(Problem::key(&at.key("protocol"), what).hint("remove it"));
    }
    if let Some(health) = written.health.as_ref().filter(|one| one.kind != v1::HealthKind::Tcp) {
        let what = format!("a `tcp://` endpoint can't be checked by {}", kind(health.kind));
        let problem = Problem::new(&at.key("health"), what);
        findings.problem(problem.hint("write `health: { kind: tcp }`: it must take a connection"));
    }
    if let v1::Balance::Hash { hash: v1::HashOn::Header(_) | v1::HashOn::Cookie(_) } =
        &written.balance
    {
        let what = "there is no header and no cookie to hash in raw TCP";
        let problem = Problem::new(&at.key("balance"), what);
        findings.problem(problem.hint("write `balance: { hash: client_address }`"));
    }
}

fn kind(kind: v1::HealthKind) -> &'static str {
    match kind {
        v1::HealthKind::Http => "HTTP",
        v1::HealthKind::Grpc => "gRPC",
        v1::HealthKind::Tcp => "a connection",
    }
}
