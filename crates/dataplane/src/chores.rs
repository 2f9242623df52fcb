//! What policies do beside the requests: keys are fetched, tokens renewed. On one thread of its
//! own, which is there when the first chore is.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use policy::Chore;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// Least time between two turns of a chore.
const LEAST: Duration = Duration::from_millis(10);

/// Time until a chore that panicked has its next turn.
const AFTER_A_PANIC: Duration = Duration::from_secs(10);

/// The chores of the snapshot that runs.
#[derive(Default)]
pub(crate) struct Chores {
    running: Vec<Running>,
    thread: Option<Thread>,
}

/// A chore at work. Ends when dropped.
struct Running {
    chore: Arc<dyn Chore>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Thread {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    joins: Option<JoinHandle<()>>,
}

impl Chores {
    /// Does these from now on. One that was done before goes on undisturbed; one that is not among
    /// them ends.
    pub fn follow(&mut self, chores: &[Arc<dyn Chore>]) {
        self.running.retain(|known| chores.iter().any(|chore| Arc::ptr_eq(&known.chore, chore)));
        for chore in chores {
            if self.running.iter().any(|known| Arc::ptr_eq(&known.chore, chore)) {
                continue;
            }
            match self.runtime() {
                Ok(runtime) => {
                    let task = runtime.spawn(keep_doing(chore.clone())).abort_handle();
                    self.running.push(Running { chore: chore.clone(), task });
                }
                Err(error) => tracing::error!(%error, "{chore:?} can't run"),
            }
        }
    }

    fn runtime(&mut self) -> io::Result<Handle> {
        if let Some(thread) = &self.thread {
            return Ok(thread.runtime.clone());
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // Ends with an error when nobody can stop it any more, which stops it too.
        let run = move || drop(runtime.block_on(stopped));
        let joins = std::thread::Builder::new().name("gateward-chores".into()).spawn(run)?;
        let thread = Thread { runtime: handle.clone(), stop: Some(stop), joins: Some(joins) };
        self.thread = Some(thread);
        Ok(handle)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.joins.take().map(JoinHandle::join);
    }
}

/// Does a chore when it is due, again and again; also after it panicked.
async fn keep_doing(chore: Arc<dyn Chore>) {
    loop {
        let turn = AssertUnwindSafe(async { chore.run().await }).catch_unwind();
        let wait = turn.await.unwrap_or_else(|_| {
            tracing::error!("{chore:?} panicked; it is done again in {AFTER_A_PANIC:?}");
            AFTER_A_PANIC
        });
        sleep(wait.max(LEAST)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, pending, ready};
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Tells of each turn, and of its end.
    #[derive(Debug)]
    struct Told {
        turns: Sender<u32>,
        count: AtomicU32,
        hangs: bool,
        panics: bool,
    }

    impl Chore for Told {
        fn run(&self) -> Pin<Box<dyn Future<Output = Duration> + Send + '_>> {
            let number = self.count.fetch_add(1, SeqCst);
            self.turns.send(number).unwrap();
            assert!(!self.panics, "for the test");
            if self.hangs { Box::pin(pending()) } else { Box::pin(ready(Duration::ZERO)) }
        }
    }

    const SOON: Duration = Duration::from_secs(20);

    fn chore(hangs: bool, panics: bool) -> (Arc<dyn Chore>, Receiver<u32>) {
        let (turns, told) = channel();
        (Arc::new(Told { turns, count: AtomicU32::new(0), hangs, panics }), told)
    }

    #[test]
    fn a_thread_is_there_when_a_chore_is() {
        let mut chores = Chores::default();
        chores.follow(&[]);
        assert!(chores.thread.is_none());
        let (one, told) = chore(false, false);
        chores.follow(&[one]);
        assert_eq!(told.recv_timeout(SOON), Ok(0));
        assert_eq!(told.recv_timeout(SOON), Ok(1), "it is done again");
    }

    #[test]
    fn a_chore_that_stays_goes_on_undisturbed_and_one_that_is_gone_ends() {
        let mut chores = Chores::default();
        let ((stays, told_stays), (goes, told_goes)) = (chore(true, false), chore(false, false));
        chores.follow(&[stays.clone(), goes.clone()]);
        assert_eq!(told_stays.recv_timeout(SOON), Ok(0));
        assert_eq!(told_goes.recv_timeout(SOON), Ok(0));
        drop(goes);
        let (new, told_new) = chore(false, false);
        chores.follow(&[stays, new]);
        assert_eq!(told_new.recv_timeout(SOON), Ok(0));
        // Its sender is dropped with it.
        while told_goes.recv_timeout(SOON).is_ok() {}
        assert!(told_stays.try_recv().is_err(), "its turn was not begun anew");
        drop(chores);
        assert!(told_stays.recv_timeout(SOON).is_err());
    }

    #[test]
    fn a_chore_that_panics_leaves_the_others_alone() {
        let mut chores = Chores::default();
        let ((bad, told_bad), (good, told_good)) = (chore(false, true), chore(false, false));
        chores.follow(&[bad, good]);
        assert_eq!(told_bad.recv_timeout(SOON), Ok(0));
        for turn in 0..3 {
            assert_eq!(told_good.recv_timeout(SOON), Ok(turn));
        }
    }
}
