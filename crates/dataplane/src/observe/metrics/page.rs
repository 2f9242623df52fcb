//! The page of metrics: every family of the catalogue, in its order.

use std::fmt::Display;

use snapshot::Snapshot;

use super::family::{self, Family};
use super::histogram::Counted;
use super::process::Process;
use super::refusals::UPSTREAM_CODES;
use super::series::{CLASSES, Count, ListenerCounts, RouteCounts, TurnedAway};
use super::text::{Format, Text};
use super::{Metrics, OTHER};
use crate::admin::Past;
use crate::overload::OverloadStatus;
use crate::relay::Outcome;
use crate::status::{BreakerState, EndpointStatus, UpstreamStatus};

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
    /// How loaded the instance is.
    pub overload: &'g OverloadStatus,
    /// What is to be told of the past.
    pub past: &'g Past,
}

impl Metrics {
    /// The page.
    pub fn page(&self, gauges: &Gauges<'_>, format: Format) -> String {
        let mut text = Text::new(format);
        self.requests(&mut text);
        self.upstreams(&mut text);
        breakers(&mut text, gauges.upstreams);
        endpoints(&mut text, gauges.upstreams);
        self.listeners(&mut text);
        certificates(&mut text, gauges.snapshot);
        overload(&mut text, gauges.overload);
        logs(&mut text, gauges.snapshot);
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
        let mut samples = text.family(&family::FIELDS_DROPPED);
        samples.add(&["name"], self.names_dropped.get());
        samples.add(&["trailer"], self.trailers_dropped.get());
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
            for (why, reason) in TurnedAway::ALL {
                let count = |counts: &ListenerCounts| {
                    counts.refused.get(why as usize).map_or(0, Count::get)
                };
                samples.add(&[name, reason], listener.cores.sum(count));
            }
        }
        let mut samples = text.family(&family::OPEN);
        for listener in &listeners {
            let [name] = &listener.labels;
            samples.add(&[name], listener.open_now());
        }
        let mut samples = text.family(&family::ACCEPT_PAUSES);
        for listener in &listeners {
            let [name] = &listener.labels;
            samples.add(&[name], listener.cores.sum(|counts| counts.pauses.get()));
        }
        let mut samples = text.family(&family::HANDSHAKES);
        for listener in &listeners {
            let [name] = &listener.labels;
            samples.add(&[name, "done"], listener.cores.sum(|counts| counts.tls_done.get()));
            samples.add(&[name, "failed"], listener.cores.sum(|counts| counts.tls_failed.get()));
        }
        let mut samples = text.family(&family::HTTP2_ENDED);
        for listener in &listeners {
            let [name] = &listener.labels;
            listener.http2_ends().for_each(|(reason, count)| samples.add(&[name, reason], count));
        }
        let mut samples = text.family(&family::HTTP2_RESETS);
        for listener in &listeners {
            let [name] = &listener.labels;
            listener.http2_resets().for_each(|(reason, count)| samples.add(&[name, reason], count));
        }
        self.relays(text);
    }

    fn relays(&self, text: &mut Text) {
        let listeners = self.listeners.list();
        let mut samples = text.family(&family::PASSED);
        for listener in &listeners {
            let [name] = &listener.labels;
            for outcome in Outcome::ALL {
                let ended = |counts: &ListenerCounts| {
                    counts.outcomes.get(outcome as usize).map_or(0, Count::get)
                };
                let count = listener.cores.sum(ended);
                if count > 0 {
                    samples.add(&[name, outcome.word()], count);
                }
            }
        }
        let mut samples = text.family(&family::PASSED_BYTES);
        for listener in &listeners {
            let [name] = &listener.labels;
            let up = listener.cores.sum(|counts| counts.bytes_up.get());
            let down = listener.cores.sum(|counts| counts.bytes_down.get());
            if up + down > 0 {
                samples.add(&[name, "up"], up);
                samples.add(&[name, "down"], down);
            }
        }
    }
}

fn one(text: &mut Text, family: &'static Family, value: impl Display) {
    text.family(family).add(&[], value);
}

fn breakers(text: &mut Text, upstreams: &[UpstreamStatus]) {
    let mut samples = text.family(&family::BREAKER);
    for upstream in upstreams {
        for state in BreakerState::ALL {
            samples.add(&[&upstream.name, state.word()], u64::from(state == upstream.breaker));
        }
    }
    let mut samples = text.family(&family::BREAKER_OPENED);
    for upstream in upstreams {
        samples.add(&[&upstream.name], upstream.breaker_opened);
    }
    let mut samples = text.family(&family::PANIC);
    for upstream in upstreams {
        samples.add(&[&upstream.name], u64::from(upstream.panic));
    }
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

fn certificates(text: &mut Text, snapshot: Option<&Snapshot>) {
    let mut samples = text.family(&family::CERTIFICATE_END);
    for listener in snapshot.iter().flat_map(|snapshot| &snapshot.listeners) {
        for certificate in listener.tls.iter().flat_map(|tls| &tls.certificates) {
            let name = certificate.names.first().map_or("", String::as_str);
            samples.add_once(&[&listener.name, &certificate.file, name], certificate.not_after);
        }
    }
}

fn overload(text: &mut Text, overload: &OverloadStatus) {
    one(text, &family::OVERLOAD, overload.level_number);
    one(text, &family::BUDGET, overload.memory_budget);
    one(text, &family::USED, overload.memory_used);
    one(text, &family::CONNECTIONS_MAX, overload.connections_max);
    let lag = overload.lag_us.iter().max().copied().unwrap_or(0);
    one(text, &family::LAG, lag as f64 / 1e6);
    let mut samples = text.family(&family::SHED);
    let reasons = [("memory", &overload.shed_for_memory), ("queue", &overload.shed_for_time)];
    for (reason, by_priority) in reasons {
        for (priority, count) in by_priority {
            samples.add(&[reason, priority], count);
        }
    }
    one(text, &family::STREAMS_REFUSED, overload.streams_refused);
    one(text, &family::IDLE_CLOSED, overload.idle_closed);
}

fn logs(text: &mut Text, snapshot: Option<&Snapshot>) {
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
