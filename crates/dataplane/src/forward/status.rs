//! How the fleet is doing, for `/status` and metrics.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base::Instant;
use snapshot::Bind;

use super::balance::{self, Candidate};
use super::endpoint::{Endpoint, Health};
use super::fleet::{Fleet, SharedUpstream};
use super::members::Member;
use crate::{EndpointStatus, UpstreamStatus};

impl Fleet {
    /// Every upstream of the snapshot applied last.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        let now = self.clock().now();
        self.current().iter().map(|upstream| upstream_status(upstream, now)).collect()
    }
}

fn upstream_status(upstream: &SharedUpstream, now: Instant) -> UpstreamStatus {
    let config = &upstream.config;
    let members = upstream.state.members();
    let candidates: Vec<Candidate> =
        members.list.iter().map(|member| candidate(member, config.slow_start, now)).collect();
    let mut endpoints: Vec<EndpointStatus> =
        members.list.iter().map(|member| endpoint_status(config, &member.endpoint, now)).collect();
    if endpoints.is_empty() || members.problem.is_some() {
        let named = config.endpoints.iter().filter(|endpoint| {
            super::members::question(endpoint).is_some()
                && !members.list.iter().any(|m| m.endpoint.key.authority == endpoint.authority)
        });
        let why = members.problem.as_deref().unwrap_or("its name is being looked up");
        endpoints.extend(named.map(|endpoint| EndpointStatus {
            endpoint: endpoint.url.to_string(),
            why: Some(why.to_owned()),
            ..EndpointStatus::default()
        }));
    }
    UpstreamStatus {
        name: config.name.to_string(),
        panic: balance::panics(&candidates, config.panic_threshold),
        running: upstream.state.load.running.load(Relaxed) as u64,
        pending: upstream.state.load.pending.load(Relaxed) as u64,
        connections: upstream.state.load.connections.load(Relaxed) as u64,
        refused: upstream.state.load.refused.load(Relaxed),
        breaker: upstream.state.breaker.state(&config.breaker, now),
        breaker_opened: upstream.state.breaker.opened.load(Relaxed),
        breaker_refused: upstream.state.breaker.refused.load(Relaxed),
        retries_refused: upstream.state.budget.exhausted.load(Relaxed),
        endpoints,
    }
}

/// A member as balancing sees it.
pub(super) fn candidate(member: &Member, slow_start: Duration, now: Instant) -> Candidate {
    Candidate {
        id: member.endpoint.id,
        weight: member.weight,
        ramp: member.endpoint.ramp(now, slow_start),
        tier: member.tier,
        usable: member.endpoint.is_usable(now),
    }
}

fn endpoint_status(
    config: &snapshot::Upstream,
    endpoint: &Endpoint,
    now: Instant,
) -> EndpointStatus {
    let written = config.endpoints.get(endpoint.written.load(Relaxed));
    let healthy = endpoint.health() != Health::Unhealthy;
    let ejected = endpoint.ejected_until(now);
    let last = endpoint.last_failure().map(|failure| failure.to_string());
    let why = match (healthy, ejected) {
        (true, None) => None,
        (false, _) => last.clone(),
        (true, Some(until)) => {
            let left = until.since(now).as_secs() + 1;
            let last = last.as_deref().unwrap_or_default();
            Some(format!("ejected for another {left} s after: {last}"))
        }
    };
    let active = endpoint.active.load(Relaxed) as u64;
    let connections = endpoint.connections.load(Relaxed) as u64;
    EndpointStatus {
        endpoint: written.map_or_else(|| endpoint.url(), |written| written.url.to_string()),
        address: match &endpoint.key.at {
            Bind::Tcp(address) => Some(address.to_string()),
            Bind::Unix(path) => Some(path.display().to_string()),
        },
        healthy,
        ejected: ejected.is_some(),
        why,
        failures: endpoint.failures.load(Relaxed),
        last_failure: last,
        active,
        connections,
        idle: connections.saturating_sub(active),
    }
}
