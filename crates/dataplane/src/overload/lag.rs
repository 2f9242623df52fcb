//! How long what is ready waits for its core, and which requests are turned away for it.
//!
//! A core works through what is ready in turns. Every 10 ms in which it served requests it looks
//! how long a turn takes: a task goes to the end of the queue and reads the core's own clock when
//! it has come to the front. The clock is of processor time, so a machine that gives the core no
//! time does not look like a queue. What counts is the shorter of two turns in a row: a queue that
//! stands, not a burst.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use config::v1::Priority;

use crate::core::Core;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(10);

/// Largest share of requests that is turned away: some always show whether it is over.
const MOST: f32 = 0.95;

/// A core's lag.
#[derive(Default)]
pub(crate) struct Lag {
    last: Cell<Duration>,
    before: Cell<Duration>,
    /// A test's word in place of what is measured.
    told: Cell<Option<Duration>>,
    /// A request was served since the last look.
    busy: Cell<bool>,
    sleeper: RefCell<Option<Waker>>,
    /// By priority: the share of requests turned away adds up here, and each whole one is turned
    /// away.
    owed: [Cell<f32>; 3],
}

impl Lag {
    /// A request has come.
    pub fn touch(&self) {
        if !self.busy.replace(true)
            && let Some(waker) = self.sleeper.take()
        {
            waker.wake();
        }
    }

    /// Whether a request of this priority is turned away; from `target` on for most.
    pub fn sheds(&self, priority: Priority, target: Duration) -> bool {
        let standing = self.standing();
        if standing * 2 < target {
            return false;
        }
        let share = share(priority, standing.as_secs_f32() / target.as_secs_f32());
        let Some(owed) = self.owed.get(priority as usize) else { return false };
        let sum = owed.get() + share;
        owed.set(if sum >= 1.0 { sum - 1.0 } else { sum });
        sum >= 1.0
    }

    /// The lag by now.
    pub fn standing(&self) -> Duration {
        self.told.get().unwrap_or_else(|| self.last.get().min(self.before.get()))
    }

    /// From now on it is taken to be this.
    pub fn tell(&self, lag: Duration) {
        self.told.set(Some(lag));
    }

    fn note(&self, lag: Duration) {
        self.before.set(self.last.replace(lag));
    }

    fn forget(&self) {
        self.last.set(Duration::ZERO);
        self.before.set(Duration::ZERO);
    }
}

/// The share of requests turned away when the lag is `ratio` times the target: from none to nearly
/// all, for low priority between half the target and all of it, for normal one up to twice, for
/// high one from there to four times.
fn share(priority: Priority, ratio: f32) -> f32 {
    let (from, to) = match priority {
        Priority::Low => (0.5, 1.0),
        Priority::Normal => (1.0, 2.0),
        Priority::High => (2.0, 4.0),
    };
    ((ratio - from) / (to - from)).clamp(0.0, MOST)
}

/// Looks at a core's lag for as long as the core lives. Sleeps while it serves nothing.
pub(crate) async fn follow(core: Rc<Core>) {
    let lag = &core.lag;
    loop {
        poll_fn(|cx| match lag.busy.get() {
            true => Poll::Ready(()),
            false => {
                *lag.sleeper.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
        tokio::time::sleep(EVERY).await;
        lag.busy.set(false);
        lag.note(turn().await);
        core.overload.show_lag(core.number, lag.standing());
        if !lag.busy.get() {
            // What is measured next has nothing to do with this.
            lag.forget();
            core.overload.show_lag(core.number, Duration::ZERO);
        }
    }
}

/// The time of one turn of this core, by its own clock.
async fn turn() -> Duration {
    let before = own_time();
    tokio::task::yield_now().await;
    own_time().saturating_sub(before)
}

/// Processor time this thread has had.
fn own_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a struct of our own, which the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(100);

    /// How many of a hundred requests are turned away at this lag.
    fn shed(priority: Priority, millis: u64) -> usize {
        let lag = Lag::default();
        lag.note(Duration::from_millis(millis));
        lag.note(Duration::from_millis(millis));
        (0..100).filter(|_| lag.sheds(priority, TARGET)).count()
    }

    #[test]
    fn low_goes_first_and_high_last() {
        use Priority::{High, Low, Normal};
        assert_eq!([Low, Normal, High].map(|priority| shed(priority, 49)), [0, 0, 0]);
        assert_eq!([Low, Normal, High].map(|priority| shed(priority, 75)), [50, 0, 0]);
        assert_eq!([Low, Normal, High].map(|priority| shed(priority, 150)), [95, 50, 0]);
        assert_eq!([Low, Normal, High].map(|priority| shed(priority, 300)), [95, 95, 50]);
        assert_eq!([Low, Normal, High].map(|priority| shed(priority, 9000)), [95, 95, 95]);
    }

    #[test]
    fn a_burst_is_no_queue() {
        let lag = Lag::default();
        lag.note(Duration::from_millis(1));
        lag.note(Duration::from_secs(5));
        assert!(!lag.sheds(Priority::Low, TARGET));
        lag.note(Duration::from_secs(5));
        assert!((0..2).any(|_| lag.sheds(Priority::Low, TARGET)));
    }

    #[tokio::test(flavor = "local")]
    async fn a_turn_takes_as_long_as_all_that_stands_in_the_queue() {
        let work = |time: Duration| async move {
            let until = own_time() + time;
            while own_time() < until {}
        };
        for _ in 0..20 {
            tokio::task::spawn_local(work(Duration::from_millis(2)));
        }
        assert!(turn().await >= Duration::from_millis(40));
        // Time in which the core has nothing to do is none.
        let idle = own_time();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(own_time() - idle < Duration::from_millis(40));
    }
}
