//! Active health checks: one task for each endpoint, whatever the snapshot. The first check decides
//! the start; from then on it takes several in a row to change anything.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use policy::message::{Body, Frame, Headers, Known, Method, Response};
use snapshot::{Health, HealthProbe, Protocol};

use super::connect::{Connected, Offer, connect};
use super::endpoint::{self, Endpoint};
use super::fleet::SharedUpstream;
use crate::codec::grpc::{self, ServiceHealth};
use crate::codec::{Interim, Outgoing, Permit, h1, h2};
use crate::deadline::Timers;

/// Bytes read of an answer to a gRPC health check.
const ANSWER_MAX: usize = 4 << 10;

/// Checks `endpoint` of `upstream` for good.
pub(super) async fn watch(upstream: Arc<SharedUpstream>, endpoint: Arc<Endpoint>, clock: Clock) {
    let Some(health) = upstream.config.health.clone() else { return };
    let timers = Timers::new(clock.clone());
    let mut row = Row::new(endpoint.health());
    loop {
        let check = check(&upstream, &endpoint, &health, &timers);
        let checked = tokio::time::timeout(health.timeout, check).await;
        let result = checked.unwrap_or_else(|_| Err("no answer in time".into()));
        if let Err(problem) = &result {
            endpoint.failed(&format!("health check: {problem}"));
        }
        if let Some(found) = row.add(result.is_ok(), &health) {
            tracing::info!(endpoint = &*endpoint.label, ?found, "health changed");
            upstream.state.checked(&endpoint, found, clock.now());
        }
        tokio::time::sleep(vary(health.interval)).await;
    }
}

/// An interval, a fifth more or less, so that instances do not check all at once.
fn vary(interval: Duration) -> Duration {
    interval.mul_f64(0.8 + 0.4 * fastrand::f64())
}

/// Checks in a row.
struct Row {
    health: endpoint::Health,
    same: u32,
    last: bool,
}

impl Row {
    /// An endpoint whose health is this so far.
    fn new(health: endpoint::Health) -> Self {
        Self { health, same: 0, last: false }
    }

    /// Adds a check; gives the endpoint's health where it changed.
    fn add(&mut self, passed: bool, rules: &Health) -> Option<endpoint::Health> {
        self.same = if passed == self.last { self.same.saturating_add(1) } else { 1 };
        self.last = passed;
        let found = if passed { endpoint::Health::Healthy } else { endpoint::Health::Unhealthy };
        let enough = if passed { rules.rise } else { rules.fall };
        let first = self.health == endpoint::Health::Unknown;
        if found == self.health || !(first || self.same >= enough) {
            return None;
        }
        self.health = found;
        Some(found)
    }
}

async fn check(
    upstream: &SharedUpstream,
    endpoint: &Endpoint,
    health: &Health,
    timers: &Rc<Timers>,
) -> Result<(), String> {
    let config = &upstream.config;
    let http2 = match (&health.probe, config.protocol) {
        (HealthProbe::Grpc(_), _) | (_, Protocol::Http2) => true,
        (_, Protocol::Auto | Protocol::Http1) => false,
    };
    let offer = if http2 { Offer::Http2 } else { Offer::Http1 };
    let connected = connect(endpoint, config.tls.as_ref(), offer).await;
    let connected = connected.map_err(|failure| failure.note.to_string())?;
    let line = Line { connected, http2, timers, streams: config.pool.streams };
    match &health.probe {
        HealthProbe::Tcp => Ok(()),
        HealthProbe::Http(path, host, expected) => {
            let headers = fields();
            let out = Outgoing {
                method: Method::Get,
                scheme: endpoint.key.scheme.of_requests(),
                authority: host.as_deref().unwrap_or(&endpoint.key.authority),
                target: path,
                headers: &headers,
                upgrade: None,
            };
            let status = line.ask(&out, Body::Empty).await?.status.code();
            let passes = expected.iter().any(|range| range.contains(&status));
            if passes { Ok(()) } else { Err(format!("answered {status}")) }
        }
        HealthProbe::Grpc(service) => check_grpc(line, endpoint, service).await,
    }
}

