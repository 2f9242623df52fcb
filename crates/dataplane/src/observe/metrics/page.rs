//! The page of metrics: every family of the catalogue, in its order.

use std::fmt::Display;

use snapshot::Snapshot;

use super::family::{self, Family};
use super::histogram::Counted;
use super::process::Process;
use super::refusals::UPSTREAM_CODES;
use super::series::{CLASSES, Count, RouteCounts};
use super::text::{Format, Text};
use super::{Metrics, OTHER};
use crate::admin::Past;
use crate::status::{EndpointStatus, UpstreamStatus};

/// Endpoint addresses shown; names can have any number of them.
const ADDRESSES_MAX: usize = 10_000;

/// What is not counted but looked at when the page is made.
pub(crate) struct Gauges<'g> {
    /// What runs; none before the first document was taken.
    pub snapshot: Option<&'g Snapshot>,
    /// Whether traffic is taken.
    pub ready: bool,
    /// Cores that serve.
    pub workers: usize,
    /// Seconds since the start.
    pub uptime: f64,
    /// When the process started, in seconds since 1970.
    pub started: f64,
    /// When the running document was taken, in seconds since 1970.
    pub reloaded: Option<f64>,
    /// How the endpoints are doing.
    pub upstreams: &'g [UpstreamStatus],
    /// What is to be told of the past.
    pub past: &'g Past,
}

impl Metrics {
    /// The page.
    pub fn page(&self, gauges: &Gauges<'_>, format: Format) -> String {
        let mut text = Text::new(format);
        self.requests(&mut text);
        self.upstreams(&mut text);
        endpoints(&mut text, gauges.upstreams);
        self.listeners(&mut text);
        snapshot(&mut text, gauges.snapshot);
        one(&mut text, &family::SPANS_EXPORTED, self.spans_exported.get());
        one(&mut text, &family::SPANS_DROPPED, self.spans_dropped.get());
        let mut reloads = text.family(&family::RELOADS);
        reloads.add(&["taken"], self.reloads_taken.get());
        reloads.add(&["refused"], self.reloads_refused.get());
        instance(&mut text, gauges);
        process(&mut text, &Process::read(), gauges.started);
        text.finish()
    }

    fn requests(&self, text: &mut Text) {
        let routes = self.routes.list();
        let routes: Vec<_> = routes
            .iter()
            .filter(|route| route.cores.all().next().is_some())
            .map(|route| (route.labels.each_ref().map(|label| &**label), &route.cores))
            .collect();
        let mut samples = text.family(&family::REQUESTS);
        for ([api, version, route], cores) in &routes {
            for (at, class) in CLASSES.iter().enumerate() {
                let count = cores.sum(|counts| counts.requests.get(at));
                if count > 0 {
                    samples.add(&[api, version, route, class], count);
                }
            }
        }
        let mut samples = text.family(&family::REQUEST_DURATION);
        for (labels, cores) in &routes {
            samples.histogram(labels, &Counted::of(cores, |counts| &counts.duration));
        }
        let mut bytes = |family, pick: fn(&RouteCounts) -> &Count| {
            let mut samples = text.family(family);
            for (labels, cores) in &routes {
                samples.add(labels, cores.sum(|counts| pick(counts).get()));
            }
        };
        bytes(&family::REQUEST_BYTES, |counts| &counts.bytes_in);
        bytes(&family::RESPONSE_BYTES, |counts| &counts.bytes_out);
        let mut samples = text.family(&family::REFUSALS);
        for (code, count) in self.refusals.counted() {
            samples.add(&[code], count);
        }
    }

    fn upstreams(&self, text: &mut Text) {
        let endpoints = self.endpoints.list();
        let mut samples = text.family(&family::TRIES);
        for endpoint in &endpoints {
            let [upstream, url] = &endpoint.labels;
            for (at, class) in CLASSES.iter().enumerate() {
                let count = endpoint.cores.sum(|counts| counts.answers.get(at));
                if count > 0 {
                    samples.add(&[upstream, url, class], count);
                }
            }
        }
        let mut samples = text.family(&family::FAILURES);
        let codes = UPSTREAM_CODES.iter().map(|code| code.name).chain([OTHER]);
        for endpoint in &endpoints {
            let [upstream, url] = &endpoint.labels;
            for (at, code) in codes.clone().enumerate() {
                let failures = |place: usize| {
                    endpoint.cores.sum(|counts| counts.failures.get(place).map_or(0, Count::get))
                };
                let count = failures(at);
                if count > 0 {
                    samples.add(&[upstream, url, code], count);
                }
            }
        }
        let upstreams = self.upstreams.list();
        let mut samples = text.family(&family::FIRST_BYTE);
        for upstream in &upstreams {
            let [name] = &upstream.labels;
            samples.histogram(&[name], &Counted::of(&upstream.cores, |counts| &counts.first_byte));
        }
        let mut samples = text.family(&family::RETRIES);
        for upstream in &upstreams {
            let [name] = &upstream.labels;
            samples.add(&[name], upstream.cores.sum(|counts| counts.retries.get()));
        }
    }

