//! A serving process's side of its supervisor: sockets, orders, and signs of life.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dataplane::{Keeper, Pulse, Role};
use rustix::io::{FdFlags, fcntl_setfd};
use snapshot::Bind;
use tokio::sync::mpsc;

use crate::supervise::{FORMAT, Link, Order, Place, Purpose, SOCKETS_MAX, Said, Start, short};

/// Time between two signs of life.
const BEAT: Duration = Duration::from_millis(500);

/// Time the supervisor gets to let go of a socket.
const PATIENCE: Duration = Duration::from_secs(10);

/// The supervisor, to one who serves.
pub struct Served {
    link: Arc<Link>,
    kept: Mutex<HashMap<Place, Vec<OwnedFd>>>,
    /// Places whose sockets are known by another one now.
    renamed: Mutex<Vec<Place>>,
    released: Mutex<blocking::Receiver<Place>>,
}

/// What comes from the supervisor while this process serves. It ends when the supervisor does.
pub type Orders = mpsc::UnboundedReceiver<Order>;

impl Served {
    /// Meets the supervisor that is behind this descriptor: takes its sockets, and how to start.
    ///
    /// # Errors
    /// It is gone, or none.
    pub fn meet(fd: RawFd) -> io::Result<(Arc<Self>, Start, Orders)> {
        // SAFETY: the supervisor opened it for this process and named it once.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        // Started by a link below /proc, it would be known by the name of that.
        rustix::thread::set_name(c"gateward")?;
        let link = Arc::new(Link::inherited(fd)?);
        let mut kept: HashMap<Place, Vec<OwnedFd>> = HashMap::new();
        let start = loop {
            match link.receive()?.ok_or(io::ErrorKind::UnexpectedEof)? {
                (Order::Kept(place), sockets) => kept.entry(place).or_default().extend(sockets),
                (Order::Start(start), _) => break start,
                _ => {}
            }
        };
        let (orders, ordered) = mpsc::unbounded_channel();
        let (releases, released) = blocking::channel();
        let heard = link.clone();
        thread::Builder::new()
            .name("gateward-orders".into())
            .spawn(move || listen(&heard, &orders, &releases))?;
        let (kept, released) = (Mutex::new(kept), Mutex::new(released));
        Ok((Arc::new(Self { link, kept, renamed: Mutex::default(), released }), start, ordered))
    }

    /// Says something; a supervisor that is gone does not hear it.
    pub fn say(&self, what: &Said) {
        if let Err(error) = self.link.send(what, &[]) {
            tracing::warn!("the supervisor does not hear: {error}");
        }
    }

    /// Why this process can't start.
    pub fn failed(&self, why: String) {
        self.say(&Said::Failed(short(why)));
    }

    /// It serves. Sockets that the document has no use for are let go, and from now on the
    /// supervisor hears that it lives.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn ready(&self, pulse: Pulse) -> io::Result<()> {
        self.say(&Said::Ready { format: FORMAT });
        for place in std::mem::take(&mut *lock(&self.kept)).into_keys() {
            if place.purpose == Purpose::Any {
                tracing::warn!("no listener stands at {}, where systemd gave a socket", place.bind);
            }
            self.say(&Said::Release(place));
        }
        for place in std::mem::take(&mut *lock(&self.renamed)) {
            self.say(&Said::Release(place));
        }
        let link = self.link.clone();
        let beat = move || {
            loop {
                match link.try_send(&Said::Beat(pulse.read()), &[]) {
                    // A supervisor that takes nothing now may do so later.
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                    _ => thread::sleep(BEAT),
                }
            }
        };
        thread::Builder::new().name("gateward-pulse".into()).spawn(beat).map(drop)
    }
}

impl Keeper for Served {
    fn take(&self, role: Role, bind: &Bind) -> Vec<OwnedFd> {
        let mut place = Place::new(role, bind);
        let sockets = lock(&self.kept).remove(&place);
        if let Some(sockets) = sockets {
            return sockets;
        }
        place.purpose = Purpose::Any;
        let Some(sockets) = lock(&self.kept).remove(&place) else { return Vec::new() };
        // From now on they are known by what they turned out to be for.
        let borrowed: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        self.keep(role, bind, &borrowed);
        lock(&self.renamed).push(place);
        sockets
    }

    fn keep(&self, role: Role, bind: &Bind, sockets: &[BorrowedFd<'_>]) {
        for (number, some) in sockets.chunks(SOCKETS_MAX).enumerate() {
            let said = Said::Keep { place: Place::new(role, bind), first: number == 0 };
            if let Err(error) = self.link.send(&said, some) {
                tracing::error!("{bind} is not kept for the next process: {error}");
            }
        }
    }

    fn release(&self, role: Role, bind: &Bind) {
        let place = Place::new(role, bind);
        self.say(&Said::Release(place.clone()));
        let released = lock(&self.released);
        while released.recv_timeout(PATIENCE).is_ok_and(|done| done != place) {}
    }
}

/// Hears the supervisor out, until it is gone.
fn listen(link: &Link, orders: &mpsc::UnboundedSender<Order>, releases: &blocking::Sender<Place>) {
    loop {
        match link.receive() {
            Ok(Some((Order::Released(place), _))) => drop(releases.send(place)),
            Ok(Some((order, _))) => drop(orders.send(order)),
            Ok(None) => return,
            Err(error) => tracing::error!("an order is not understood: {error}"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
