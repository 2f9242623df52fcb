//! One core: what the requests it serves share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use base::Clock;
use config::v1::OddFieldNames;
use policy::Exchange;
use snapshot::{Listener, Snapshot};
use tokio::sync::Notify;

use crate::accept::gate::Gate;
use crate::deadline::Timers;
use crate::enforce::names;
use crate::forward::Upstream;
use crate::observe::Observed;
use crate::overload::{Lag, Overload};

/// Exchanges kept for the next request.
const SPARE_MAX: usize = 256;

/// Bytes of fields above which an exchange's memory is not kept.
const KEEP_MAX: usize = 64 << 10;

/// One core of the data plane. Lives on its own thread and never leaves it.
pub(crate) struct Core {
    /// Its number, from 0.
    pub number: usize,
    /// Where its time comes from.
    pub clock: Clock,
    /// Timers on that clock, for [`crate::deadline::Deadline`].
    pub timers: Rc<Timers>,
    /// How loaded the instance is.
    pub overload: Arc<Overload>,
    /// How long what is ready waits for this core.
    pub lag: Lag,
    /// Where TLS handshakes take turns.
    pub handshakes: Rc<Gate>,
    current: RefCell<Rc<Running>>,
    draining: Cell<bool>,
    /// Wakes who has to look at what runs now.
    swapped: Notify,
    /// The grace is over.
    cut: Cell<bool>,
    /// Exchanges that run.
    running: Cell<usize>,
    #[allow(
        clippy::vec_box,
        reason = "an exchange is large: its box is handed on, it is not moved"
    )]
    spare: RefCell<Vec<Box<Exchange>>>,
}

/// What a request runs by, from its start to its end: one snapshot, and this core's side of it.
pub(crate) struct Running {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// What observes its exchanges; the same for all cores.
    pub observed: Arc<Observed>,
    /// This core's side of the upstreams, by their number.
    pub upstreams: Vec<Rc<Upstream>>,
}

impl Running {
    /// What a request's fields are judged by: whether its peer is `trusted`, and its listener's
    /// word on odd names.
    pub fn fields(&self, trusted: bool, listener: Option<&Listener>) -> names::Fields<'_> {
        let odd = listener.map_or(OddFieldNames::Drop, |listener| listener.odd_field_names);
        names::Fields { identity: &self.snapshot.identity_headers, trusted, odd }
    }

    /// The listener of this name.
    pub fn listener(&self, name: &str) -> Option<&Listener> {
        self.snapshot.listeners.iter().find(|known| *known.name == *name).map(|known| &**known)
    }
}

impl Core {
    /// A core that runs by `running`.
    pub fn new(number: usize, clock: Clock, running: Rc<Running>) -> Self {
        Self {
            number,
            timers: Timers::new(clock.clone()),
            clock,
            overload: running.observed.overload.clone(),
            lag: Lag::default(),
            handshakes: Rc::default(),
            current: RefCell::new(running),
            draining: Cell::new(false),
            swapped: Notify::new(),
            cut: Cell::new(false),
            running: Cell::new(0),
            spare: RefCell::default(),
        }
    }

    /// What a new request runs by. Loaded once per request.
    pub fn running(&self) -> Rc<Running> {
        self.current.borrow().clone()
    }

    /// From now on, new requests run by `running`.
    pub fn swap(&self, running: Rc<Running>) {
        self.current.replace(running);
        self.swapped.notify_waiters();
    }

    /// Waits until what runs has no API of this name and version any more; for ever where there is
    /// none to wait for.
    pub async fn unpublished(&self, route: Option<Arc<policy::RouteNames>>) {
        let Some(names) = route else { return std::future::pending().await };
        loop {
            let swapped = self.swapped.notified();
            if !self.running().snapshot.has_api(&names.api, names.version.as_deref()) {
                return;
            }
            swapped.await;
        }
    }

    /// Whether the instance is going down: answers carry `Connection: close`, HTTP/2 connections
    /// get GOAWAY.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether what still runs is being cut off.
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// The grace is over: what runs is cut off.
    pub fn cut(&self) {
        self.cut.set(true);
    }

    /// Exchanges that run.
    pub fn exchanges(&self) -> usize {
        self.running.get()
    }

    /// Starts going down.
    pub fn drain(&self) {
        self.draining.set(true);
    }

    /// An exchange for a request that begins now on `connection`, with the memory of one before it.
    pub fn take_exchange(&self, connection: &Arc<policy::Connection>) -> Box<Exchange> {
        self.running.set(self.running.get() + 1);
        let mut x = match self.spare.borrow_mut().pop() {
            Some(mut x) => {
                x.connection.clone_from(connection);
                x.client = connection.peer_ip();
                x
            }
            None => {
                let mut x = Box::new(Exchange::new(connection.clone(), self.number));
                x.timers = Some(self.timers.clone());
                x
            }
        };
        x.started = self.timers.now();
        x.wall = self.clock.wall();
        x
    }

    /// Takes back an exchange that is over.
    pub fn give_exchange(&self, mut x: Box<Exchange>) {
        self.running.set(self.running.get().saturating_sub(1));
        x.clear();
        let held = x.request.headers.capacity() + x.response.headers.capacity();
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX && held <= KEEP_MAX {
            spare.push(x);
        }
    }
}
