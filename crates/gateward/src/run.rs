//! `gateward run`: from a document to a running gateway, and from a signal to its end.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Clock;
use dataplane::{Handle, Options, StartError};
use tokio::runtime::Runtime;

use crate::cli::{Exit, RunArgs};
use crate::instance::{Home, Instance};
use crate::load::{First, Loader};
use crate::reload::Follower;
use crate::served::Served;
use crate::stop::{Commands, stop};
use crate::supervise::Start;
use crate::terminal::{self, BAD, paint};
use crate::watch::Files;
use crate::{files, lastgood, logging, pages, state, supervise, systemd};

/// Time the first health checks get before an upgrade goes on without them.
const CHECKS: Duration = Duration::from_secs(10);

/// Wait between two looks at something that is about to be so.
const LOOK: Duration = Duration::from_millis(5);

/// What is to run, and how.
pub struct Plan {
    path: PathBuf,
    workers: Option<u16>,
    watch: bool,
    pub(crate) grace: Duration,
    pub(crate) lead: Duration,
    pub(crate) background: Runtime,
    greeting: String,
    /// Where the last good documents are.
    store: Option<lastgood::Store>,
    /// Where policies keep counts.
    ledger: Option<Arc<dyn policy::Ledger>>,
    /// Whether one of the last good documents may be started by at first.
    fallback: bool,
}

impl Plan {
    /// A demo: watched, and stopped at once.
    pub fn demo(path: PathBuf, background: Runtime, greeting: String) -> Self {
        Self {
            path,
            workers: None,
            watch: true,
            grace: Duration::from_millis(500),
            lead: Duration::ZERO,
            background,
            greeting,
            store: None,
            ledger: None,
            fallback: false,
        }
    }
}

/// `gateward run`: as a supervisor, unless it is told to be what a supervisor starts, or to do
/// without.
pub fn run(args: RunArgs) -> Exit {
    if args.served.is_none() && !args.no_supervisor {
        return supervise::run(args);
    }
    pages::keep_small();
    files::take_all();
    if let Err(error) = logging::start(&args.logging) {
        return fail(&error);
    }
    let background = match background() {
        Ok(background) => background,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    let directory = state::directory(&args.state, &args.config);
    let plan = Plan {
        path: args.config,
        workers: args.workers,
        watch: !args.no_watch,
        grace: Duration::from_secs(args.grace),
        lead: Duration::from_secs(args.lead),
        background,
        greeting: String::new(),
        store: directory.as_deref().map(lastgood::Store::new),
        ledger: directory.as_deref().map(counts),
        fallback: !args.no_fallback,
    };
    let Some(link) = args.served else { return serve(plan) };
    supervise::ignore_signals();
    match Served::meet(link) {
        Ok((served, start, orders)) => {
            let home = Home::supervised(served.clone(), start);
            let exit = start_and_serve(plan, home, Commands::Orders(orders));
            if let Err(why) = &exit {
                served.failed(why.1.clone());
            }
            exit.unwrap_or_else(|(exit, _)| exit)
        }
        Err(error) => fail(&format!("the supervisor does not answer: {error}")),
    }
}

/// Where policies keep counts in this state directory.
fn counts(directory: &Path) -> Arc<dyn policy::Ledger> {
    Arc::new(store::CountsFile::at(&directory.join("counts.sqlite")))
}

/// The runtime of everything beside the traffic: health checks, lookups, exports, reloads.
///
/// # Errors
/// The system gives no thread or no epoll.
pub fn background() -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("gateward-background").enable_all().build()
}

/// Runs until it is told to stop, with no supervisor.
pub fn serve(plan: Plan) -> Exit {
    let commands = {
        let _inside = plan.background.enter();
        Commands::signals()
    };
    let Ok(commands) = commands else { return fail("signals can't be listened to") };
    let home = Home::alone(Arc::new(systemd::Given::take()));
    start_and_serve(plan, home, commands).unwrap_or_else(|(exit, _)| exit)
}

/// Starts, proves itself, serves, and ends as it is told. The error is how it ends where it can't
/// start, and why, which standard error has heard too.
fn start_and_serve(
    mut plan: Plan,
    mut home: Home,
    commands: Commands,
) -> Result<Exit, (Exit, String)> {
    home.store = plan.store.take();
    let mut loader = Loader::starting_at(home.start.revision).with_ledger(plan.ledger.take());
    let first = loader.first(&plan.path, home.store.as_ref(), &home.start, plan.fallback);
    let First { loaded, fallback, files } = first.map_err(|report| {
        eprint!("{}", report.render(terminal::colours_err()));
        (Exit::Refused, report.render(false))
    })?;
    pages::gather(&loaded.snapshot);
    for warning in &loaded.snapshot.warnings {
        tracing::warn!(at = %warning.at, "{}", warning.what);
    }
    let workers = plan.workers.map_or_else(|| Options::default().workers, usize::from);
    let options = Options { workers, clock: Clock::system(), ..Options::default() };
    let snapshot = Arc::new(loaded.snapshot);
    let handle = dataplane::prepare(snapshot.clone(), options, home.keeper.clone());
    let handle = handle.map_err(|error| match error {
        StartError::Listeners(problems) => {
            let report = loaded.written.report(&problems);
            eprint!("{}", report.render(terminal::colours_err()));
            (Exit::Failed, report.render(false))
        }
        error => failed(error.to_string()),
    })?;
    prove(&handle, &home.start);
    let (instance, asked) = Instance::new(handle, home);
    instance.open_admin(snapshot.admin.as_ref()).map_err(failed)?;
    instance.handle().open();
    instance.serves(&loaded.written, snapshot.revision, fallback).map_err(failed)?;
    loader.taken();
    let watched = plan.watch.then(|| {
        let mut watched = Files::new();
        watched.set(&files);
        watched
    });
    let (path, following) = (plan.path.clone(), instance.clone());
    plan.background
        .spawn(Follower { path, loader, instance: following, files: watched, asked }.follow());
    report(&instance, workers, &plan.greeting);
    Ok(plan.background.block_on(stop(&instance, &plan, commands)))
}

/// Waits until every core runs; and where another process serves meanwhile, until the first health
/// checks have been made, so that no traffic goes where nobody has looked. A core that never runs
/// is the supervisor's to notice.
fn prove(handle: &Handle, start: &Start) {
    let pulse = handle.pulse();
    while pulse.read().contains(&0) {
        std::thread::sleep(LOOK);
    }
    let since = Instant::now();
    while start.replaces && !handle.is_checked() {
        if since.elapsed() > CHECKS {
            return tracing::warn!("some endpoints could not be checked yet");
        }
        std::thread::sleep(LOOK);
    }
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

fn failed(error: String) -> (Exit, String) {
    (fail(&error), error)
}

/// Says what went wrong.
pub fn fail(error: &str) -> Exit {
    eprintln!("{} {error}", paint("error:", BAD, terminal::colours_err()));
    Exit::Failed
}
