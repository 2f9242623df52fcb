//! `/status` and `/metrics`: what they show, put together when they are asked for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use snapshot::{Listener, Relay, RelayTo, ShownCertificate, Snapshot};

use super::{Instance, Past};
use crate::observe::metrics::{Format, Gauges, Process};
use crate::observe::reloads::LastReloads;
use crate::overload::OverloadStatus;
use crate::status::UpstreamStatus;

/// What `/status` shows.
#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    pid: u32,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_ready: Option<String>,
    revision: Option<u64>,
    digest: Option<String>,
    uptime_seconds: f64,
    workers: usize,
    memory_bytes: Option<u64>,
    overload: OverloadStatus,
    listeners: Vec<ListenerStatus>,
    apis: Vec<ApiStatus>,
    routes: usize,
    upstreams: Vec<UpstreamStatus>,
    logs: Vec<LogStatus>,
    spans: SpanStatus,
    reloads: LastReloads,
    past: Past,
}

#[derive(Serialize)]
struct ListenerStatus {
    name: String,
    address: String,
    protocols: Vec<&'static str>,
    tls: bool,
    connections: u64,
    connections_max: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<CertificateStatus>,
}

#[derive(Serialize)]
pub(super) struct CertificateStatus {
    names: Vec<String>,
    file: String,
    /// RFC 3339.
    expires: String,
    expires_in_days: i64,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct ApiStatus {
    name: String,
    version: Option<String>,
    path: String,
}

#[derive(Serialize)]
struct LogStatus {
    destination: String,
    lines_dropped: u64,
}

#[derive(Serialize)]
struct SpanStatus {
    exported: u64,
    dropped: u64,
}

/// Seconds of a day.
const DAY: i64 = 86_400;

/// How an instance is doing.
pub(super) fn of(instance: &dyn Instance) -> Status {
    let observer = instance.observer();
    let snapshot = instance.snapshot();
    let snapshot = snapshot.as_deref();
    let ready = instance.ready();
    let now = i64::try_from(observer.clock.wall().as_secs()).unwrap_or(i64::MAX);
    let connections = observer.metrics.connections();
    let listeners = snapshot.map_or(&[][..], |snapshot| &snapshot.listeners);
    Status {
        version: crate::VERSION,
        pid: std::process::id(),
        ready: ready.is_ok(),
        not_ready: ready.err(),
        revision: snapshot.map(|snapshot| snapshot.revision),
        digest: snapshot.map(|snapshot| snapshot.digest.clone()),
        uptime_seconds: observer.clock.now().since(observer.started).as_secs_f64(),
        workers: observer.workers(),
        memory_bytes: Process::read().resident,
        overload: observer.overload.status(),
        listeners: listeners.iter().map(|one| listener(one, &connections, now)).collect(),
        apis: snapshot.map(apis).unwrap_or_default(),
        routes: snapshot.map_or(0, |snapshot| snapshot.routes.len()),
        upstreams: instance.upstreams(),
        logs: snapshot.map(logs).unwrap_or_default(),
        spans: SpanStatus {
            exported: observer.metrics.spans_exported.get(),
            dropped: observer.metrics.spans_dropped.get(),
        },
        reloads: observer.reloads().last(),
        past: instance.past(),
    }
}

fn listener(one: &Listener, connections: &HashMap<Arc<str>, u64>, now: i64) -> ListenerStatus {
    let certificates = one.tls.iter().flat_map(|tls| &tls.certificates);
    ListenerStatus {
        name: one.name.to_string(),
        address: one.bind.to_string(),
        protocols: spoken(one),
        tls: one.tls.is_some(),
        connections: connections.get(&one.name).copied().unwrap_or(0),
        connections_max: one.limits.connections,
        certificates: certificates.map(|shown| certificate(shown, now)).collect(),
    }
}

fn spoken(one: &Listener) -> Vec<&'static str> {
    match &one.relay {
        Some(Relay { to: RelayTo::One(_), .. }) => vec!["tcp"],
        Some(Relay { to: RelayTo::Named(_), .. }) => vec!["tls_passthrough"],
        None => {
            let spoken = [(one.protocols.http1, "http1"), (one.protocols.http2, "http2")];
            spoken.into_iter().filter_map(|(on, name)| on.then_some(name)).collect()
        }
    }
}

pub(super) fn certificate(shown: &ShownCertificate, now: i64) -> CertificateStatus {
    let expires = jiff::Timestamp::from_second(shown.not_after);
    CertificateStatus {
        names: shown.names.clone(),
        file: shown.file.clone(),
        expires: expires.map_or_else(|_| shown.not_after.to_string(), |at| at.to_string()),
        expires_in_days: shown.not_after.saturating_sub(now).div_euclid(DAY),
    }
}

fn apis(snapshot: &Snapshot) -> Vec<ApiStatus> {
    let apis: BTreeSet<_> = snapshot
        .routes
        .iter()
        .map(|route| ApiStatus {
            name: route.api.name.to_string(),
            version: route.api.version.as_deref().map(str::to_owned),
            path: route.api.path.to_string(),
        })
        .collect();
    apis.into_iter().collect()
}

fn logs(snapshot: &Snapshot) -> Vec<LogStatus> {
    let targets = snapshot.log_targets.iter();
    targets
        .map(|target| LogStatus {
            destination: target.destination().to_string(),
            lines_dropped: target.dropped(),
        })
        .collect()
}

/// The page of metrics.
pub(super) fn metrics(instance: &dyn Instance, format: Format) -> String {
    let observer = instance.observer();
    let snapshot = instance.snapshot();
    let gauges = Gauges {
        snapshot: snapshot.as_deref(),
        ready: instance.ready().is_ok(),
        workers: observer.workers(),
        uptime: observer.clock.now().since(observer.started).as_secs_f64(),
        started: observer.started_wall.as_secs_f64(),
        reloaded: observer.reloads().last().taken.map(|taken| taken.at),
        upstreams: &instance.upstreams(),
        overload: &observer.overload.status(),
        past: &instance.past(),
    };
    observer.metrics.page(&gauges, format)
}
