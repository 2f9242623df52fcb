//! How policies wait for a moment, on the engine's clock.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};

use base::Instant;

/// The clock of the core that an exchange runs on, and timers that follow it.
pub trait Timers: fmt::Debug {
    /// Now, monotonic.
    fn now(&self) -> Instant;

    /// A timer for `at`. It costs nothing until it is first polled.
    fn timer(self: Rc<Self>, at: Instant) -> Box<dyn Timer>;
}

/// A moment that can be waited for. Dropping it ends the wait.
pub trait Timer {
    /// Sets it to another moment.
    fn set(&mut self, at: Instant);

    /// Ready when the moment has passed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
