//! How loaded an instance is, for `/status` and `/metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::{Counts, Overload, PRIORITIES, percent};
use crate::observe::metrics::Count;

/// How loaded an instance is, and what it turned away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OverloadStatus {
    /// How short memory is: `calm`, `saving`, `refusing_low`, `refusing_normal`, `full`.
    pub level: &'static str,
    /// The same as a number, from 0.
    pub level_number: u8,
    /// Bytes of memory in use.
    pub memory_used: u64,
    /// Bytes it may use.
    pub memory_budget: u64,
    /// The first in percent of the second.
    pub memory_percent: u64,
    /// Connections open, over all listeners.
    pub connections: usize,
    /// Connections it may have.
    pub connections_max: usize,
    /// Time what is ready waits, by core, in microseconds.
    pub lag_us: Vec<u64>,
    /// Requests turned away because memory was short, by priority.
    pub shed_for_memory: BTreeMap<&'static str, u64>,
    /// Requests turned away because what was ready waited for too long, by priority.
    pub shed_for_time: BTreeMap<&'static str, u64>,
    /// HTTP/2 streams turned away because memory was short.
    pub streams_refused: u64,
    /// Idle connections closed because memory was short.
    pub idle_closed: u64,
}

impl Overload {
    /// How loaded it is.
    pub fn status(&self) -> OverloadStatus {
        let (level, budget) = (self.level(), self.budget());
        let used = self.used.load(Ordering::Relaxed);
        let by_priority = |of: fn(&Counts) -> &[Count; PRIORITIES.len()]| {
            let sum =
                |at: usize| self.counts.sum(|counts| of(counts).get(at).map_or(0, Count::get));
            PRIORITIES.iter().map(|(priority, name)| (*name, sum(*priority as usize))).collect()
        };
        OverloadStatus {
            level: level.name(),
            level_number: level as u8,
            memory_used: used,
            memory_budget: budget,
            memory_percent: percent(used, budget),
            connections: self.places.taken(),
            connections_max: self.connections.load(Ordering::Relaxed),
            lag_us: self.counts.all().map(|counts| counts.lag.load(Ordering::Relaxed)).collect(),
            shed_for_memory: by_priority(|counts| &counts.for_memory),
            shed_for_time: by_priority(|counts| &counts.for_time),
            streams_refused: self.counts.sum(|counts| counts.streams.get()),
            idle_closed: self.counts.sum(|counts| counts.idle.get()),
        }
    }

    /// Bytes of memory it may use.
    pub fn budget(&self) -> u64 {
        self.budget.load(Ordering::Relaxed)
    }
}
