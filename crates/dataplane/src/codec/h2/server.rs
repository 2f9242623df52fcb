//! HTTP/2 towards clients: one connection, from its preface to its last stream.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use policy::message::Body;
use policy::{Connection, Exchange, Refusal};
use snapshot::Limits;
use tokio::task::spawn_local;

use super::answer::Asker;
use super::incoming::{Incoming, Watch};
use super::request;
use crate::accept::io::Io;
use crate::codec::rewind::Rewind;
use crate::deadline::{Deadline, Timers};

/// Bytes of one request's body a client may send ahead of its reader.
const STREAM_WINDOW: u32 = 64 << 10;

/// Bytes of all bodies of a connection a client may send ahead of their readers.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Bytes of one stream that wait in the h2 crate to be written.
const SEND_BUFFER: usize = 64 << 10;

/// Streams a client reset before they were even looked at; more end the connection.
const UNSEEN_RESETS_MAX: usize = 20;

/// Streams the h2 crate had to reset because of what the client did; more end the connection.
const FAULTS_MAX: usize = 256;

/// Requests a client took back before their answer, from which on it may not be most of them
/// (CVE-2023-44487).
const PREMATURE_MIN: u64 = 100;

/// Time for a client to close a connection on which nothing runs any more, after GOAWAY.
const LINGER: Duration = Duration::from_secs(5);

/// Who serves a connection's requests.
#[allow(async_fn_in_trait, reason = "futures stay on their core")]
pub(crate) trait Service: 'static {
    /// The listener's bounds, as they are now.
    fn limits(&self) -> Limits;

    /// The connection.
    fn connection(&self) -> &Arc<Connection>;

    /// The core's timers.
    fn timers(&self) -> &Rc<Timers>;

    /// Ready once the connection is to end: the instance or the listener goes.
    fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether the connection is to end now, whatever runs on it. Its task is woken when that
    /// changes.
    fn is_cut(&self) -> bool {
        false
    }

    /// An exchange for a request that has just come.
    fn begin(&self) -> Box<Exchange>;

    /// Serves a request, or refuses it for what is known already. The answer goes to `client`.
    async fn serve(&self, x: &mut Exchange, client: &mut Asker, refused: Option<Refusal>);

    /// Takes an exchange back.
    fn end(&self, x: Box<Exchange>);
}

/// Serves a connection until it ends. `read`: what was read of it already.
pub(crate) async fn run<S: Service>(service: Rc<S>, io: Io, read: Bytes) {
    let limits = service.limits();
    let mut deadline = Deadline::after(service.timers(), limits.header_timeout);
    let handshake = builder(&limits).handshake(Rewind::new(io, read));
    let h2 = match deadline.within(handshake).await {
        Ok(Ok(h2)) => h2,
        Ok(Err(error)) => return tracing::debug!(%error, "no HTTP/2 handshake"),
        Err(_) => return tracing::debug!("no HTTP/2 handshake in time"),
    };
    let mut server =
        Server { h2, service, tally: Rc::default(), deadline, closing: false, cut: false };
    poll_fn(|cx| server.poll(cx)).await;
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(request::advertised(limits))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .max_local_error_reset_streams(Some(FAULTS_MAX))
        .enable_connect_protocol();
    builder
}

/// What a connection's streams have come to.
#[derive(Default)]
struct Tally {
    running: Cell<usize>,
    begun: Cell<u64>,
    premature: Cell<u64>,
}

/// A stream that runs.
struct Place(Rc<Tally>);

impl Place {
    fn take(tally: &Rc<Tally>) -> Self {
        tally.running.set(tally.running.get() + 1);
        tally.begun.set(tally.begun.get() + 1);
        Self(tally.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get().saturating_sub(1));
    }
}

/// A client's connection.
struct Server<S> {
    h2: h2::server::Connection<Rewind<Io>, Bytes>,
    service: Rc<S>,
    tally: Rc<Tally>,
    /// While no stream runs: until when that may last.
    deadline: Deadline,
    /// GOAWAY was sent.
    closing: bool,
    /// It was cut off.
    cut: bool,
}

impl<S: Service> Server<S> {
    /// Takes requests and carries what their answers write; ready when the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.start(request, respond);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "an HTTP/2 connection broke");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            if self.service.is_cut() && !self.cut {
                self.cut = true;
                self.closing = true;
                // GOAWAY says up to which stream requests were taken; those above may be sent
                // again.
                self.h2.abrupt_shutdown(Reason::NO_ERROR);
                continue;
            }
            if !self.closing {
                if self.is_abused() {
                    self.closing = true;
                    self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                    continue;
                }
                if self.service.poll_closing(cx).is_ready() {
                    self.close();
                    continue;
                }
            }
            if self.tally.running.get() > 0 {
                self.deadline.clear();
                return Poll::Pending;
            }
            if !self.deadline.is_set() {
                self.deadline.set_after(match self.closing {
                    true => LINGER,
                    false => self.service.limits().keep_alive,
                });
            }
            if self.deadline.poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.closing {
                return Poll::Ready(());
            }
            self.close();
        }
    }

    /// Sends GOAWAY in two steps: first that no more requests are welcome, then, a round trip
    /// later, which was the last that was taken. Those run to their end.
    fn close(&mut self) {
        self.closing = true;
        self.deadline.clear();
        self.h2.graceful_shutdown();
    }

    /// Whether the client does little but start requests and take them back.
    fn is_abused(&self) -> bool {
        let premature = self.tally.premature.get();
        premature >= PREMATURE_MIN && premature * 2 > self.tally.begun.get()
    }

    fn start(&self, request: http::Request<RecvStream>, respond: SendResponse<Bytes>) {
        let place = Place::take(&self.tally);
        // Boxed: a task moves what it runs several times, and this is large.
        spawn_local(Box::pin(serve(self.service.clone(), place, request, respond)));
    }
}

/// Serves one stream.
async fn serve<S: Service>(
    service: Rc<S>,
    place: Place,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let mut x = service.begin();
    let limits = service.limits();
    let (head, stream) = request.into_parts();
    x.body_limit = limits.body_bytes;
    let secure = service.connection().tls.is_some();
    let read = request::read(&head, &limits, secure, &mut x.request);
    drop(head);
    let mut asker = Asker::new(respond, service.timers(), limits.body_idle_timeout);
    let refused = match read {
        Ok(length) => {
            take_body(stream, length, &limits, &service, &mut x, &mut asker);
            None
        }
        Err(refusal) => Some(refusal),
    };
    service.serve(&mut x, &mut asker, refused).await;
    if asker.is_gone() {
        place.0.premature.set(place.0.premature.get() + 1);
    }
    service.end(x);
}

/// Gives the request its body, at once if it came with the head; or the tunnel its other half.
fn take_body<S: Service>(
    stream: RecvStream,
    length: Option<u64>,
    limits: &Limits,
    service: &Rc<S>,
    x: &mut Exchange,
    asker: &mut Asker,
) {
    if x.request.upgrade.is_some() {
        asker.tunnel_from(stream);
        return;
    }
    if stream.is_end_stream() {
        x.request.expects_continue = false;
        return;
    }
    let watch = Rc::new(Watch::default());
    asker.watch(watch.clone(), x.request.expects_continue);
    let mut body = Incoming::<()>::new(stream, length, service.timers(), limits.body_idle_timeout)
        .watched(watch);
    x.request.body = match body.take_whole() {
        Some(whole) => Body::Full(whole),
        None => Body::Stream(Box::new(body)),
    };
}
