//! Watches memory beside the traffic.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::{Level, MemoryMeter, Overload};
use crate::worker::Order;

/// Time between two looks: what is done about memory is done within 100 ms.
const EVERY: Duration = Duration::from_millis(50);

/// A thread that watches, until this is dropped.
pub(crate) struct Watch {
    _stop: mpsc::Sender<()>,
}

impl Watch {
    /// Watches what `meter` says and tells every core when the level has changed.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        overload: Arc<Overload>,
        meter: MemoryMeter,
        cores: Vec<UnboundedSender<Order>>,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        thread::Builder::new().name("gateward-memory".into()).spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let Some(used) = meter.read() else { continue };
                let Some((before, now)) = overload.weigh(used) else { continue };
                say(before, now, used, overload.budget());
                for core in &cores {
                    // A core that is gone needs no memory.
                    let _ = core.send(Order::Press);
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

/// One line for each change.
fn say(before: Level, now: Level, used: u64, budget: u64) {
    let (before, now, rises) = (before.name(), now.name(), now > before);
    if rises {
        tracing::warn!(used, budget, before, now, "memory is short");
    } else {
        tracing::info!(used, budget, before, now, "memory is less short");
    }
}
