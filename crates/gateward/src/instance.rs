//! The instance as its admin listener shows it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dataplane::admin::{self, Admin, Reload};
use dataplane::{Handle, Observer, UpstreamStatus};
use serde_json::json;
use snapshot::{Bind, Snapshot};
use tokio::sync::{mpsc, oneshot};

use crate::reload::{Ask, Reason};

/// Asks that wait at most; whoever comes later is told to come again.
const ASKS: usize = 16;

/// A running gateway.
pub struct Instance {
    handle: Handle,
    state: AtomicU8,
    asks: mpsc::Sender<Ask>,
    admin: Mutex<Option<(Bind, Admin)>>,
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
    pub fn new(handle: Handle) -> (Arc<Self>, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS);
        let state = AtomicU8::new(State::Ready as u8);
        (Arc::new(Self { handle, state, asks, admin: Mutex::new(None) }), asked)
    }

    /// The data plane.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Says whether traffic is welcome.
    pub fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Asks for a reload, without waiting for it.
    pub fn ask(&self, reason: Reason) {
        if self.asks.try_send(Ask { reason, answer: None }).is_err() {
            tracing::warn!("too many reloads were asked for at once; this one is left out");
        }
    }

    /// Opens the admin listener a snapshot wants, if it is not the one that is open.
    ///
    /// # Errors
    /// One line for people; then the one that is open stays.
    pub fn open_admin(self: &Arc<Self>, wanted: Option<&Bind>) -> Result<(), String> {
        let mut open = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().map(|(asked, _)| asked) == wanted {
            return Ok(());
        }
        *open = match wanted {
            Some(bind) => {
                let opened = admin::serve(bind, self.clone()).map_err(|error| {
                    format!("the admin listener can't listen on {bind}: {error}")
                })?;
                tracing::info!("the admin listener is at {}", opened.bind());
                Some((bind.clone(), opened))
            }
            None => None,
        };
        Ok(())
    }
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