    fn listeners(&self, text: &mut Text) {
        let listeners = self.listeners.list();
        let mut samples = text.family(&family::ACCEPTED);
        for listener in &listeners {
            let [name] = &listener.labels;
            samples.add(&[name], listener.cores.sum(|counts| counts.accepted.get()));
        }
        let mut samples = text.family(&family::REFUSED);
        for listener in &listeners {
            let [name] = &listener.labels;
            samples.add(&[name], listener.cores.sum(|counts| counts.refused.get()));
        }
        let mut samples = text.family(&family::OPEN);
        for listener in &listeners {
            let [name] = &listener.labels;
            samples.add(&[name], listener.open_now());
        }
        let mut samples = text.family(&family::HANDSHAKES);
        for listener in &listeners {
            let [name] = &listener.labels;
            samples.add(&[name, "done"], listener.cores.sum(|counts| counts.tls_done.get()));
            samples.add(&[name, "failed"], listener.cores.sum(|counts| counts.tls_failed.get()));
        }
    }
}

fn one(text: &mut Text, family: &'static Family, value: impl Display) {
    text.family(family).add(&[], value);
}

fn endpoints(text: &mut Text, upstreams: &[UpstreamStatus]) {
    type Value = fn(&EndpointStatus) -> u64;
    let gauges: [(&'static Family, Value); 5] = [
        (&family::ENDPOINT_HEALTHY, |endpoint| u64::from(endpoint.healthy)),
        (&family::ENDPOINT_EJECTED, |endpoint| u64::from(endpoint.ejected)),
        (&family::ENDPOINT_ACTIVE, |endpoint| endpoint.active),
        (&family::ENDPOINT_CONNECTIONS, |endpoint| endpoint.connections),
        (&family::ENDPOINT_IDLE, |endpoint| endpoint.idle),
    ];
    for (family, value) in gauges {
        let mut samples = text.family(family);
        let all = upstreams.iter().flat_map(|upstream| {
            upstream.endpoints.iter().map(move |endpoint| (&upstream.name, endpoint))
        });
        for (upstream, endpoint) in all.take(ADDRESSES_MAX) {
            let address = endpoint.address.as_deref().unwrap_or_default();
            samples.add_once(&[upstream, &endpoint.endpoint, address], value(endpoint));
        }
    }
}

fn snapshot(text: &mut Text, snapshot: Option<&Snapshot>) {
    let mut samples = text.family(&family::CERTIFICATE_END);
    for listener in snapshot.iter().flat_map(|snapshot| &snapshot.listeners) {
        for certificate in listener.tls.iter().flat_map(|tls| &tls.certificates) {
            let name = certificate.names.first().map_or("", String::as_str);
            samples.add_once(&[&listener.name, &certificate.file, name], certificate.not_after);
        }
    }
    let mut samples = text.family(&family::LOG_DROPPED);
    for target in snapshot.iter().flat_map(|snapshot| &snapshot.log_targets) {
        samples.add(&[&target.destination().to_string()], target.dropped());
    }
}

fn instance(text: &mut Text, gauges: &Gauges<'_>) {
    let mut samples = text.family(&family::LAST_RELOAD);
    if let Some(reloaded) = gauges.reloaded {
        samples.add(&[], reloaded);
    }
    one(text, &family::REVISION, gauges.snapshot.map_or(0, |snapshot| snapshot.revision));
    one(text, &family::FALLBACK, u8::from(gauges.past.fallback.is_some()));
    let mut samples = text.family(&family::RESTARTS);
    samples.add(&["crashed"], gauges.past.crashed);
    samples.add(&["stuck"], gauges.past.stuck);
    one(text, &family::READY, u8::from(gauges.ready));
    one(text, &family::WORKERS, gauges.workers);
    one(text, &family::UPTIME, gauges.uptime);
    text.family(&family::BUILD).add(&[crate::VERSION], 1);
}

fn process(text: &mut Text, process: &Process, started: f64) {
    let mut maybe = |family, value: Option<&dyn Display>| {
        let mut samples = text.family(family);
        if let Some(value) = value {
            samples.add(&[], value);
        }
    };
    maybe(&family::CPU, process.cpu.as_ref().map(|value| value as &dyn Display));
    let whole = [
        (&family::RESIDENT, &process.resident),
        (&family::FDS, &process.fds),
        (&family::MAX_FDS, &process.max_fds),
        (&family::THREADS, &process.threads),
    ];
    for (family, value) in whole {
        maybe(family, value.as_ref().map(|value| value as &dyn Display));
    }
    one(text, &family::STARTED, started);
}
