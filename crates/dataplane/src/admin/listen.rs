//! The socket, the thread, the connections.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use snapshot::Bind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::Instance;
use super::answer::answer;
use super::guard::Place;
use crate::accept::keeper::{Keeper, Role, keep};
use crate::accept::socket::{self, Listening};

/// Connections at once; more wait in the kernel.
const CONNECTIONS: usize = 64;

/// Time to receive a request's head, and between two requests.
const HEAD: Duration = Duration::from_secs(15);

/// Time a connection lives at most, so that none holds a place for ever.
const LIFE: Duration = Duration::from_secs(300);

/// Time for the last answers, once it has closed.
const LAST: Duration = Duration::from_secs(1);

/// Wait after a failed accept: usually there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// A running admin listener. Dropping it closes it.
#[derive(Debug)]
pub struct Admin {
    bind: Bind,
    _stop: oneshot::Sender<()>,
}

impl Admin {
    /// Where it listens: the port it got, where any would do.
    pub const fn bind(&self) -> &Bind {
        &self.bind
    }
}

/// Serves the admin pages of `instance` at `bind` until what is returned is dropped. `keeper` may
/// have its socket.
///
/// # Errors
/// The address can't be listened on, or no thread be started.
pub fn serve(bind: &Bind, instance: Arc<dyn Instance>, keeper: &dyn Keeper) -> io::Result<Admin> {
    let mut opened = socket::take(keeper, Role::Admin, bind, 1)?;
    if !opened.kept {
        keep(keeper, Role::Admin, bind, &opened.sockets);
    }
    let listening = opened.sockets.pop().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let bind = match &listening {
        Listening::Tcp(socket) => Bind::Tcp(socket.local_addr()?),
        Listening::Unix(_) => bind.clone(),
    };
    let place = Place::of(&bind);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel();
    thread::Builder::new().name("gateward-admin".into()).spawn(move || {
        runtime.block_on(async {
            let places = Arc::new(Semaphore::new(CONNECTIONS));
            tokio::select! {
                _ = stopped => {}
                Err(error) = accept(listening, &place, &instance, &places) => {
                    tracing::error!("the admin listener has stopped: {error}");
                }
            }
            // Who is being answered gets the answer.
            let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
            let _ = timeout(LAST, places.acquire_many(all)).await;
        });
    })?;
    Ok(Admin { bind, _stop: stop })
}

/// Accepts for ever; fails only if the socket is of no use to the runtime.
async fn accept(
    listening: Listening,
    place: &Place,
    instance: &Arc<dyn Instance>,
    places: &Arc<Semaphore>,
) -> io::Result<Infallible> {
    match listening {
        Listening::Tcp(socket) => {
            let socket = TcpListener::from_std(socket)?;
            loop {
                let permit = free(places).await?;
                match socket.accept().await {
                    Ok((stream, peer)) => {
                        let place = place.seen_from(peer.ip());
                        tokio::spawn(connection(stream, place, instance.clone(), permit));
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
        }
        Listening::Unix(socket) => {
            let socket = UnixListener::from_std(socket)?;
            loop {
                let permit = free(places).await?;
                match socket.accept().await {
                    Ok((stream, _)) => {
                        let place = place.clone();
                        tokio::spawn(connection(stream, place, instance.clone(), permit));
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
        }
    }
}

async fn free(places: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    places.clone().acquire_owned().await.map_err(io::Error::other)
}

async fn connection<S>(
    stream: S,
    place: Place,
    instance: Arc<dyn Instance>,
    permit: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request| {
        let (place, instance) = (&place, &*instance);
        async move { Ok::<_, Infallible>(answer(request, place, instance).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    // A client that leaves or breaks HTTP, or stays too long: nobody needs to know.
    let _ = timeout(LIFE, served).await;
    drop(permit);
}
