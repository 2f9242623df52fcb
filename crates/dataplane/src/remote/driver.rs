//! The thread that connections to servers live on.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use policy::{Answer, Unanswered};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// Calls at once, over all servers; those that wait for a place at a server too.
const CALLS: usize = 4096;

/// Threads that look up names.
const LOOKUPS: usize = 8;

/// The thread; started by the first call.
pub(super) struct Driver {
    places: Arc<Semaphore>,
    thread: Mutex<Option<Thread>>,
}

struct Thread {
    runtime: Handle,
    /// Ends it when dropped.
    _stop: oneshot::Sender<()>,
}

/// What a call ends with.
pub(super) type Outcome = Result<Answer, Unanswered>;

impl Default for Driver {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(CALLS)), thread: Mutex::default() }
    }
}

impl Driver {
    /// Does `call` on the thread; ends it when what is returned is dropped.
    pub fn run(
        &self,
        call: impl Future<Output = Outcome> + Send + 'static,
    ) -> Result<Running, Unanswered> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            let what = format!("{CALLS} calls of other servers are under way");
            return Err(Unanswered::Unreachable(what));
        };
        let runtime = self.runtime();
        let runtime = runtime.map_err(|error| Unanswered::Unreachable(error.to_string()))?;
        Ok(Running(runtime.spawn(async move {
            let outcome = call.await;
            drop(place);
            outcome
        })))
    }

    fn runtime(&self) -> io::Result<Handle> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            return Ok(thread.runtime.clone());
        }
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOKUPS)
            .thread_name("gateward-lookup")
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // Ends with an error when the driver is dropped: that is all it is for.
            let _ = runtime.block_on(stopped);
            // A lookup that hangs holds nobody up.
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name("gateward-remote".into()).spawn(run)?;
        *thread = Some(Thread { runtime: handle.clone(), _stop: stop });
        Ok(handle)
    }

    #[cfg(test)]
    pub fn is_running(&self) -> bool {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.places.available_permits()
    }
}

/// A call under way.
pub(super) struct Running(JoinHandle<Outcome>);

impl Future for Running {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let gone = |_| Err(Unanswered::Unreachable("the call was broken off".into()));
        Pin::new(&mut self.0).poll(cx).map(|done| done.unwrap_or_else(gone))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}
