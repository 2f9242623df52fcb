//! Numbers for operators. A request adds to counters it was handed at the last swap: no lock, no
//! lookup, no name.
//!
//! What is exposed is in `family.rs`, how it is written in `text.rs` and `page.rs`, what it costs
//! in `series.rs`.

mod family;
mod histogram;
pub(crate) mod http2;
mod page;
mod process;
mod refusals;
mod series;
mod text;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use policy::{Code, Exchange};
use snapshot::{Snapshot, Upstream};

pub(crate) use page::Gauges;
pub(crate) use process::Process;
pub(crate) use series::{Count, ListenerSeries, PerCore, TurnedAway};
pub(crate) use text::Format;

use refusals::Refusals;
use series::{EndpointCounts, ListenerCounts, Registry, RouteCounts, Series, UpstreamCounts};

/// How many have series of their own; those after them in the document are counted together.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    routes: usize,
    upstreams: usize,
    /// Of all upstreams together.
    endpoints: usize,
}

/// Bounds that a scraper and the page's reader can bear.
const BOUNDS: Bounds = Bounds { routes: 10_000, upstreams: 2_000, endpoints: 10_000 };

/// The label of what has no series of its own.
const OTHER: &str = "other";

/// The label of requests no route matches.
const NONE: &str = "none";

type RouteSeries = Series<3, RouteCounts>;
type UpstreamSeries = Series<1, UpstreamCounts>;
type EndpointSeries = Series<2, EndpointCounts>;

/// All counters of an instance. Outlives snapshots: a series is found again by its labels.
pub(crate) struct Metrics {
    bounds: Bounds,
    routes: Registry<3, RouteCounts>,
    upstreams: Registry<1, UpstreamCounts>,
    endpoints: Registry<2, EndpointCounts>,
    listeners: Registry<1, ListenerCounts>,
    refusals: Refusals,
    /// Fields of requests that went because of how their names are written.
    pub names_dropped: Count,
    /// Trailers of requests that went.
    pub trailers_dropped: Count,
    /// Spans sent to the collector.
    pub spans_exported: Count,
    /// Spans that were not: the queue was full, or the collector did not take them.
    pub spans_dropped: Count,
    /// Documents taken.
    pub reloads_taken: Count,
    /// Documents refused.
    pub reloads_refused: Count,
}

/// The counters of one snapshot, by the numbers its routes and upstreams have.
#[derive(Debug)]
pub(crate) struct Handles {
    routes: Box<[Arc<RouteSeries>]>,
    unrouted: Arc<RouteSeries>,
    upstreams: Box<[UpstreamHandles]>,
}

#[derive(Debug)]
struct UpstreamHandles {
    upstream: Arc<UpstreamSeries>,
    endpoints: Box<[Arc<EndpointSeries>]>,
}

impl Metrics {
    /// Counters at zero, for this many cores.
    pub fn new(cores: usize) -> Self {
        Self {
            bounds: BOUNDS,
            routes: Registry::new(cores),
            upstreams: Registry::new(cores),
            endpoints: Registry::new(cores),
            listeners: Registry::new(cores),
            refusals: Refusals::new(cores),
            names_dropped: Count::default(),
            trailers_dropped: Count::default(),
            spans_exported: Count::default(),
            spans_dropped: Count::default(),
            reloads_taken: Count::default(),
            reloads_refused: Count::default(),
        }
    }

    /// The series of a listener, by name.
    pub fn listener(&self, name: &Arc<str>) -> Arc<ListenerSeries> {
        self.listeners.get([name.clone()])
    }

    /// The counters a snapshot's routes and upstreams add to.
    pub fn resolve(&self, snapshot: &Snapshot) -> Handles {
        let none: Arc<str> = NONE.into();
        let other: Arc<str> = OTHER.into();
        let empty: Arc<str> = "".into();
        let rest = self.routes.get([other.clone(), empty.clone(), other.clone()]);
        let own = snapshot.routes.iter().take(self.bounds.routes).map(|route| {
            let version = route.api.version.clone().unwrap_or_else(|| empty.clone());
            self.routes.get([route.api.name.clone(), version, route.name.clone()])
        });
        let rest = snapshot.routes.iter().skip(self.bounds.routes).map(|_| rest.clone());
        Handles {
            routes: own.chain(rest).collect(),
            unrouted: self.routes.get([none.clone(), empty, none]),
            upstreams: self.resolve_upstreams(&snapshot.upstreams, &other),
        }
    }

    fn resolve_upstreams(
        &self,
        upstreams: &[Arc<Upstream>],
        other: &Arc<str>,
    ) -> Box<[UpstreamHandles]> {
        let mut room = self.bounds.endpoints;
        let mut handles = Vec::with_capacity(upstreams.len());
        for (number, upstream) in upstreams.iter().enumerate() {
            let name = if number < self.bounds.upstreams { &upstream.name } else { other };
            let endpoints = upstream.endpoints.iter().map(|endpoint| {
                let own = number < self.bounds.upstreams && room > 0;
                room -= usize::from(own);
                let url = if own { &endpoint.url } else { other };
                self.endpoints.get([name.clone(), url.clone()])
            });
            let endpoints = endpoints.collect();
            handles
                .push(UpstreamHandles { upstream: self.upstreams.get([name.clone()]), endpoints });
        }
        handles.into()
    }

    /// Connections open now, by listener.
    pub fn connections(&self) -> HashMap<Arc<str>, u64> {
        let listeners = self.listeners.list();
        listeners
            .iter()
            .map(|listener| {
                let [name] = &listener.labels;
                (name.clone(), listener.open_now())
            })
            .collect()
    }

    /// Counts an exchange that is over.
    pub fn count(&self, handles: &Handles, core: usize, x: &Exchange) {
        let route = x.route.as_ref().and_then(|route| handles.routes.get(route.number));
        if let Some(counts) = route.unwrap_or(&handles.unrouted).cores.of(core) {
            counts.requests.add(x.response.status.class());
            counts.duration.add(x.times.total);
            if x.bytes_in > 0 {
                counts.bytes_in.add(x.bytes_in);
            }
            counts.bytes_out.add(x.bytes_out);
        }
        if let Some(code) = x.refusal {
            self.refusals.add(core, code);
        }
    }
}

/// How one try of an endpoint went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TryCount {
    /// The core it ran on.
    pub core: usize,
    /// The upstream's number.
    pub upstream: usize,
    /// The endpoint's number, as written in the document.
    pub endpoint: usize,
    /// The class of the status it answered with, or why it did not.
    pub outcome: Result<u16, &'static Code>,
    /// Time until that was known.
    pub took: Duration,
    /// Whether it was not the request's first try.
    pub again: bool,
}

impl Handles {
    /// Counts a try.
    pub fn tried(&self, tried: &TryCount) {
        let Some(handles) = self.upstreams.get(tried.upstream) else { return };
        if let Some(counts) = handles.upstream.cores.of(tried.core) {
            if tried.again {
                counts.retries.add(1);
            }
            if tried.outcome.is_ok() {
                counts.first_byte.add(tried.took);
            }
        }
        let endpoint = handles.endpoints.get(tried.endpoint);
        let Some(counts) = endpoint.and_then(|series| series.cores.of(tried.core)) else { return };
        match tried.outcome {
            Ok(class) => counts.answers.add(class),
            Err(code) => {
                if let Some(count) = counts.failures.get(refusals::upstream_code(code)) {
                    count.add(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
