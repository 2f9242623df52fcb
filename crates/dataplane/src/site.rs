//! A core at work: what it shares, and the doors its connections come by. Runs on whatever thread
//! and runtime it is made.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::Duration;

use base::Clock;
use snapshot::{Bind, Listener, Snapshot};
use tokio::io::DuplexStream;
use tokio::task::spawn_local;

use crate::accept::door::Door;
use crate::accept::io::Plain;
use crate::accept::socket::Listening;
use crate::accept::{self, Arrival};
use crate::core::{Core, Running};
use crate::deadline::Deadline;
use crate::forward::{self, SharedUpstream, Upstream};
use crate::observe::Observed;
use crate::observe::metrics::ListenerSeries;
use crate::overload;

/// Time between two looks at idle connections.
const SWEEP: Duration = Duration::from_secs(5);

/// Time in which the idle connections of a listener that is gone leave.
const SPREAD: Duration = Duration::from_secs(5);

/// Time to tell those who are cut off.
const LAST: Duration = Duration::from_secs(1);

/// Wait between two looks whether they have gone.
const LOOK: Duration = Duration::from_millis(5);

/// What a core is to run by, with its own share of new sockets.
pub(crate) struct Plan {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// What observes its exchanges.
    pub observed: Arc<Observed>,
    /// Its upstreams as all cores see them.
    pub upstreams: Vec<Arc<SharedUpstream>>,
    /// Its listeners, in its order.
    pub doors: Vec<DoorPlan>,
}

/// A listener of a plan.
pub(crate) struct DoorPlan {
    /// The listener.
    pub listener: Arc<Listener>,
    /// Counts its connections over all cores.
    pub open: Arc<AtomicUsize>,
    /// Its metrics.
    pub series: Arc<ListenerSeries>,
    /// Its sockets, if it is new.
    pub sockets: Vec<Listening>,
}

/// A core at work.
pub(crate) struct Site {
    core: Rc<Core>,
    /// The doors of the snapshot, by the address they stand at.
    doors: RefCell<Vec<(Bind, Rc<Door>)>>,
    /// Doors that are gone from it and still have connections.
    leaving: RefCell<Vec<Rc<Door>>>,
}

impl Site {
    /// Core number `number`, which starts with `plan`. Tasks run on the current runtime.
    pub fn new(number: usize, clock: Clock, plan: Plan) -> Self {
        let first = running(&plan, &[], &clock);
        let core = Rc::new(Core::new(number, clock, first));
        let site = Self { core, doors: RefCell::default(), leaving: RefCell::default() };
        site.open_doors(plan.doors);
        spawn_local(sweep(site.core.clone()));
        spawn_local(overload::follow(site.core.clone()));
        site
    }

    /// Runs by `plan` from now on.
    pub fn swap(&self, plan: Plan) {
        let before = self.core.running();
        self.core.swap(running(&plan, &before.upstreams, &self.core.clock));
        self.open_doors(plan.doors);
    }

    /// Lets connections in by these sockets of its doors.
    pub fn open(&self, sockets: Vec<(Bind, Vec<Listening>)>) {
        for (bind, sockets) in sockets {
            let doors = self.doors.borrow();
            let door = doors.iter().find(|(known, _)| *known == bind).map(|(_, door)| door.clone());
            if let Some(door) = door {
                self.accept(&door, sockets);
            }
        }
    }

    fn accept(&self, door: &Rc<Door>, sockets: Vec<Listening>) {
        for socket in sockets {
            spawn_local(accept::run(self.core.clone(), door.clone(), socket));
        }
    }

    /// Serves an in-memory connection as one of the listener of this name.
    pub fn connect(&self, name: &str, stream: DuplexStream) {
        let doors = self.doors.borrow();
        let door = doors.iter().map(|(_, door)| door).find(|door| *door.listener().name == *name);
        if let Some(door) = door {
            let arrival = Arrival { plain: Plain::Memory(stream), peer: None, local: None };
            accept::welcome(&self.core, door, arrival);
        }
    }

    /// Looks anew at who may stay: memory is short, or no longer.
    pub fn press(&self) {
        self.doors.borrow().iter().for_each(|(_, door)| door.wake());
        self.leaving.borrow().iter().for_each(|door| door.wake());
    }

    /// From now on what is ready waits for this long, whatever is measured.
    pub fn pretend_lag(&self, lag: Duration) {
        self.core.lag.tell(lag);
    }

    /// Closes every door and waits until all who are inside have left, or `grace` is over.
    pub async fn drain(&self, grace: Duration) {
        self.core.drain();
        let mut all = self.leaving.take();
        all.extend(self.doors.take().into_iter().map(|(_, door)| door));
        let now = self.core.timers.now();
        for door in &all {
            door.close(now.after(grace / 4));
        }
        self.core.running().upstreams.iter().for_each(|upstream| upstream.close_idle());
        let mut deadline = Deadline::after(&self.core.timers, grace);
        let empty = poll_fn(|cx| {
            let left: usize = all.iter().map(|door| door.poll_len(cx)).sum();
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        if deadline.within(empty).await.is_err() {
            let left: usize = all.iter().map(|door| door.len()).sum();
            tracing::warn!(
                core = self.core.number,
                connections = left,
                exchanges = self.core.exchanges(),
                "the grace is over, cutting off"
            );
            self.cut(&all).await;
        }
    }

    /// Ends what still runs behind these doors, and waits until it has: each exchange is recorded,
    /// and told where that can be.
    async fn cut(&self, all: &[Rc<Door>]) {
        self.core.cut();
        all.iter().for_each(|door| door.cut());
        let mut deadline = Deadline::after(&self.core.timers, LAST);
        let ended = async {
            while self.core.exchanges() > 0 || all.iter().any(|door| door.len() > 0) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if deadline.within(ended).await.is_err() {
            tracing::warn!(core = self.core.number, "some exchanges end without a word");
        }
    }

    /// Opens the doors that are new, changes those that stay, closes those that are gone.
    fn open_doors(&self, plans: Vec<DoorPlan>) {
        let before = self.doors.take();
        let mut now = Vec::with_capacity(plans.len());
        for DoorPlan { listener, open, series, sockets } in plans {
            let bind = listener.bind.clone();
            let stays =
                before.iter().find(|(known, _)| *known == bind).map(|(_, door)| door.clone());
            let door = match stays {
                Some(door) if sockets.is_empty() => {
                    door.change(listener);
                    door
                }
                _ => Door::new(listener, open, series),
            };
            self.accept(&door, sockets);
            now.push((bind, door));
        }
        for (_, gone) in &before {
            if !now.iter().any(|(_, door)| Rc::ptr_eq(door, gone)) {
                gone.close(self.core.timers.now().after(SPREAD));
                self.leaving.borrow_mut().push(gone.clone());
            }
        }
        self.leaving.borrow_mut().retain(|door| door.len() > 0);
        self.doors.replace(now);
    }
}

/// Closes connections to upstreams that have been idle for too long.
async fn sweep(core: Rc<Core>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let now = core.timers.now();
        core.running().upstreams.iter().for_each(|upstream| upstream.sweep(now));
    }
}

/// This core's side of a plan; connections to upstreams that stay are taken over from `before`.
fn running(plan: &Plan, before: &[Rc<Upstream>], clock: &Clock) -> Rc<Running> {
    Rc::new(Running {
        snapshot: plan.snapshot.clone(),
        observed: plan.observed.clone(),
        upstreams: forward::upstreams(&plan.upstreams, before, clock),
    })
}
