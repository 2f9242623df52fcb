//! An upstream that misbehaves as a test tells it, over real sockets: what it does about each
//! request is a script of steps, from the moment the request's head is there. It keeps what it was
//! asked, and counts how often each request was carried out, by the field `x-nonce`.

mod tls;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

use crate::message::{self, Message};
pub use tls::{Identity, TlsFault};
use wire::Wire;

/// How long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A step of what an upstream does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads the rest of the request: from here on it counts as carried out.
    Read,
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Sends these bytes one by one, with this pause between two.
    Trickle(Vec<u8>, Duration),
    /// Sends these bytes so many times over.
    Repeat(Vec<u8>, u64),
    /// Waits until more has come from the peer, and leaves it unread.
    Arrival,
    /// Does nothing for this long.
    Pause(Duration),
    /// Waits until the test lets it go on.
    Hold(Arc<Notify>),
    /// Does nothing until the peer has left.
    Stall,
    /// Ends its own direction; goes on listening.
    HalfClose,
    /// Closes the connection.
    Close,
    /// Resets the connection (RST).
    Reset,
}

/// The steps of one request. After the last the next request is read.
pub type Script = Vec<Step>;

/// A request, as far as it was heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Requests heard before it.
    pub number: usize,
    /// Which connection it came by, from 0.
    pub connection: usize,
    /// Requests that came by the same connection before it.
    pub before: usize,
    message: Message,
}

impl Heard {
    /// The request line.
    pub fn line(&self) -> &str {
        &self.message.start
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.line().split(' ').next().unwrap_or_default()
    }

    /// The target.
    pub fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The first value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.message.values(name).first().copied()
    }

    /// The body; none before it was read.
    pub fn body(&self) -> &[u8] {
        &self.message.body
    }
}

type Plan = dyn Fn(&Heard) -> Script + Send + Sync;

/// A running upstream. Lives on the runtime it was started on.
#[derive(Clone)]
pub struct Evil {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    heard: Mutex<Vec<Heard>>,
    executions: Mutex<HashMap<String, usize>>,
    connections: AtomicUsize,
    left: AtomicUsize,
    bytes_in: AtomicUsize,
    bytes_out: AtomicUsize,
    change: Notify,
}

impl Evil {
    /// An upstream that does about each request what `plan` says, by its head.
    pub async fn start(plan: impl Fn(&Heard) -> Script + Send + Sync + 'static) -> Self {
        Self::serve(TlsFault::None, plan).await
    }

    /// One that does by path: the script of the first path that the request's starts with, and 200
    /// for all others.
    pub async fn by_path(scripts: Vec<(&'static str, Script)>) -> Self {
        Self::start(move |heard| {
            let found = scripts.iter().find(|(path, _)| heard.path().starts_with(path));
            found.map_or_else(|| answer(200, "", "fine"), |(_, script)| script.clone())
        })
        .await
    }

    /// One that answers every request with 200 and this body.
    pub async fn good(body: &'static str) -> Self {
        Self::start(move |_| answer(200, "", body)).await
    }

    /// One that speaks TLS, or something that is none.
    pub async fn tls(
        fault: TlsFault,
        plan: impl Fn(&Heard) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::serve(fault, plan).await
    }

    /// One that takes connections at every address of the machine.
    pub async fn everywhere(plan: impl Fn(&Heard) -> Script + Send + Sync + 'static) -> Self {
        Self::listen(([0, 0, 0, 0], 0).into(), TlsFault::None, plan).await
    }

    async fn serve(
        fault: TlsFault,
        plan: impl Fn(&Heard) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::listen(([127, 0, 0, 1], 0).into(), fault, plan).await
    }

    async fn listen(
        at: SocketAddr,
        fault: TlsFault,
        plan: impl Fn(&Heard) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let evil = Self { address, seen: Arc::default() };
        let (seen, plan): (_, Arc<Plan>) = (evil.seen.clone(), Arc::new(plan));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = seen.connections.fetch_add(1, SeqCst);
                seen.change.notify_waiters();
                let (seen, plan, fault) = (seen.clone(), plan.clone(), fault.clone());
                tokio::spawn(async move {
                    stream.set_nodelay(true).expect("a socket");
                    if let Some(wire) = fault.greet(stream, &seen.bytes_in).await {
                        converse(wire, number, &seen, &*plan).await;
                    }
                    seen.left.fetch_add(1, SeqCst);
                    seen.change.notify_waiters();
                });
            }
        });
        evil
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.address.port())
    }

    /// The requests it heard. One whose body it has not read yet is without body.
    pub fn heard(&self) -> Vec<Heard> {
        locked(&self.seen.heard).clone()
    }

    /// How many.
    pub fn requests(&self) -> usize {
        locked(&self.seen.heard).len()
    }

    /// How often requests were carried out, by nonce.
    pub fn executions(&self) -> HashMap<String, usize> {
        locked(&self.seen.executions).clone()
    }

    /// Connections made to it.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    /// Connections that have ended.
    pub fn left(&self) -> usize {
        self.seen.left.load(SeqCst)
    }

    /// Bytes it was sent, before or instead of requests: within or after a failed TLS handshake.
    pub fn bytes_in(&self) -> usize {
        self.seen.bytes_in.load(SeqCst)
    }

    /// Bytes of scripts that the system took from it.
    pub fn bytes_out(&self) -> usize {
        self.seen.bytes_out.load(SeqCst)
    }

    /// Waits until this is true of it, which may change with each connection, request and end.
    ///
    /// # Panics
    /// It does not come to that for a minute.
    pub async fn until(&self, enough: impl Fn(&Self) -> bool) {
        let waits = async {
            loop {
                let change = self.seen.change.notified();
                if enough(self) {
                    return;
                }
                change.await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.expect("it comes to that");
    }
}

/// A whole answer: status, further lines (each ended by CRLF), body.
pub fn response(status: u16, lines: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{lines}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The script that reads the request and gives this answer.
pub fn answer(status: u16, lines: &str, body: &str) -> Script {
    vec![Step::Read, Step::Say(response(status, lines, body))]
}

/// The script that reads the request, says these bytes, and then nothing more.
pub fn stalling(bytes: &str) -> Script {
    vec![Step::Read, Step::Say(bytes.into()), Step::Stall]
}

/// An address that takes no connection and refuses none: its queue is full. Lives as long as what
/// is returned with it.
pub async fn black_hole() -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(0).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let mut queued = Vec::new();
    loop {
        let connecting = TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_secs(1), connecting).await {
            Ok(stream) => queued.push(stream.expect("a place in the queue")),
            Err(_) => return (address, (listener, queued)),
        }
    }
}

