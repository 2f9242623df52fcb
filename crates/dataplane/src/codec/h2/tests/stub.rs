//! What stands in for the engine behind the client's side.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::Clock;
use bytes::Bytes;
use config::v1::{DotSegments, DoubleSlash, EncodedSlash, Paths, Semicolon};
use policy::{Connection, Exchange, Refusal};
use snapshot::Limits;
use tokio::io::DuplexStream;
use tokio::task::{JoinHandle, spawn_local};

use crate::accept::io::Io;
use crate::codec::h2::answer::Asker;
use crate::codec::h2::server::{Service, run};
use crate::deadline::Timers;
use crate::observe::metrics::http2::{End as Ending, Reset};

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub complete: bool,
}

/// Serves by a function.
pub(super) struct Stub<H> {
    handler: H,
    limits: Limits,
    connection: Arc<Connection>,
    timers: Rc<Timers>,
    pub closing: Cell<bool>,
    waker: Cell<Option<Waker>>,
    pub ends: RefCell<Vec<End>>,
    pub ended: Cell<Option<Ending>>,
}

pub(super) const LIMITS: Limits = Limits {
    header_bytes: 2048,
    header_count: 20,
    header_timeout: Duration::from_secs(10),
    header_rate: 500,
    body_idle_timeout: Duration::from_secs(30),
    body_rate: 1024,
    keep_alive: Duration::from_secs(60),
    tls_handshake_timeout: Duration::from_secs(10),
    connections: 10,
    requests_per_connection: 10_000,
    http2_streams: 10,
    http2_resets: 50,
    http2_control_frames: 1_000,
    body_bytes: 1 << 20,
    paths: Paths {
        version: 1,
        encoded_slash: EncodedSlash::Refuse,
        double_slash: DoubleSlash::Merge,
        dot_segments: DotSegments::Remove,
        semicolon: Semicolon::Keep,
    },
};

impl<H> Stub<H> {
    /// The connection is to end.
    pub fn close(&self) {
        self.closing.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl<H> Service for Stub<H>
where
    H: AsyncFn(&mut Exchange, &mut Asker, Option<Refusal>) + 'static,
{
    fn limits(&self) -> Limits {
        self.limits
    }

    fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn timers(&self) -> &Rc<Timers> {
        &self.timers
    }

    fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closing.get() {
            return Poll::Ready(());
        }
        self.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn begin(&self) -> Box<Exchange> {
        Box::new(Exchange::new(self.connection.clone(), 0))
    }

    async fn serve(&self, x: &mut Exchange, client: &mut Asker, refused: Option<Refusal>) {
        (self.handler)(x, client, refused).await;
    }

    fn end(&self, x: Box<Exchange>) {
        let Exchange { bytes_in, bytes_out, complete, .. } = *x;
        self.ends.borrow_mut().push(End { bytes_in, bytes_out, complete });
    }

    fn reset(&self, _: Reset, _: u32) {}

    fn ended(&self, ending: Ending) {
        self.ended.set(Some(ending));
    }
}

/// A connection served by `handler`: the stub, the client's end, and the task that serves it.
pub(super) fn serve<H>(clock: Clock, handler: H) -> (Rc<Stub<H>>, DuplexStream, JoinHandle<()>)
where
    H: AsyncFn(&mut Exchange, &mut Asker, Option<Refusal>) + 'static,
{
    serve_rest(clock, b"", handler)
}

/// The same; `read` was read of the connection already.
pub(super) fn serve_rest<H>(
    clock: Clock,
    read: &'static [u8],
    handler: H,
) -> (Rc<Stub<H>>, DuplexStream, JoinHandle<()>)
where
    H: AsyncFn(&mut Exchange, &mut Asker, Option<Refusal>) + 'static,
{
    let (near, far) = tokio::io::duplex(1 << 20);
    let stub = Rc::new(Stub {
        handler,
        limits: LIMITS,
        connection: Arc::new(Connection {
            listener: "web".into(),
            peer: None,
            local: None,
            tls: None,
        }),
        timers: Timers::new(clock),
        closing: Cell::default(),
        waker: Cell::default(),
        ends: RefCell::default(),
        ended: Cell::default(),
    });
    let task = spawn_local(run(stub.clone(), Io::Memory(near), Bytes::from_static(read)));
    (stub, far, task)
}

/// Lets `by` pass, for the runtime's timers and for `clock`.
pub(super) async fn pass(clock: &Clock, by: Duration) {
    // A timer that fires early is set again: the clock goes first.
    clock.advance(by);
    tokio::time::sleep(by + Duration::from_millis(10)).await;
}
