//! `gateward run`: from a document to a running gateway, and from a signal to its end.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use dataplane::{Options, StartError};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{Exit, RunArgs};
use crate::instance::{Instance, State};
use crate::load::{Loaded, Loader};
use crate::reload::{Follower, Reason};
use crate::terminal::{self, BAD, paint};
use crate::watch::Files;
use crate::{files, logging, pages};

/// Time to write out logs and traces at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// What is to run, and how.
pub struct Plan {
    path: PathBuf,
    workers: Option<u16>,
    watch: bool,
    grace: Duration,
    lead: Duration,
    background: Runtime,
    greeting: String,
}

impl Plan {
    /// A demo: watched, and stopped at once.
    pub fn demo(path: PathBuf, background: Runtime, greeting: String) -> Self {
        let (grace, lead) = (Duration::from_millis(500), Duration::ZERO);
        Self { path, workers: None, watch: true, grace, lead, background, greeting }
    }
}

/// `gateward run`.
pub fn run(args: RunArgs) -> Exit {
    pages::keep_small();
    files::take_all();
    if let Err(error) = logging::start(&args.logging) {
        return fail(&error);
    }
    let background = match background() {
        Ok(background) => background,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    serve(Plan {
        path: args.config,
        workers: args.workers,
        watch: !args.no_watch,
        grace: Duration::from_secs(args.grace),
        lead: Duration::from_secs(args.lead),
        background,
        greeting: String::new(),
    })
}

/// The runtime of everything beside the traffic: health checks, lookups, exports, reloads.
///
/// # Errors
/// The system gives no thread or no epoll.
pub fn background() -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("gateward-background").enable_all().build()
}

/// Runs until it is told to stop.
pub fn serve(plan: Plan) -> Exit {
    let mut loader = Loader::new();
    let loaded = match loader.load(&plan.path) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprint!("{}", report.render(terminal::colours_err()));
            return Exit::Refused;
        }
    };
    for warning in &loaded.snapshot.warnings {
        tracing::warn!(at = %warning.at, "{}", warning.what);
    }
    let Loaded { written, snapshot, files } = loaded;
    let workers = plan.workers.map_or_else(|| Options::default().workers, usize::from);
    let options = Options { workers, clock: Clock::system(), ..Options::default() };
    let snapshot = Arc::new(snapshot);
    let handle = match dataplane::start(snapshot.clone(), options) {
        Ok(handle) => handle,
        Err(StartError::Listeners(problems)) => {
            eprint!("{}", written.report(&problems).render(terminal::colours_err()));
            return Exit::Failed;
        }
        Err(error) => return fail(&error.to_string()),
    };
    let (instance, asked) = Instance::new(handle);
    if let Err(error) = instance.open_admin(snapshot.admin.as_ref()) {
        return fail(&error);
    }
    loader.taken();
    instance.handle().observer().taken(snapshot.revision);
    let watched = plan.watch.then(|| {
        let mut watched = Files::new();
        watched.set(&files);
        watched
    });
    let (path, following) = (plan.path.clone(), instance.clone());
    plan.background
        .spawn(Follower { path, loader, instance: following, files: watched, asked }.follow());
    report(&instance, workers, &plan.greeting);
    plan.background.block_on(stop(&instance, &plan))
}

fn report(instance: &Instance, workers: usize, greeting: &str) {
    let snapshot = instance.handle().snapshot();
    for listener in &snapshot.listeners {
        let address =
            instance.handle().address(&listener.bind).unwrap_or_else(|| listener.bind.clone());
        tracing::info!("listener {} is at {address}", listener.name);
    }
    tracing::info!(workers, routes = snapshot.routes.len(), revision = snapshot.revision, "ready");
    print!("{greeting}");
    let _ = io::stdout().flush();
}

/// Waits for a signal that means the end, and ends in order: not ready, a while for load balancers
/// to notice, drain.
async fn stop(instance: &Arc<Instance>, plan: &Plan) -> Exit {
    let kinds = (SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt());
    let signals = (signal(kinds.0), signal(kinds.1), signal(kinds.2));
    let (Ok(mut hangup), Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return fail("signals can't be listened to");
    };
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                instance.handle().observer().reopen_logs();
                instance.ask(Reason::Signal);
            }
            () = ending(&mut terminate, &mut interrupt) => break,
        }
    }
    instance.set(State::Draining);
    tracing::info!(lead = ?plan.lead, grace = ?plan.grace, "stopping; once more stops at once");
    let (ended, grace, lead) = (instance.clone(), plan.grace, plan.lead);
    let drained = async move {
        tokio::time::sleep(lead).await;
        let drain = move || {
            ended.handle().drain(grace);
            ended.handle().observer().flush(FLUSH)
        };
        tokio::task::spawn_blocking(drain).await
    };
    tokio::select! {
        _ = drained => Exit::Done,
        () = ending(&mut terminate, &mut interrupt) => fail("stopped at once, as told"),
    }
}

async fn ending(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Says what went wrong.
pub fn fail(error: &str) -> Exit {
    eprintln!("{} {error}", paint("error:", BAD, terminal::colours_err()));
    Exit::Failed
}