async fn converse(mut wire: Wire, connection: usize, seen: &Seen, plan: &Plan) {
    let mut held = Vec::new();
    for before in 0.. {
        let Some(message) = message::head(&mut wire, &mut held).await else { return };
        let heard = {
            let mut all = locked(&seen.heard);
            let heard = Heard { number: all.len(), connection, before, message };
            all.push(heard.clone());
            heard
        };
        seen.change.notify_waiters();
        for step in plan(&heard) {
            let stays = match step {
                Step::Read => read(&mut wire, &mut held, &heard, seen).await,
                step => play(step, &mut wire, seen).await,
            };
            if stays.is_none() {
                return;
            }
        }
    }
}

/// Reads a request's body; from then on the request has been carried out.
async fn read(wire: &mut Wire, held: &mut Vec<u8>, heard: &Heard, seen: &Seen) -> Option<()> {
    let body = message::body(wire, held, &heard.message, false).await?;
    if let Some(nonce) = heard.value("x-nonce") {
        *locked(&seen.executions).entry(nonce.to_owned()).or_default() += 1;
    }
    if let Some(known) = locked(&seen.heard).get_mut(heard.number) {
        known.message.body = body;
    }
    seen.change.notify_waiters();
    Some(())
}

/// Does a step; none if the connection is over.
async fn play(step: Step, wire: &mut Wire, seen: &Seen) -> Option<()> {
    match step {
        Step::Read => {}
        Step::Say(bytes) => say(wire, &bytes, seen).await?,
        Step::Trickle(bytes, pause) => {
            for byte in bytes {
                say(wire, &[byte], seen).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Step::Repeat(bytes, times) => {
            for _ in 0..times {
                say(wire, &bytes, seen).await?;
            }
        }
        Step::Arrival => {
            wire.socket().peek(&mut [0]).await.ok()?;
        }
        Step::Pause(time) => tokio::time::sleep(time).await,
        Step::Hold(until) => until.notified().await,
        Step::Stall => {
            while wire.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {}
            return None;
        }
        Step::HalfClose => wire.shutdown().await.ok()?,
        Step::Close => return None,
        Step::Reset => {
            wire.socket().set_zero_linger().expect("a socket");
            return None;
        }
    }
    Some(())
}

async fn say(wire: &mut Wire, bytes: &[u8], seen: &Seen) -> Option<()> {
    let mut left = bytes;
    while !left.is_empty() {
        let taken = wire.write(left).await.ok().filter(|taken| *taken > 0)?;
        seen.bytes_out.fetch_add(taken, SeqCst);
        left = left.get(taken..).unwrap_or_default();
    }
    wire.flush().await.ok()
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
