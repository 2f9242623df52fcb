//! The instance as its admin listener shows it, and where it is at home.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use config::Written;
use dataplane::admin::{self, Admin, Past, Reload};
use dataplane::{Handle, Keeper, Observer, Role, UpstreamStatus};
use serde_json::json;
use snapshot::{Bind, Snapshot};
use tokio::sync::{mpsc, oneshot};

use crate::lastgood::Store;
use crate::reload::{Ask, Reason};
use crate::served::Served;
use crate::supervise::{Said, Start};
use crate::systemd::Notify;

/// Asks that wait at most; whoever comes later is told to come again.
const ASKS: usize = 16;

/// What is around an instance: who keeps its sockets, who is told how it does, where its documents
/// are kept.
pub struct Home {
    /// Who has its sockets.
    pub keeper: Arc<dyn Keeper>,
    /// How it is to start.
    pub start: Start,
    /// Where the last good documents are.
    pub store: Option<Store>,
    served: Option<Arc<Served>>,
    /// Where there is no supervisor to tell.
    notify: Option<Notify>,
}

impl Home {
    /// With a supervisor.
    pub fn supervised(served: Arc<Served>, start: Start) -> Self {
        Self { keeper: served.clone(), start, store: None, served: Some(served), notify: None }
    }

    /// Without one.
    pub fn alone(keeper: Arc<dyn Keeper>) -> Self {
        let start = Start { cold: true, revision: 1, ..Start::default() };
        Self { keeper, start, store: None, served: None, notify: Some(Notify::new()) }
    }
}

/// A running gateway.
pub struct Instance {
    handle: Handle,
    state: AtomicU8,
    asks: mpsc::Sender<Ask>,
    admin: Mutex<Option<(Bind, Admin)>>,
    home: Home,
    /// Why it runs by the last good document, where it does.
    fallback: Mutex<Option<String>>,
}

/// Whether traffic is welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Yes.
    Ready = 1,
    /// No longer.
    Draining = 2,
}

impl Instance {
    /// An instance around a data plane that was started, and where reloads are asked for.
    pub fn new(handle: Handle, home: Home) -> (Arc<Self>, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS);
        let state = AtomicU8::new(State::Ready as u8);
        let (admin, fallback) = (Mutex::new(None), Mutex::new(None));
        (Arc::new(Self { handle, state, asks, admin, home, fallback }), asked)
    }

    /// The data plane.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// It serves, by this document; `fallback` is why that is not the one it was given.
    ///
    /// # Errors
    /// The system gives no thread to show that it lives.
    pub fn serves(
        &self,
        written: &Written,
        revision: u64,
        fallback: Option<String>,
    ) -> Result<(), String> {
        if let Some(served) = &self.home.served {
            served.say(&Said::Took { digest: written.digest.clone(), revision });
            let alive = served.ready(self.handle.pulse());
            alive.map_err(|error: io::Error| format!("no thread: {error}"))?;
        }
        if let Some(notify) = &self.home.notify {
            notify.ready("serving");
            let alive = Notify::new().keep_alive(self.handle.pulse());
            alive.map_err(|error| format!("no thread: {error}"))?;
        }
        self.handle.observer().taken(revision);
        if fallback.is_none()
            && let Some(store) = &self.home.store
        {
            store.save(written);
        }
        *lock(&self.fallback) = fallback;
        Ok(())
    }

    /// A document was taken over while it serves.
    pub fn took(&self, written: &Written, revision: u64) {
        if let Some(served) = &self.home.served {
            served.say(&Said::Took { digest: written.digest.clone(), revision });
        }
        self.handle.observer().taken(revision);
        *lock(&self.fallback) = None;
        if let Some(store) = &self.home.store {
            store.save(written);
        }
    }

    /// The document it was given says again what runs.
    pub fn same_again(&self) {
        *lock(&self.fallback) = None;
    }

    /// A reload is over, whatever came of it.
    pub fn reloaded(&self) {
        if let Some(served) = &self.home.served {
            served.say(&Said::Reloaded);
        }
    }

    /// Whether a document with this digest brought serving processes down.
    pub fn avoids(&self, digest: &str) -> bool {
        self.home.start.avoid.iter().any(|avoided| avoided == digest)
    }

    /// Says whether traffic is welcome.
    pub fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
        if let (State::Draining, Some(notify)) = (state, &self.home.notify) {
            notify.stopping();
        }
    }

    /// Asks for a reload, without waiting for it.
    pub fn ask(&self, reason: Reason) {
        if self.asks.try_send(Ask { reason, answer: None }).is_err() {
            tracing::warn!("too many reloads were asked for at once; this one is left out");
            self.reloaded();
        }
    }

    /// Opens the admin listener a snapshot wants, if it is not the one that is open.
    ///
    /// # Errors
    /// One line for people; then the one that is open stays.
    pub fn open_admin(self: &Arc<Self>, wanted: Option<&Bind>) -> Result<(), String> {
        let mut open = lock(&self.admin);
        if open.as_ref().map(|(asked, _)| asked) == wanted {
            return Ok(());
        }
        let opened = match wanted {
            Some(bind) => {
                let serving = admin::serve(bind, self.clone(), &*self.home.keeper);
                let opened = serving.map_err(|error| {
                    format!("the admin listener can't listen on {bind}: {error}")
                })?;
                tracing::info!("the admin listener is at {}", opened.bind());
                Some((bind.clone(), opened))
            }
            None => None,
        };
        if let Some((gone, _)) = std::mem::replace(&mut *open, opened) {
            self.home.keeper.release(Role::Admin, &gone);
        }
        Ok(())
    }

    /// Closes the admin listener here; another process may go on with its socket.
    pub fn close_admin(&self) {
        lock(&self.admin).take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl admin::Instance for Instance {
    fn observer(&self) -> &Observer {
        self.handle.observer()
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        Some(self.handle.snapshot())
    }

    fn ready(&self) -> Result<(), String> {
        match self.state.load(Ordering::Acquire) {
            state if state == State::Ready as u8 => Ok(()),
            _ => Err("draining".into()),
        }
    }

    fn upstreams(&self) -> Vec<UpstreamStatus> {
        self.handle.upstreams()
    }

    fn past(&self) -> Past {
        let told = &self.home.start.told;
        Past {
            fallback: lock(&self.fallback).clone(),
            crashed: told.crashed,
            stuck: told.stuck,
            last: told.last.clone(),
        }
    }

    fn reload(&self) -> Reload {
        let asks = self.asks.clone();
        Box::pin(async move {
            let (answer, outcome) = oneshot::channel();
            let ask = Ask { reason: Reason::Call, answer: Some(answer) };
            let stopping = || json!([{ "what": "the gateway is stopping" }]);
            asks.send(ask).await.map_err(|_| stopping())?;
            outcome.await.map_err(|_| stopping())?
        })
    }
}