async fn check_grpc(line: Line<'_>, endpoint: &Endpoint, service: &str) -> Result<(), String> {
    let mut headers = fields();
    headers.append(Known::ContentType.text(), "application/grpc");
    headers.append(Known::Te.text(), "trailers");
    let out = Outgoing {
        method: Method::Post,
        scheme: endpoint.key.scheme.of_requests(),
        authority: &endpoint.key.authority,
        target: grpc::HEALTH_CHECK_PATH,
        headers: &headers,
        upgrade: None,
    };
    let mut response = line.ask(&out, Body::from(grpc::health_request(service))).await?;
    let mut status = grpc::status(&response.headers);
    let mut answer = Vec::new();
    while let Some(frame) = response.body.frame().await {
        match frame.map_err(|error| format!("the answer broke off: {error:?}"))? {
            Frame::Data(data) if answer.len() + data.len() <= ANSWER_MAX => {
                answer.extend_from_slice(&data);
            }
            Frame::Data(_) => return Err("the answer is too long".into()),
            Frame::Trailers(trailers) => status = status.or(grpc::status(&trailers)),
        }
    }
    match (status, grpc::health_response(&answer)) {
        (Some(0), Some(ServiceHealth::Serving)) => Ok(()),
        (Some(0), Some(ServiceHealth::NotServing)) => Err("says NOT_SERVING".into()),
        (Some(0), None) => Err("the answer is no HealthCheckResponse".into()),
        (Some(status), _) => Err(format!("gRPC status {status}")),
        (None, _) => Err(format!("no gRPC status; HTTP status {}", response.status.code())),
    }
}

fn fields() -> Headers {
    let mut headers = Headers::new();
    headers.append(Known::UserAgent.text(), "gateward-health");
    headers
}

/// A connection for one check.
struct Line<'t> {
    connected: Connected,
    http2: bool,
    timers: &'t Rc<Timers>,
    streams: usize,
}

impl Line<'_> {
    async fn ask(self, out: &Outgoing<'_>, body: Body) -> Result<Response, String> {
        let mut response = Response::default();
        let io = self.connected.io;
        let interim = Interim::default();
        let sent = if self.http2 {
            let (streams, timers) = (self.streams, self.timers.clone());
            let settings = h2::client::Settings { streams, idle: Duration::from_secs(60), timers };
            let connection = h2::client::Connection::handshake(io, Permit::free(), settings).await;
            let connection = connection.map_err(|error| error.to_string())?;
            connection.send(out, body, &interim, &mut response).await
        } else {
            let now = self.timers.now();
            let connection = h1::client::Connection::new(io, None, Permit::free(), now);
            connection.send(out, body, &interim, &mut response).await
        };
        sent.map_err(|error| error.note.to_string())?;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::endpoint::Health::{Healthy, Unhealthy, Unknown};
    use super::*;

    #[test]
    fn the_first_check_decides_and_then_it_takes_several() {
        let rules = Health {
            probe: HealthProbe::Tcp,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            fall: 3,
            rise: 2,
        };
        let (up, down) = (true, false);
        for (start, checks, expected) in [
            (Unknown, &[up][..], Healthy),
            (Unknown, &[down], Unhealthy),
            (Unknown, &[up, down, down], Healthy),
            (Unknown, &[up, down, down, down], Unhealthy),
            (Unknown, &[up, down, down, up, down, down], Healthy),
            (Unknown, &[down, up], Unhealthy),
            (Unknown, &[down, up, up], Healthy),
            (Unhealthy, &[up], Unhealthy),
            (Unhealthy, &[up, down, up], Unhealthy),
            (Healthy, &[down, down], Healthy),
            (Healthy, &[down, down, down], Unhealthy),
        ] {
            let mut row = Row::new(start);
            let mut health = start;
            for passed in checks {
                health = row.add(*passed, &rules).unwrap_or(health);
            }
            assert_eq!(health, expected, "{start:?} {checks:?}");
        }
    }

    #[test]
    fn intervals_vary_by_a_fifth() {
        let of = Duration::from_secs(10);
        let all: Vec<_> = (0..1_000).map(|_| vary(of)).collect();
        assert!(all.iter().all(|wait| *wait >= of * 8 / 10 && *wait <= of * 12 / 10));
        assert!(all.iter().any(|wait| *wait < of * 9 / 10));
        assert!(all.iter().any(|wait| *wait > of * 11 / 10));
    }
}
