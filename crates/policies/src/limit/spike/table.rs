//! Who waits for their turn, by key: one line for each, first come, first served. Only the first of
//! a line has a timer; whoever is behind it is woken when the line moves up, also because somebody
//! left. Knows no HTTP. Times are nanoseconds on the monotonic clock.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use super::pace::Pace;
use crate::limit::keyed::{Entry, Keyed, Spot};

/// How a line moves, and how long lines may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub pace: Pace,
    /// Longest time one may have to wait.
    pub wait: u64,
    /// Most that wait in a line.
    pub queue: usize,
    /// Most that wait in all lines.
    pub all: usize,
    /// Most keys told apart.
    pub keys: usize,
}

/// The lines.
#[derive(Debug, Default)]
pub(super) struct Table {
    lines: Keyed<Line>,
    waiting: AtomicUsize,
}

/// A key's line.
#[derive(Debug, Default)]
struct Line {
    /// What those who went left behind.
    due: u64,
    /// Numbers given out.
    tickets: u64,
    /// Who waits, in order, by number.
    waiting: VecDeque<(u64, Waker)>,
}

/// What becomes of one who comes.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It goes.
    Goes,
    /// It waits, at this place.
    Waits(Place),
    /// It would wait for too long; so much later it would not.
    TooEarly(u64),
    /// There is no place to wait at; so much later there may be.
    Full(u64),
}

/// What becomes of one who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes.
    Goes,
    /// It is the first, and goes at this moment.
    At(u64),
    /// Others are before it. It is woken when it is the first.
    Behind,
}

/// A place in a line. Dropping it frees it, and the line moves up.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    pace: Pace,
    line: Spot,
    ticket: u64,
}

/// What becomes of one who comes, by its line alone.
enum Start {
    Goes,
    /// With this ticket.
    Waits(u64),
    TooEarly(u64),
    Full(u64),
}

impl Table {
    /// What becomes of one of `key` that comes now.
    pub(super) fn arrive(self: &Arc<Self>, key: impl Hash, limits: &Limits, now: u64) -> Arrival {
        let hash = self.lines.hash(key);
        let started = self.lines.open(hash, limits.keys, now, |line| self.start(line, limits, now));
        match started {
            Some((Start::Goes, _)) => Arrival::Goes,
            Some((Start::Waits(ticket), line)) => {
                Arrival::Waits(Place { table: self.clone(), pace: limits.pace, line, ticket })
            }
            Some((Start::TooEarly(after), _)) => Arrival::TooEarly(after),
            Some((Start::Full(after), _)) => Arrival::Full(after),
            None => Arrival::Full(0),
        }
    }

    fn start(&self, line: &mut Line, limits: &Limits, now: u64) -> Start {
        let pace = limits.pace;
        line.due = pace.clamped(line.due, now);
        let before = line.waiting.len();
        let wait = pace.opens_after(line.due, now, before).saturating_sub(now);
        if before == 0 && wait == 0 {
            line.due = pace.gone(line.due, now, false);
            return Start::Goes;
        }
        if wait > limits.wait {
            return Start::TooEarly(wait - limits.wait);
        }
        if before >= limits.queue || !self.enter(before, limits.all) {
            return Start::Full(pace.opens(line.due).saturating_sub(now));
        }
        let ticket = line.tickets;
        line.tickets += 1;
        line.waiting.push_back((ticket, Waker::noop().clone()));
        Start::Waits(ticket)
    }

    /// Takes one of `all` places, for a line in which `before` wait. No line may have more of them
    /// than are free: the longest one leaves half of them to others, and two leave a third.
    fn enter(&self, before: usize, all: usize) -> bool {
        let one_more = |waiting: usize| {
            let free = all.saturating_sub(waiting);
            (free > before).then_some(waiting + 1)
        };
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }
}

impl Entry for Line {
    fn is_blank(&self, now: u64) -> bool {
        self.waiting.is_empty() && self.due <= now
    }
}

impl Line {
    /// Where in it the owner of `ticket` stands.
    fn find(&self, ticket: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |(known, _)| *known).ok()
    }

    /// Takes out who stands at `place`. Gives the one who is now the first because of it.
    fn remove(&mut self, place: usize) -> Option<Waker> {
        self.waiting.remove(place)?;
        let (_, next) = self.waiting.front().filter(|_| place == 0)?;
        Some(next.clone())
    }
}

impl Place {
    /// What becomes of it now; if it goes on waiting, `waker` is woken when it is the first.
    pub(super) fn turn(&self, now: u64, waker: &Waker) -> Turn {
        let (turn, next) = self.turn_in_line(now, waker);
        wake(next);
        turn
    }

    fn turn_in_line(&self, now: u64, waker: &Waker) -> (Turn, Option<Waker>) {
        // A line is kept while somebody waits there; who is not there any more went.
        let turn = self.table.lines.again(self.line, |line| {
            let place = line.find(self.ticket)?;
            let opens = self.pace.opens(line.due);
            if place == 0 && now >= opens {
                line.due = self.pace.gone(line.due, now, true);
                self.table.waiting.fetch_sub(1, Ordering::AcqRel);
                return Some((Turn::Goes, line.remove(place)));
            }
            if let Some((_, known)) = line.waiting.get_mut(place) {
                known.clone_from(waker);
            }
            Some((if place == 0 { Turn::At(opens) } else { Turn::Behind }, None))
        });
        turn.flatten().unwrap_or((Turn::Goes, None))
    }

    fn leave(&self) -> Option<Waker> {
        let left = self.table.lines.again(self.line, |line| {
            let place = line.find(self.ticket)?;
            self.table.waiting.fetch_sub(1, Ordering::AcqRel);
            line.remove(place)
        });
        left.flatten()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        wake(self.leave());
    }
}

/// Wakes whom it says. No lock is held then.
fn wake(next: Option<Waker>) {
    if let Some(next) = next {
        next.wake();
    }
}

#[cfg(test)]
mod tests;
