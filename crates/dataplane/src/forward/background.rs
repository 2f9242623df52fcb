//! What goes on beside the requests: names are looked up and endpoints checked, on a thread of its
//! own, so that no core waits for either. It follows the fleet: a check or a lookup goes on across
//! snapshots as long as what it is of stays.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use snapshot::Dns;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_local};

use super::fleet::{Fleet, SharedUpstream, questions};
use super::members::Question;
use super::{dns, health};

/// The thread. Ends when dropped.
pub(crate) struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts it.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn start(fleet: Arc<Fleet>) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            let runtime =
                Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    tokio::select! {
                        () = tend(fleet) => {}
                        _ = stopped => {}
                    }
                }),
                Err(error) => tracing::error!(%error, "lookups and health checks can't run"),
            }
        };
        let thread = std::thread::Builder::new().name("gateward-fleet".into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Already gone if its runtime could not start.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Runs the lookups and checks that the fleet's upstreams need.
pub(crate) async fn tend(fleet: Arc<Fleet>) {
    let mut tasks = Tasks::default();
    loop {
        let current = fleet.current();
        tasks.look_up(&fleet, &current);
        tasks.check(&fleet, &current);
        fleet.changed.notified().await;
    }
}

#[derive(Default)]
struct Tasks {
    lookups: HashMap<(Dns, Question), Task>,
    /// By upstream and endpoint; with what they check by.
    checks: HashMap<(Arc<str>, u64), (String, Task)>,
}

/// A task that ends when dropped.
struct Task(AbortHandle);

impl Task {
    fn start(work: impl Future<Output = ()> + 'static) -> Self {
        Self(spawn_local(work).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    fn look_up(&mut self, fleet: &Arc<Fleet>, current: &[Arc<SharedUpstream>]) {
        let mut before = std::mem::take(&mut self.lookups);
        for asking in questions(current) {
            if self.lookups.contains_key(&asking) {
                continue;
            }
            let task = before.remove(&asking).unwrap_or_else(|| {
                let (dns, question) = asking.clone();
                Task::start(dns::follow(fleet.clone(), dns, question))
            });
            self.lookups.insert(asking, task);
        }
    }

    fn check(&mut self, fleet: &Arc<Fleet>, current: &[Arc<SharedUpstream>]) {
        let mut before = std::mem::take(&mut self.checks);
        for upstream in current.iter().filter(|upstream| upstream.config.health.is_some()) {
            let config = &upstream.config;
            let identity = config.tls.as_ref().map(|tls| &tls.identity);
            let by = format!("{:?} {:?} {identity:?}", config.health, config.protocol);
            for member in &upstream.state.members().list {
                let key = (config.name.clone(), member.endpoint.id);
                let kept = before.remove(&key).filter(|(known, _)| *known == by);
                let task = kept.map(|(_, task)| task).unwrap_or_else(|| {
                    let endpoint = member.endpoint.clone();
                    let clock = fleet.clock().clone();
                    Task::start(health::watch(upstream.clone(), endpoint, clock))
                });
                self.checks.insert(key, (by.clone(), task));
            }
        }
    }
}
