//! What a gateway is told while it serves, by its supervisor or by signals, and its end in order:
//! not ready, a while for load balancers to notice, drain.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Exit;
use crate::instance::{Instance, State};
use crate::reload::Reason;
use crate::run::{Plan, fail};
use crate::served::Orders;
use crate::supervise::Order;

/// Time to write out logs and traces at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// Where commands come from.
pub enum Commands {
    /// The supervisor.
    Orders(Orders),
    /// Signals.
    Signals([Signal; 4]),
}

/// What a gateway is told.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Reload,
    /// Stop, and close the listeners.
    Stop,
    /// Stop, another process goes on with the listeners.
    Leave,
    /// Stop without any order.
    Quit,
}

impl Commands {
    /// By signals. Needs a runtime around it.
    ///
    /// # Errors
    /// They can't be listened to.
    pub fn signals() -> io::Result<Self> {
        Ok(Self::Signals([
            signal(SignalKind::hangup())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::quit())?,
        ]))
    }

    async fn next(&mut self) -> Command {
        match self {
            Self::Orders(orders) => loop {
                match orders.recv().await {
                    Some(Order::Reload) => return Command::Reload,
                    Some(Order::Stop) => return Command::Stop,
                    Some(Order::Leave) => return Command::Leave,
                    Some(_) => {}
                    None => {
                        // With nobody to restart it or to be told to stop, it must not go on.
                        tracing::error!("the supervisor is gone; this process ends in order");
                        return Command::Stop;
                    }
                }
            },
            Self::Signals([hangup, terminate, interrupt, quit]) => tokio::select! {
                _ = hangup.recv() => Command::Reload,
                _ = terminate.recv() => Command::Stop,
                _ = interrupt.recv() => Command::Stop,
                _ = quit.recv() => Command::Quit,
            },
        }
    }
}

/// Does what it is told, to the end.
pub async fn stop(instance: &Arc<Instance>, plan: &Plan, mut commands: Commands) -> Exit {
    let told = loop {
        match commands.next().await {
            Command::Reload => {
                instance.handle().observer().reopen_logs();
                instance.ask(Reason::Signal);
            }
            other => break other,
        }
    };
    if told == Command::Quit {
        return at_once();
    }
    instance.set(State::Draining);
    let replaced = told == Command::Leave;
    if replaced {
        // The next one answers there.
        instance.close_admin();
    }
    let lead = if replaced { Duration::ZERO } else { plan.lead };
    if replaced {
        tracing::info!(grace = ?plan.grace, "another process serves; this one ends what it has");
    } else {
        tracing::info!(?lead, grace = ?plan.grace, "stopping; SIGQUIT stops at once");
    }
    let (ended, grace) = (instance.clone(), plan.grace);
    let drained = async move {
        tokio::time::sleep(lead).await;
        let drain = move || {
            if replaced {
                ended.handle().leave(grace)
            } else {
                ended.handle().drain(grace)
            }
            ended.handle().observer().flush(FLUSH)
        };
        tokio::task::spawn_blocking(drain).await
    };
    // Being told once more changes nothing: it is ending.
    tokio::pin!(drained);
    loop {
        tokio::select! {
            _ = &mut drained => return Exit::Done,
            told = quits(&mut commands) => if told { return at_once() },
        }
    }
}

/// Whether it is told to end at once; after its supervisor has gone, nothing tells it anything.
async fn quits(commands: &mut Commands) -> bool {
    match commands {
        Commands::Orders(orders) => match orders.recv().await {
            Some(_) => false,
            None => std::future::pending().await,
        },
        Commands::Signals(_) => commands.next().await == Command::Quit,
    }
}

fn at_once() -> Exit {
    fail("stopped at once, as told")
}
