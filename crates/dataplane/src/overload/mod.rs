//! What keeps an instance standing when there is more to do than it can: a memory budget watched
//! beside the traffic (`watch.rs`), the time what is ready waits for a core (`lag.rs`), and places
//! for connections (`places.rs`).
//!
//! A request reads one relaxed number for the memory's level and one of its own core for the lag.

mod lag;
mod level;
mod machine;
mod meter;
mod places;
mod status;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use config::v1::Priority;
use policy::{Refusal, codes};
use snapshot::InstanceLimits;

use crate::observe::metrics::{Count, PerCore};

pub(crate) use lag::{Lag, follow};
pub(crate) use level::Level;
pub use meter::MemoryMeter;
pub(crate) use places::{NoPlace, Place, Places};
pub use status::OverloadStatus;
pub(crate) use watch::Watch;

use machine::Machine;

/// Seconds after which a caller that was turned away may come again.
const RETRY_AFTER: u64 = 1;

/// Streams an HTTP/2 connection may run while memory is short.
pub(crate) const FEW_STREAMS: usize = 8;

/// How loaded an instance is, and what it turned away for it. Shared by all cores.
pub(crate) struct Overload {
    machine: Machine,
    level: AtomicU8,
    used: AtomicU64,
    budget: AtomicU64,
    connections: AtomicUsize,
    /// Places for connections.
    pub places: Arc<Places>,
    counts: PerCore<Counts>,
}

/// What a core turned away.
#[derive(Debug, Default)]
struct Counts {
    /// Requests for want of memory, by priority.
    for_memory: [Count; PRIORITIES.len()],
    /// Requests for want of time, by priority.
    for_time: [Count; PRIORITIES.len()],
    /// HTTP/2 streams.
    streams: Count,
    /// Idle connections closed.
    idle: Count,
    /// The lag, in microseconds.
    lag: AtomicU64,
}

/// Every priority, in the order of [`Priority`].
const PRIORITIES: [(Priority, &str); 3] =
    [(Priority::Low, "low"), (Priority::Normal, "normal"), (Priority::High, "high")];

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Memory is short.
    Memory,
    /// What is ready waits for too long.
    Time,
}

impl Want {
    /// How long a client that was turned away is not read from: for want of memory, as long as it
    /// is told to stay away; for want of time, a few turns, since in a whole second the queue would
    /// be gone and the core idle. Everyone waits for another while, so that not all are back at
    /// once.
    pub fn pause(self, limits: &InstanceLimits) -> Duration {
        let most = match self {
            Self::Memory => Duration::from_secs(RETRY_AFTER),
            Self::Time => limits.queue_time * 6,
        };
        most.mul_f64(fastrand::f64().mul_add(0.75, 0.25))
    }
}

impl Overload {
    /// Of an instance with this many cores, on this machine.
    pub fn new(cores: usize) -> Arc<Self> {
        let machine = Machine::here();
        Arc::new(Self {
            level: AtomicU8::new(Level::Calm as u8),
            used: AtomicU64::new(0),
            budget: AtomicU64::new(machine.budget(None)),
            connections: AtomicUsize::new(machine.connections(None, machine.budget(None))),
            machine,
            places: Places::new(),
            counts: PerCore::new(cores),
        })
    }

    /// From now on these bounds hold.
    pub fn follow(&self, limits: &InstanceLimits) {
        let budget = self.machine.budget(limits.memory);
        let connections = self.machine.connections(limits.connections, budget);
        self.budget.store(budget, Ordering::Relaxed);
        self.connections.store(connections, Ordering::Relaxed);
        self.places.hold_to(connections, limits.connections_per_address);
    }

    /// Takes note of the memory in use. The levels before and now, where they differ.
    pub fn weigh(&self, used: u64) -> Option<(Level, Level)> {
        self.used.store(used, Ordering::Relaxed);
        let before = self.level();
        let now = before.next(percent(used, self.budget.load(Ordering::Relaxed)));
        self.level.store(now as u8, Ordering::Relaxed);
        (before != now).then_some((before, now))
    }

    /// How short memory is.
    pub fn level(&self) -> Level {
        Level::of(self.level.load(Ordering::Relaxed))
    }

    /// Whether connections are to be given up rather than kept.
    pub fn saves(&self) -> bool {
        self.level() >= Level::Saving
    }

    /// Whether a request of this priority is turned away, on a core with this lag, and why.
    pub fn judge(&self, lag: &Lag, priority: Priority, limits: &InstanceLimits) -> Option<Want> {
        if self.level().sheds(priority) {
            return Some(Want::Memory);
        }
        lag.sheds(priority, limits.queue_time).then_some(Want::Time)
    }

    /// Counts a request that is turned away, and how it is told.
    pub fn refuse(&self, core: usize, want: Want, priority: Priority) -> Refusal {
        if let Some(counts) = self.counts.of(core) {
            let of = match want {
                Want::Memory => &counts.for_memory,
                Want::Time => &counts.for_time,
            };
            if let Some(count) = of.get(priority as usize) {
                count.add(1);
            }
        }
        let note = match want {
            Want::Memory => "memory is short",
            Want::Time => "what is ready waits for too long",
        };
        Refusal::new(&codes::OVERLOADED).note(note).header("Retry-After", RETRY_AFTER.to_string())
    }

    /// Counts an HTTP/2 stream that is turned away.
    pub fn stream_refused(&self, core: usize) {
        if let Some(counts) = self.counts.of(core) {
            counts.streams.add(1);
        }
    }

    /// Counts an idle connection that is closed.
    pub fn idle_closed(&self, core: usize) {
        if let Some(counts) = self.counts.of(core) {
            counts.idle.add(1);
        }
    }

    /// Shows a core's lag.
    fn show_lag(&self, core: usize, lag: Duration) {
        if let Some(counts) = self.counts.of(core) {
            counts.lag.store(lag.as_micros() as u64, Ordering::Relaxed);
        }
    }
}

/// `used` in percent of `budget`.
fn percent(used: u64, budget: u64) -> u64 {
    used.saturating_mul(100) / budget.max(1)
}

#[cfg(test)]
mod tests;
