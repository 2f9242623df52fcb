//! A core's thread: its runtime, and the orders it takes from [`crate::live`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use base::Clock;
use snapshot::Bind;
use tokio::io::DuplexStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;

use crate::accept::socket::Listening;
use crate::site::{Plan, Site};

/// Time between two beats of a core's pulse.
const PULSE: Duration = Duration::from_millis(500);

/// What a core is told.
pub(crate) enum Order {
    /// Run by this from now on; say when it is done.
    Swap(Plan, mpsc::Sender<()>),
    /// Let connections in by these sockets.
    Open(Vec<(Bind, Vec<Listening>)>),
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
    /// Moves on for as long as its tasks get their turn.
    pub pulse: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Worker {
    /// Starts core number `number` with a first plan.
    pub fn start(number: usize, clock: Clock, plan: Plan) -> std::io::Result<Self> {
        let (orders, taken) = unbounded_channel();
        let pulse = Arc::<AtomicU64>::default();
        let beats = pulse.clone();
        let run = move || {
            let runtime =
                Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(run(number, clock, plan, taken, beats)),
                Err(error) => tracing::error!(%error, number, "a core could not start"),
            }
        };
        let name = format!("gateward-core-{number}");
        let thread = std::thread::Builder::new().name(name).spawn(run)?;
        Ok(Self { orders, pulse, thread: Some(thread) })
    }

    /// Waits for its end.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A core's life.
async fn run(
    number: usize,
    clock: Clock,
    plan: Plan,
    mut orders: UnboundedReceiver<Order>,
    pulse: Arc<AtomicU64>,
) {
    let site = Site::new(number, clock, plan);
    spawn_local(beat(pulse));
    while let Some(order) = orders.recv().await {
        match order {
            Order::Swap(plan, done) => {
                site.swap(plan);
                let _ = done.send(());
            }
            Order::Open(sockets) => site.open(sockets),
            Order::Connect(name, stream) => site.connect(&name, stream),
            Order::Press => site.press(),
            Order::Drain(grace) => return site.drain(grace).await,
        }
    }
}

/// Shows that this core's tasks get their turn: a loop without an end anywhere on it stops this.
async fn beat(pulse: Arc<AtomicU64>) {
    loop {
        pulse.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PULSE).await;
    }
}
