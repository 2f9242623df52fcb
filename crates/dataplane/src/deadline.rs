//! Timeouts that cost nothing until they are near. Setting a deadline stores a number; the
//! runtime's timer behind it is armed once, used by many exchanges in turn, and moved only when it
//! fires before the deadline it then guards.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::{Clock, Instant};
use tokio::time::Sleep;

/// Timers kept for the next who needs one, per core.
const SPARE_MAX: usize = 1024;

/// A core's clock and the timers that wait on it.
pub(crate) struct Timers {
    clock: Clock,
    spare: RefCell<Vec<Timer>>,
}

/// A timer of the runtime, when it will fire, and whom it wakes then.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Instant,
    wakes: Option<Waker>,
}

impl Timer {
    /// Whether it will still wake this task: then nothing is to be done.
    fn is_set_for(&self, waker: &Waker) -> bool {
        !self.sleep.is_elapsed() && self.wakes.as_ref().is_some_and(|wakes| wakes.will_wake(waker))
    }

    fn set(&mut self, timers: &Timers, at: Instant) {
        self.sleep.as_mut().reset(timers.moment(at));
        self.armed = at;
        self.wakes = None;
    }
}

/// A moment by which something must have happened. Holds no timer until it is first waited for;
/// gives the timer back when dropped.
pub(crate) struct Deadline {
    timers: Rc<Timers>,
    at: Option<Instant>,
    timer: Option<Timer>,
}

/// The deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

impl Timers {
    /// Timers that follow `clock`.
    pub fn new(clock: Clock) -> Rc<Self> {
        Rc::new(Self { clock, spare: RefCell::default() })
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A timer for `at`, or one that fires before.
    fn timer(&self, at: Instant) -> Timer {
        self.spare.borrow_mut().pop().unwrap_or_else(|| Timer {
            sleep: Box::pin(tokio::time::sleep_until(self.moment(at))),
            armed: at,
            wakes: None,
        })
    }

    /// `at` on the runtime's clock.
    fn moment(&self, at: Instant) -> tokio::time::Instant {
        tokio::time::Instant::now() + at.since(self.now())
    }
}

impl policy::Timers for Timers {
    fn now(&self) -> Instant {
        Self::now(self)
    }

    fn timer(self: Rc<Self>, at: Instant) -> Box<dyn policy::Timer> {
        Box::new(Deadline { timers: self, at: Some(at), timer: None })
    }
}

impl policy::Timer for Deadline {
    fn set(&mut self, at: Instant) {
        Self::set(self, at);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll(self, cx)
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timers")
    }
}

impl Deadline {
    /// No deadline yet.
    pub fn new(timers: &Rc<Timers>) -> Self {
        Self { timers: timers.clone(), at: None, timer: None }
    }

    /// One `by` from now.
    pub fn after(timers: &Rc<Timers>, by: Duration) -> Self {
        Self { timers: timers.clone(), at: Some(timers.now().after(by)), timer: None }
    }

    /// Sets it to a moment, in place of the one before.
    pub fn set(&mut self, at: Instant) {
        self.at = Some(at);
    }

    /// Sets it `by` from now, in place of the one before.
    pub fn set_after(&mut self, by: Duration) {
        self.at = Some(self.timers.now().after(by));
    }

    /// There is none any more.
    pub fn clear(&mut self) {
        self.at = None;
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        self.at.is_some()
    }

    /// Ready when it has passed; never where there is none.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| self.timers.timer(at));
        if timer.armed > at {
            timer.set(&self.timers, at);
        } else if timer.is_set_for(cx.waker()) {
            return Poll::Pending;
        }
        while timer.sleep.as_mut().poll(cx).is_ready() {
            if self.timers.now() >= at {
                return Poll::Ready(());
            }
            timer.set(&self.timers, at);
        }
        match &mut timer.wakes {
            Some(wakes) => wakes.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits until it has passed.
    pub async fn passed(&mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// What `future` gives, if it does so in time.
    pub async fn within<F: Future>(&mut self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll(cx).map(|()| Err(Elapsed)),
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            // Whom it wakes stays known: the next to use it is often the same task.
            let mut spare = self.timers.spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(timer);
            }
        }
    }
}
