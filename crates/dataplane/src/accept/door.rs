//! A listener as one core sees it: how it is to treat connections now, and which ones it has.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use base::Instant;
use snapshot::{Limits, Listener};

use crate::observe::metrics::ListenerSeries;
use crate::overload::Place;

/// A listener on one core. Outlives snapshots: what changes in the document is put into it.
pub(crate) struct Door {
    listener: RefCell<Arc<Listener>>,
    /// Connections, all cores together.
    open: Arc<AtomicUsize>,
    /// Its metrics.
    pub series: Arc<ListenerSeries>,
    /// It takes no more connections; those that idle have left by this time.
    closing: Cell<Option<Instant>>,
    /// Whoever is still inside is to end now.
    cut: Cell<bool>,
    /// Everyone to wake when it closes: its accept loop and its connections.
    inside: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    /// Who waits for it to be empty.
    waits: RefCell<Option<Waker>>,
}

/// A task's place behind a door. It is woken when the door closes.
pub(crate) struct Inside {
    door: Rc<Door>,
    place: usize,
    _held: Option<(Seat, Place)>,
}

/// A connection's place among those its listener may have, all cores together.
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    /// A door that treats connections as `listener` says; `open` counts them over all cores.
    pub fn new(
        listener: Arc<Listener>,
        open: Arc<AtomicUsize>,
        series: Arc<ListenerSeries>,
    ) -> Rc<Self> {
        Rc::new(Self {
            listener: RefCell::new(listener),
            open,
            series,
            closing: Cell::new(None),
            cut: Cell::new(false),
            inside: RefCell::default(),
            free: RefCell::default(),
            waits: RefCell::default(),
        })
    }

    /// The listener, as it is now.
    pub fn listener(&self) -> Arc<Listener> {
        self.listener.borrow().clone()
    }

    /// Its bounds, as they are now.
    pub fn limits(&self) -> Limits {
        self.listener.borrow().limits
    }

    /// From now on, connections are treated as `listener` says.
    pub fn change(&self, listener: Arc<Listener>) {
        self.listener.replace(listener);
    }

    /// Whether it takes no more connections and those it has are to end after their current
    /// request.
    pub fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    /// When a connection that idles now is to leave, once the door is closing: each at another
    /// moment, so that their clients do not all come back at once. A request that comes before is
    /// answered.
    pub fn last_call(&self, now: Instant) -> Option<Instant> {
        let left = self.closing.get()?.since(now);
        Some(now.after(left.mul_f64(fastrand::f64())))
    }

    /// Whether its connections are to end now, whatever runs on them.
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// What `work` gives, unless it is cut off.
    pub async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.is_cut() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Takes no more connections and tells those it has. Those that idle leave before `empty`.
    pub fn close(&self, empty: Instant) {
        self.closing.set(Some(empty));
        self.wake();
    }

    /// Ends whatever still runs inside.
    pub fn cut(&self) {
        self.cut.set(true);
        self.wake();
    }

    /// Wakes everyone inside: what they wait for may have changed.
    pub fn wake(&self) {
        for waker in self.inside.borrow().iter().flatten() {
            waker.wake_by_ref();
        }
    }

    /// Tasks behind it; the current task is woken when one of them leaves.
    pub fn poll_len(&self, cx: &Context<'_>) -> usize {
        self.waits.replace(Some(cx.waker().clone()));
        self.len()
    }

    /// Tasks behind it: connections on this core, and its accept loop.
    pub fn len(&self) -> usize {
        self.inside.borrow().len() - self.free.borrow().len()
    }

    /// A place among the listener's connections, if there is one left.
    pub fn seat(&self) -> Option<Seat> {
        let most = self.limits().connections;
        if self.open.fetch_add(1, Ordering::Relaxed) < most {
            return Some(Seat(self.open.clone()));
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// Puts the current task behind the door; a connection's with its places.
    pub async fn enter(self: &Rc<Self>, held: Option<(Seat, Place)>) -> Inside {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let mut inside = self.inside.borrow_mut();
        let place = match self.free.borrow_mut().pop() {
            Some(place) => place,
            None => {
                inside.push(None);
                inside.len() - 1
            }
        };
        if let Some(slot) = inside.get_mut(place) {
            *slot = Some(waker);
        }
        Inside { door: self.clone(), place, _held: held }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(slot) = self.door.inside.borrow_mut().get_mut(self.place) {
            *slot = None;
        }
        self.door.free.borrow_mut().push(self.place);
        if let Some(waker) = self.door.waits.take() {
            waker.wake();
        }
    }
}
