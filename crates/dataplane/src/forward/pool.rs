//! The connections one core keeps to one endpoint.
//!
//! HTTP/1.1 connections carry one exchange at a time: idle ones wait on a stack, so that the
//! warmest is taken first and those not needed grow old at the bottom. HTTP/2 connections stay here
//! while they carry many.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use base::{Clock, Instant};
use tokio::sync::Notify;

use super::acquire::{Connection, Speech};
use crate::codec::{Home, h1, h2};

/// The connections one core keeps to one endpoint.
pub(crate) struct Pool {
    clock: Clock,
    bounds: Cell<snapshot::Pool>,
    idle: RefCell<Vec<h1::client::Connection>>,
    shared: RefCell<Vec<h2::client::Connection>>,
    home: Rc<Door>,
    /// What ALPN agreed on the last time.
    agreed_on_http2: Cell<Option<bool>>,
    connecting: Cell<bool>,
    waiting: Cell<usize>,
    freed: Notify,
}

/// Where connections come back to. Weak, since connections that wait in the pool hold it too.
struct Door(Weak<Pool>);

impl Home for Door {
    fn back(&self, connection: h1::client::Connection) {
        if let Some(pool) = self.0.upgrade() {
            pool.back(connection);
        }
    }
}

impl Pool {
    /// An empty pool.
    pub fn new(clock: Clock, bounds: snapshot::Pool) -> Rc<Self> {
        Rc::new_cyclic(|pool| Self {
            clock,
            bounds: Cell::new(bounds),
            idle: RefCell::default(),
            shared: RefCell::default(),
            home: Rc::new(Door(pool.clone())),
            agreed_on_http2: Cell::new(None),
            connecting: Cell::new(false),
            waiting: Cell::new(0),
            freed: Notify::new(),
        })
    }

    /// Other bounds, from a new snapshot.
    pub fn bound(&self, bounds: snapshot::Pool) {
        self.bounds.set(bounds);
    }

    /// Where its HTTP/1.1 connections come back to.
    pub fn home(&self) -> Rc<dyn Home> {
        self.home.clone()
    }

    /// A connection that is there, still good, and free.
    pub fn take(&self, speech: Speech, now: Instant) -> Option<Connection> {
        match speech {
            Speech::Http1 => self.take_idle(now).map(Connection::Http1),
            Speech::Http2 { .. } => self.take_shared(now).map(Connection::Http2),
            Speech::Either => match self.take_shared(now) {
                Some(connection) => Some(Connection::Http2(connection)),
                None => self.take_idle(now).map(Connection::Http1),
            },
        }
    }

    /// The warmest idle connection.
    fn take_idle(&self, now: Instant) -> Option<h1::client::Connection> {
        let bounds = self.bounds.get();
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if is_fresh(&connection, &bounds, now) && connection.is_open() {
                return Some(connection);
            }
        }
    }

    /// A connection with a free stream.
    fn take_shared(&self, now: Instant) -> Option<h2::client::Connection> {
        let mut shared = self.shared.borrow_mut();
        if shared.is_empty() {
            return None;
        }
        let bounds = self.bounds.get();
        // What is dropped here still carries what it began.
        shared.retain(|connection| is_good(connection, &bounds, now));
        shared.iter().find(|connection| connection.free_streams() > 0).cloned()
    }

    /// What ALPN agreed on.
    pub fn told(&self, http2: bool) {
        self.agreed_on_http2.set(Some(http2));
    }

    /// Whether a connection made now may carry more than one request.
    pub fn shares(&self, speech: Speech) -> bool {
        match speech {
            Speech::Http1 => false,
            Speech::Http2 { .. } => true,
            Speech::Either => self.agreed_on_http2.get() != Some(false),
        }
    }

    /// Whether a connection is being made that others wait for.
    pub fn is_connecting(&self) -> bool {
        self.connecting.get()
    }

    /// A connection is being made that others wait for, until what this gives is dropped.
    pub fn connecting(&self) -> Connecting<'_> {
        self.connecting.set(true);
        Connecting(self)
    }

    /// Keeps a connection for many requests.
    pub fn share(&self, connection: h2::client::Connection) {
        self.shared.borrow_mut().push(connection);
    }

    /// Waits until a connection may be free.
    pub async fn freed(&self) {
        let _waiting = Waiting::new(&self.waiting);
        self.freed.notified().await;
    }

    /// A request ended: its stream is free.
    pub fn ended(&self) {
        if self.waiting.get() > 0 {
            self.freed.notify_one();
        }
    }

    /// Closes what has been idle for too long or is too old; all that are idle where `all`.
    pub fn sweep(&self, now: Instant, all: bool) {
        let bounds = self.bounds.get();
        self.idle.borrow_mut().retain_mut(|connection| {
            !all && is_fresh(connection, &bounds, now) && connection.is_open()
        });
        self.shared.borrow_mut().retain(|connection| {
            let unused = connection.idle_since();
            let spent = unused.is_some_and(|since| all || now.since(since) >= bounds.idle_timeout);
            !spent && is_good(connection, &bounds, now)
        });
    }

    fn back(&self, mut connection: h1::client::Connection) {
        let bounds = self.bounds.get();
        let now = self.clock.now();
        connection.idle_since = now;
        if is_spent(connection.requests, &bounds) || !is_young(connection.born, &bounds, now) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < bounds.idle {
            idle.push(connection);
        }
        drop(idle);
        self.ended();
    }
}

/// Someone who makes a connection that others wait for.
pub(crate) struct Connecting<'p>(&'p Pool);

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.connecting.set(false);
        self.0.freed.notify_waiters();
    }
}

/// Someone who waits for a connection to come free.
struct Waiting<'p>(&'p Cell<usize>);

impl<'p> Waiting<'p> {
    fn new(waiting: &'p Cell<usize>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn is_fresh(connection: &h1::client::Connection, bounds: &snapshot::Pool, now: Instant) -> bool {
    now.since(connection.idle_since) < bounds.idle_timeout && is_young(connection.born, bounds, now)
}

fn is_good(connection: &h2::client::Connection, bounds: &snapshot::Pool, now: Instant) -> bool {
    connection.is_open()
        && is_young(connection.born(), bounds, now)
        && !is_spent(connection.requests(), bounds)
}

fn is_young(born: Instant, bounds: &snapshot::Pool, now: Instant) -> bool {
    let max: Duration = bounds.max_age;
    max.is_zero() || now.since(born) < max
}

fn is_spent(requests: u64, bounds: &snapshot::Pool) -> bool {
    bounds.max_requests > 0 && requests >= bounds.max_requests
}
