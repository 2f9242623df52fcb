//! The running data plane as the rest of the process has it: start, swap, drain.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::mem::take;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use base::{Clock, Problem, Problems};
use snapshot::{Bind, Snapshot};
use tokio::io::DuplexStream;

use crate::accept::keeper::{Keeper, NoKeeper, Role, keep};
use crate::accept::socket::{self, Listening, Opened};
use crate::accept::spread;
use crate::chores::Chores;
use crate::forward::endpoint::Health;
use crate::forward::{Background, Fleet};
use crate::observe::Observer;
use crate::overload::{MemoryMeter, OverloadStatus, Watch};
use crate::site::{DoorPlan, Plan};
use crate::status::UpstreamStatus;
use crate::worker::{Order, Worker};

/// How a data plane is started.
#[derive(Debug)]
pub struct Options {
    /// Cores to run on, each with a thread of its own.
    pub workers: usize,
    /// Where time comes from.
    pub clock: Clock,
    /// Where the memory in use is read.
    pub memory: MemoryMeter,
}

impl Default for Options {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { workers, clock: Clock::system(), memory: MemoryMeter::system() }
    }
}

/// Why a data plane could not be started.
#[derive(Debug)]
pub enum StartError {
    /// Listeners can't be opened, as these problems say.
    Listeners(Problems),
    /// The machine gives no thread.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listeners(problems) => {
                write!(f, "{} listeners can't be opened", problems.len())
            }
            Self::Thread(error) => write!(f, "no thread for a core: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running data plane. Dropping it ends it at once; [`Handle::drain`] is the polite way.
pub struct Handle {
    inner: Mutex<Live>,
    observer: Arc<Observer>,
    /// Watches memory.
    _watch: Watch,
}

/// Shows which cores' tasks get their turn. Reading it waits for nobody.
#[derive(Clone, Debug)]
pub struct Pulse(Vec<Arc<AtomicU64>>);

impl Pulse {
    /// A number for each core, which moves on at least once a second for as long as all is well.
    pub fn read(&self) -> Vec<u64> {
        self.0.iter().map(|pulse| pulse.load(Ordering::Relaxed)).collect()
    }
}

struct Live {
    workers: Vec<Worker>,
    /// Where sockets come from, and who goes on with them.
    keeper: Arc<dyn Keeper>,
    /// Addresses whose sockets come from a process before this one, until it is opened.
    inherited: Vec<Bind>,
    /// Each core's sockets until it is opened.
    unopened: Vec<Vec<(Bind, Vec<Listening>)>>,
    observer: Arc<Observer>,
    fleet: Arc<Fleet>,
    /// Lookups and health checks.
    _background: Background,
    /// What policies do beside the requests.
    chores: Chores,
    snapshot: Arc<Snapshot>,
    /// Open listeners, by the address they were asked for.
    listeners: HashMap<Bind, Arc<AtomicUsize>>,
    /// The addresses they have.
    bound: HashMap<Bind, Bind>,
}

/// Starts the data plane: opens every listener of `snapshot`, or none and says why.
///
/// # Errors
/// A listener's address can't be used; a thread can't be made.
pub fn start(snapshot: Arc<Snapshot>, options: Options) -> Result<Handle, StartError> {
    let handle = prepare(snapshot, options, Arc::new(NoKeeper))?;
    handle.open();
    Ok(handle)
}

/// Starts the data plane, with sockets that `keeper` may have, but lets no connection in before
/// [`Handle::open`].
///
/// # Errors
/// As with [`start`].
pub fn prepare(
    snapshot: Arc<Snapshot>,
    options: Options,
    keeper: Arc<dyn Keeper>,
) -> Result<Handle, StartError> {
    let count = options.workers.max(1);
    let observer = Observer::new(count, options.clock.clone());
    let fleet = Fleet::new(options.clock.clone());
    let mut live = Live {
        workers: Vec::with_capacity(count),
        keeper,
        inherited: Vec::new(),
        unopened: Vec::with_capacity(count),
        observer: observer.clone(),
        _background: Background::start(fleet.clone()).map_err(StartError::Thread)?,
        chores: Chores::default(),
        fleet,
        snapshot: snapshot.clone(),
        listeners: HashMap::new(),
        bound: HashMap::new(),
    };
    let plans = live.plan(&snapshot, count).map_err(StartError::Listeners)?;
    for (number, mut plan) in plans.into_iter().enumerate() {
        let sockets = plan.doors.iter_mut();
        let sockets = sockets.map(|door| (door.listener.bind.clone(), take(&mut door.sockets)));
        live.unopened.push(sockets.collect());
        let worker = Worker::start(number, options.clock.clone(), plan);
        live.workers.push(worker.map_err(StartError::Thread)?);
    }
    let cores = live.workers.iter().map(|worker| worker.orders.clone()).collect();
    live.chores.follow(&snapshot.chores);
    let watch = Watch::start(observer.overload.clone(), options.memory, cores);
    let watch = watch.map_err(StartError::Thread)?;
    Ok(Handle { inner: Mutex::new(live), observer, _watch: watch })
}

impl Handle {
    /// Lets connections in.
    pub fn open(&self) {
        let mut live = self.lock();
        let (unopened, inherited) = (take(&mut live.unopened), take(&mut live.inherited));
        for (bind, sockets) in unopened.first().into_iter().flatten() {
            if let Some(first) = sockets.first().filter(|_| inherited.contains(bind))
                && let Err(error) = spread::over(first, live.workers.len())
            {
                tracing::warn!(%error, "connections to {bind} are spread unevenly");
            }
        }
        for (worker, sockets) in live.workers.iter().zip(unopened) {
            let _ = worker.orders.send(Order::Open(sockets));
        }
    }

    /// The pulse of its cores.
    pub fn pulse(&self) -> Pulse {
        let live = self.lock();
        Pulse(live.workers.iter().map(|worker| worker.pulse.clone()).collect())
    }

    /// Whether every endpoint that is checked was checked once.
    pub fn is_checked(&self) -> bool {
        let fleet = self.lock().fleet.clone();
        let checked = fleet.current();
        let mut checked = checked.iter().filter(|upstream| upstream.config.health.is_some());
        checked.all(|upstream| {
            let members = upstream.state.members();
            members.list.iter().all(|member| member.endpoint.health() != Health::Unknown)
        })
    }

    /// Runs by `snapshot` from now on, on all cores, once this returns. Requests under way end by
    /// the snapshot they began with. New listeners open, listeners that are gone finish what they
    /// have.
    ///
    /// # Errors
    /// A new listener can't be opened; then nothing has changed.
    pub fn swap(&self, snapshot: Arc<Snapshot>) -> Result<(), Problems> {
        let mut live = self.lock();
        let count = live.workers.len();
        if count == 0 {
            let what = "the gateway is stopping";
            return Err(vec![Problem::new(&base::Pointer::root(), what)]);
        }
        let plans = live.plan(&snapshot, count)?;
        let (done, all_done) = mpsc::channel();
        for (worker, plan) in live.workers.iter().zip(plans) {
            // A core that is gone has nothing to swap.
            let _ = worker.orders.send(Order::Swap(plan, done.clone()));
        }
        drop(done);
        while all_done.recv().is_ok() {}
        live.chores.follow(&snapshot.chores);
        live.snapshot = snapshot;
        Ok(())
    }

    /// Takes no more connections, lets running requests end, and ends when they did or `grace` is
    /// over. The addresses are closed.
    pub fn drain(&self, grace: Duration) {
        {
            let mut live = self.lock();
            for bind in live.listeners.keys() {
                live.keeper.release(Role::Listener, bind);
                socket::clean_up(bind);
            }
            live.listeners.clear();
        }
        self.leave(grace);
    }

    /// The same, while another process goes on with the sockets.
    pub fn leave(&self, grace: Duration) {
        // Not held while it takes its time: others want to know how it is doing.
        let mut workers = take(&mut self.lock().workers);
        for worker in &workers {
            let _ = worker.orders.send(Order::Drain(grace));
        }
        workers.iter_mut().for_each(Worker::join);
    }

    /// The snapshot it runs by.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().snapshot.clone()
    }

    /// What observes it.
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// How its upstreams are doing.
    pub fn upstreams(&self) -> Vec<UpstreamStatus> {
        let fleet = self.lock().fleet.clone();
        fleet.status()
    }

    /// How loaded it is.
    pub fn overload(&self) -> OverloadStatus {
        self.observer.overload()
    }

    /// The address a listener has that was asked to stand at `bind`: another one where that says
    /// port 0.
    pub fn address(&self, bind: &Bind) -> Option<Bind> {
        self.lock().bound.get(bind).cloned()
    }

    /// A connection to the listener of this name that needs no network, served by the first core.
    /// It holds `capacity` bytes each way: what is written beyond waits until it is read.
    pub fn connect(&self, listener: &str, capacity: usize) -> DuplexStream {
        let (near, far) = tokio::io::duplex(capacity);
        if let Some(worker) = self.lock().workers.first() {
            let _ = worker.orders.send(Order::Connect(Arc::from(listener), far));
        }
        near
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Live> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// What each of `count` cores is to do to run by `snapshot`. Opens the sockets that are
    /// missing.
    fn plan(&mut self, snapshot: &Arc<Snapshot>, count: usize) -> Result<Vec<Plan>, Problems> {
        let mut sockets: HashMap<Bind, Opened> = HashMap::new();
        let mut problems = Problems::new();
        for (number, listener) in snapshot.listeners.iter().enumerate() {
            if self.listeners.contains_key(&listener.bind) {
                continue;
            }
            match socket::take(&*self.keeper, Role::Listener, &listener.bind, count) {
                Ok(opened) => drop(sockets.insert(listener.bind.clone(), opened)),
                Err(error) => problems.push(problem(number, &listener.bind, &error)),
            }
        }
        let observed = self.observer.follow(snapshot).map_err(|wrong| {
            let root = base::Pointer::root();
            problems.extend(wrong.into_iter().map(|what| Problem::new(&root, what)));
        });
        let (true, Ok(observed)) = (problems.is_empty(), observed) else {
            let new = sockets.iter().filter(|(_, opened)| !opened.kept);
            new.for_each(|(bind, _)| socket::clean_up(bind));
            return Err(problems);
        };
        self.observer.overload.follow(&snapshot.limits);
        for (bind, opened) in &sockets {
            let address = opened.sockets.first().and_then(Listening::address);
            if opened.inherited {
                self.inherited.push(bind.clone());
            }
            if !opened.kept {
                keep(&*self.keeper, Role::Listener, bind, &opened.sockets);
            }
            self.bound.insert(bind.clone(), address.unwrap_or_else(|| bind.clone()));
            self.listeners.insert(bind.clone(), Arc::default());
        }
        let stays = |bind: &Bind| snapshot.listeners.iter().any(|known| known.bind == *bind);
        for gone in self.listeners.keys().filter(|bind| !stays(bind)) {
            self.keeper.release(Role::Listener, gone);
            socket::clean_up(gone);
        }
        self.listeners.retain(|bind, _| stays(bind));
        self.bound.retain(|bind, _| stays(bind));
        let upstreams = self.fleet.apply(snapshot);
        let deal = |(bind, opened): (Bind, Opened)| (bind, socket::deal(opened.sockets, count));
        let mut sockets = sockets.into_iter().map(deal).collect();
        let plan = |_| Plan {
            snapshot: snapshot.clone(),
            observed: observed.clone(),
            upstreams: upstreams.clone(),
            doors: self.doors(snapshot, &mut sockets),
        };
        Ok((0..count).map(plan).collect())
    }

    /// One core's doors, with a socket for each that is new.
    fn doors(
        &self,
        snapshot: &Snapshot,
        sockets: &mut HashMap<Bind, Vec<Vec<Listening>>>,
    ) -> Vec<DoorPlan> {
        let door = |listener: &Arc<snapshot::Listener>| DoorPlan {
            listener: listener.clone(),
            open: self.listeners.get(&listener.bind).cloned().unwrap_or_default(),
            series: self.observer.metrics.listener(&listener.name),
            sockets: sockets.get_mut(&listener.bind).and_then(Vec::pop).unwrap_or_default(),
        };
        snapshot.listeners.iter().map(door).collect()
    }
}

fn problem(number: usize, bind: &Bind, error: &io::Error) -> Problem {
    let at = base::Pointer::root().key("listeners").index(number).key("bind");
    let problem = Problem::new(&at, format!("can't listen on {bind}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            problem.hint("another process has it: stop that one, or use another address")
        }
        io::ErrorKind::PermissionDenied => {
            problem.hint("use a port above 1023, or give the process CAP_NET_BIND_SERVICE")
        }
        _ => problem,
    }
}
