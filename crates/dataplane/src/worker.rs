//! A core's thread: its runtime, and the orders it takes from [`crate::live`].

use std::sync::{Arc, mpsc};
use std::time::Duration;

use base::Clock;
use tokio::io::DuplexStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::site::{Plan, Site};

/// What a core is told.
pub(crate) enum Order {
    /// Run by this from now on; say when it is done.
    Swap(Plan, mpsc::Sender<()>),
    /// Serve this in-memory connection as one of the listener of this name.
    Connect(Arc<str>, DuplexStream),
    /// Memory is short, or no longer: look anew at who may stay.
    Press,
    /// Take no more connections, finish what is running, but no longer than this; then end.
    Drain(Duration),
}

/// A core as the rest of the process has it.
pub(crate) struct Worker {
    /// Where it takes orders.
    pub orders: UnboundedSender<Order>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Worker {
    /// Starts core number `number` with a first plan.
    pub fn start(number: usize, clock: Clock, plan: Plan) -> std::io::Result<Self> {
        let (orders, taken) = unbounded_channel();
        let run = move || {
            let runtime =
                Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(run(number, clock, plan, taken)),
                Err(error) => tracing::error!(%error, number, "a core could not start"),
            }
        };
        let name = format!("gateward-core-{number}");
        let thread = std::thread::Builder::new().name(name).spawn(run)?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Waits for its end.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A core's life.
async fn run(number: usize, clock: Clock, plan: Plan, mut orders: UnboundedReceiver<Order>) {
    let site = Site::new(number, clock, plan);
    while let Some(order) = orders.recv().await {
        match order {
            Order::Swap(plan, done) => {
                site.swap(plan);
                let _ = done.send(());
            }
            Order::Connect(name, stream) => site.connect(&name, stream),
            Order::Press => site.press(),
            Order::Drain(grace) => return site.drain(grace).await,
        }
    }
}
