//! The engine for tests: one core on the test's own runtime, with clients, endpoints and time in
//! memory.
//!
//! Runs on a runtime for local tasks whose time is paused (`#[tokio::test(flavor = "local",
//! start_paused = true)]`).

pub mod parsers;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use snapshot::{Bind, Snapshot};
use tokio::io::DuplexStream;

use crate::forward::Fleet;
use crate::observe::Observer;
use crate::observe::metrics::{Format, Gauges};
use crate::site::{DoorPlan, Plan, Site};

/// Who takes a connection to an endpoint in memory; gives none if it refuses it.
type Endpoint = Box<dyn Fn() -> Option<DuplexStream>>;

thread_local! {
    /// Endpoints in memory. While there is one on a thread, no connection leaves the process from
    /// there.
    static ENDPOINTS: RefCell<HashMap<Bind, Endpoint>> = RefCell::default();
}

/// A connection to an endpoint in memory; none where connections are real.
pub(crate) fn connect(at: &Bind) -> Option<io::Result<DuplexStream>> {
    ENDPOINTS.with_borrow(|endpoints| {
        if endpoints.is_empty() {
            return None;
        }
        let stream = endpoints.get(at).and_then(|endpoint| endpoint());
        Some(stream.ok_or_else(|| io::ErrorKind::ConnectionRefused.into()))
    })
}

/// One core of the data plane, without sockets and threads.
pub struct Plane {
    site: Site,
    clock: Clock,
    observer: Arc<Observer>,
    fleet: Arc<Fleet>,
}

impl Plane {
    /// One that runs by `snapshot`. Its wall time starts at `wall` since 1970.
    ///
    /// # Errors
    /// What stands in the way: logs that can't be opened, a collector that is none.
    pub fn new(snapshot: Arc<Snapshot>, wall: Duration) -> Result<Self, Vec<String>> {
        let clock = Clock::fixed(wall);
        let observer = Observer::new(1, clock.clone());
        let fleet = Fleet::new(clock.clone());
        let site = Site::new(0, clock.clone(), plan(&snapshot, &observer, &fleet)?);
        Ok(Self { site, clock, observer, fleet })
    }

    /// Runs by `snapshot` from now on.
    ///
    /// # Errors
    /// What stands in the way; then nothing has changed.
    pub fn swap(&self, snapshot: Arc<Snapshot>) -> Result<(), Vec<String>> {
        self.site.swap(plan(&snapshot, &self.observer, &self.fleet)?);
        Ok(())
    }

    /// A connection to the listener of this name. It holds `capacity` bytes each way: what is
    /// written beyond waits until it is read.
    pub fn connect(&self, listener: &str, capacity: usize) -> DuplexStream {
        let (near, far) = tokio::io::duplex(capacity);
        self.site.connect(listener, far);
        near
    }

    /// Puts an endpoint at `at`: `accept` gives our end of each connection to it, or none to refuse
    /// it.
    pub fn endpoint(&self, at: Bind, accept: impl Fn() -> Option<DuplexStream> + 'static) {
        ENDPOINTS.with_borrow_mut(|endpoints| endpoints.insert(at, Box::new(accept)));
    }

    /// Lets everything happen that can without time.
    pub async fn settle(&self) {
        // Paused time moves on only when nothing else can be done.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Lets time pass: whatever is due by then happens.
    pub async fn pass(&self, by: Duration) {
        self.settle().await;
        // A timer that fires looks at the clock, which therefore goes first.
        self.clock.advance(by);
        tokio::time::sleep(by).await;
        self.settle().await;
    }

    /// From now on so many percent of the memory budget are in use.
    pub fn fill_memory(&self, percent: u64) {
        let overload = &self.observer.overload;
        if overload.weigh(overload.budget().div_ceil(100) * percent).is_some() {
            self.site.press();
        }
    }

    /// From now on what is ready waits for this long.
    pub fn pretend_lag(&self, lag: Duration) {
        self.site.pretend_lag(lag);
    }

    /// Takes no more connections, and ends when those there are did, or `grace` is over.
    pub async fn drain(&self, grace: Duration) {
        self.site.drain(grace).await;
    }

    /// The page of metrics.
    pub fn metrics(&self) -> String {
        let gauges = Gauges {
            snapshot: None,
            ready: true,
            workers: 1,
            uptime: 0.0,
            started: 0.0,
            reloaded: None,
            upstreams: &[],
            overload: &self.observer.overload.status(),
            past: &crate::admin::Past::default(),
        };
        self.observer.metrics.page(&gauges, Format::Prometheus)
    }

    /// What observes it.
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        ENDPOINTS.take();
    }
}

fn plan(
    snapshot: &Arc<Snapshot>,
    observer: &Arc<Observer>,
    fleet: &Arc<Fleet>,
) -> Result<Plan, Vec<String>> {
    let observed = observer.follow(snapshot)?;
    observer.overload.follow(&snapshot.limits);
    let door = |listener: &Arc<snapshot::Listener>| DoorPlan {
        listener: listener.clone(),
        open: Arc::default(),
        series: observer.metrics.listener(&listener.name),
        sockets: Vec::new(),
    };
    Ok(Plan {
        snapshot: snapshot.clone(),
        observed,
        upstreams: fleet.apply(snapshot),
        doors: snapshot.listeners.iter().map(door).collect(),
    })
}
