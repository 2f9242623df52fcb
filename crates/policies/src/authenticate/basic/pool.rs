//! Where passwords are hashed: on one thread beside the cores that carry requests, one at a time,
//! with a queue of bounded length. However many passwords strangers send, they take no more than
//! one core of a machine, and its least favoured share where others want it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::oneshot;

/// Passwords that wait at most.
const QUEUE: usize = 64;

/// Requests that wait for the outcome of one and the same check at most.
const WAITERS: usize = 512;

/// What tells one check from another: a keyed hash of user and password.
pub(super) type Mark = [u8; 32];

/// What is to be found out.
type Check = Box<dyn FnOnce() -> bool + Send>;

/// The thread and its queue. One for all uses of the policy.
#[derive(Debug, Default)]
pub(super) struct Pool {
    queue: OnceLock<Option<SyncSender<Job>>>,
    waiting: Arc<Waiting>,
}

struct Job {
    mark: Mark,
    check: Check,
}

/// Who waits for which check.
#[derive(Debug, Default)]
struct Waiting(Mutex<HashMap<Mark, Vec<oneshot::Sender<bool>>>>);

impl Pool {
    /// Has `check` done, unless the same is being done already, and gives where its outcome comes;
    /// none if there is too much to do. An outcome that never comes is a failure of the thread.
    pub fn check(&self, mark: Mark, check: Check) -> Option<oneshot::Receiver<bool>> {
        let (tell, outcome) = oneshot::channel();
        let mut waiting = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.entry(mark) {
            Entry::Occupied(mut same) => {
                let same = same.get_mut();
                same.retain(|tell| !tell.is_closed());
                if same.len() >= WAITERS {
                    return None;
                }
                same.push(tell);
            }
            Entry::Vacant(place) => {
                let queue = self.queue.get_or_init(|| start(self.waiting.clone())).as_ref()?;
                queue.try_send(Job { mark, check }).ok()?;
                place.insert(vec![tell]);
            }
        }
        Some(outcome)
    }
}

/// Starts the thread. It ends with the pool.
fn start(waiting: Arc<Waiting>) -> Option<SyncSender<Job>> {
    let (queue, jobs) = sync_channel(QUEUE);
    let thread = std::thread::Builder::new().name("passwords".to_owned());
    thread.spawn(move || work(&jobs, &waiting)).ok().map(|_| queue)
}

fn work(jobs: &Receiver<Job>, waiting: &Waiting) {
    // Linux has it for each thread: the cores that carry requests come first.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
    while let Ok(Job { mark, check }) = jobs.recv() {
        // Nobody waits any more for what callers left behind.
        let wanted = waiting.take_if(&mark, |all| all.iter().all(oneshot::Sender::is_closed));
        if wanted.is_some() {
            continue;
        }
        let right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
        for tell in waiting.take_if(&mark, |_| true).into_iter().flatten() {
            let _ = tell.send(right);
        }
    }
}

impl Waiting {
    /// Takes those who wait for `mark`, where `when` holds of them.
    fn take_if(
        &self,
        mark: &Mark,
        when: impl FnOnce(&[oneshot::Sender<bool>]) -> bool,
    ) -> Option<Vec<oneshot::Sender<bool>>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.get(mark).is_some_and(|all| when(all)) { waiting.remove(mark) } else { None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, Condvar};

    use super::*;

    /// Holds checks up until it is opened.
    #[derive(Default)]
    struct Gate(Mutex<bool>, Condvar);

    impl Gate {
        fn open(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }

        fn pass(&self) {
            let _open = self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap();
        }
    }

    fn mark(number: usize) -> Mark {
        let mut mark = [0; 32];
        mark[..8].copy_from_slice(&number.to_le_bytes());
        mark
    }

    /// A thousand passwords at once are hashed one at a time, and those beyond the queue turned
    /// away. Seen to fail: with a queue without bound every password was taken; with a thread for
    /// each check more than one ran at a time.
    #[test]
    fn fa_E16_a_flood_of_passwords_takes_one_thread_and_a_bounded_queue() {
        let (pool, gate) = (Pool::default(), Arc::new(Gate::default()));
        let running = Arc::new(AtomicUsize::new(0));
        let begun = Arc::new(Barrier::new(2));
        let first = {
            let (gate, begun) = (gate.clone(), begun.clone());
            pool.check(
                mark(0),
                Box::new(move || {
                    begun.wait();
                    gate.pass();
                    true
                }),
            )
            .unwrap()
        };
        begun.wait();
        let outcomes: Vec<_> = (1..=1_000)
            .filter_map(|number| {
                let running = running.clone();
                let check = move || {
                    let beside = running.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    beside == 0
                };
                pool.check(mark(number), Box::new(check))
            })
            .collect();
        assert_eq!(outcomes.len(), QUEUE, "the others are turned away at once");
        gate.open();
        assert_eq!(first.blocking_recv(), Ok(true));
        for alone in outcomes {
            assert_eq!(alone.blocking_recv(), Ok(true), "two ran at a time");
        }
        assert!(pool.check(mark(7), Box::new(|| true)).is_some(), "then there is room again");
    }

    #[test]
    fn the_same_password_is_hashed_once_for_all_who_send_it() {
        let (pool, gate) = (Pool::default(), Arc::new(Gate::default()));
        let done = Arc::new(AtomicUsize::new(0));
        let check = || {
            let (gate, done) = (gate.clone(), done.clone());
            Box::new(move || {
                gate.pass();
                done.fetch_add(1, Ordering::SeqCst);
                true
            })
        };
        let outcomes: Vec<_> = (0..WAITERS + 1).map(|_| pool.check(mark(1), check())).collect();
        assert!(outcomes[WAITERS].is_none(), "those who wait are bounded");
        gate.open();
        for outcome in outcomes.into_iter().flatten() {
            assert_eq!(outcome.blocking_recv(), Ok(true));
        }
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_nobody_waits_for_is_not_hashed_and_a_panic_is_no_match() {
        let (pool, gate) = (Pool::default(), Arc::new(Gate::default()));
        let holding = gate.clone();
        let first = pool
            .check(
                mark(0),
                Box::new(move || {
                    holding.pass();
                    true
                }),
            )
            .unwrap();
        drop(pool.check(mark(1), Box::new(|| unreachable!("nobody waits"))).unwrap());
        let panics = pool.check(mark(2), Box::new(|| panic!("on purpose"))).unwrap();
        let last = pool.check(mark(3), Box::new(|| true)).unwrap();
        gate.open();
        assert_eq!(first.blocking_recv(), Ok(true));
        assert_eq!(panics.blocking_recv(), Ok(false));
        assert_eq!(last.blocking_recv(), Ok(true), "the thread goes on");
    }
}
