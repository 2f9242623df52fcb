//! HTTP/2 towards clients: one connection, from its preface to its last stream.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use policy::message::Body;
use policy::{Connection, Exchange, Refusal};
use snapshot::Limits;
use tokio::task::spawn_local;

use super::answer::Asker;
use super::conduct::{Conduct, Verdict};
use super::guard::Guard;
use super::incoming::{Incoming, Watch};
use super::pieces::Pieces;
use super::request;
use crate::accept::io::Io;
use crate::codec::rewind::Rewind;
use crate::deadline::{Deadline, Timers};
use crate::in_place::in_place;
use crate::observe::metrics::http2::{End, Reset};
use crate::overload::FEW_STREAMS;

/// Bytes of one request's body a client may send ahead of its reader.
const STREAM_WINDOW: u32 = 64 << 10;

/// Bytes of all bodies of a connection a client may send ahead of their readers.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Bytes of one stream that wait in the h2 crate to be written: a frame. A client that opens all
/// the streams it may and reads nothing pins as much for each.
const SEND_BUFFER: usize = 16 << 10;

/// Bytes of heads of the requests that run on a connection. More have to wait for these: a client
/// that opens all the streams it may with heads as large as they may be pins no more.
const HEADS_MAX: usize = 512 << 10;

/// Streams a client reset before they were even looked at; more end the connection.
const UNSEEN_RESETS_MAX: usize = 20;

/// Streams the h2 crate had to reset because of what the client did, in all of a connection's life.
/// Those of a few seconds are held to the listener's own bound.
const FAULTS_MAX: usize = 1024;

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

    /// Whether memory is short: idle connections end, others run a few streams only.
    fn is_saving(&self) -> bool {
        false
    }

    /// Counts a stream that was refused because memory is short.
    fn refused_stream(&self) {}

    /// Counts a connection that ends because it is idle while memory is short.
    fn closed_idle(&self) {}

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

    /// Streams of the connection were cut short.
    fn reset(&self, kind: Reset, streams: u32);

    /// The connection has ended.
    fn ended(&self, end: End);
}

/// Serves a connection until it ends. `read`: what was read of it already.
pub(crate) async fn run<S: Service>(service: Rc<S>, io: Io, read: Bytes) {
    let conduct = Conduct::new(service.timers(), &service.limits());
    let opened = Box::pin(open(&service, &conduct, io, read)).await;
    let end = match opened {
        Some(mut server) => poll_fn(|cx| server.poll(cx)).await,
        None => End::NoPreface,
    };
    conduct.take_resets(|kind, streams| service.reset(kind, streams));
    service.ended(End::of(conduct.goaway()).unwrap_or(end));
}

/// Exchanges prefaces. Boxed where it is called: what it takes is gone before the connection idles.
async fn open<S: Service>(
    service: &Rc<S>,
    conduct: &Rc<Conduct>,
    io: Io,
    read: Bytes,
) -> Option<Box<Server<S>>> {
    let limits = service.limits();
    let mut deadline = Deadline::after(service.timers(), limits.header_timeout);
    let io = Guard::of_client(Rewind::new(io, read), conduct.clone());
    let h2 = match deadline.within(builder(&limits).handshake(io)).await {
        Ok(Ok(h2)) => h2,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no HTTP/2 handshake");
            return None;
        }
        Err(_) => {
            tracing::debug!("no HTTP/2 handshake in time");
            return None;
        }
    };
    Some(Box::new(Server {
        h2,
        service: service.clone(),
        conduct: conduct.clone(),
        tally: Rc::default(),
        pieces: Pieces::default(),
        begun: 0,
        deadline,
        stage: Stage::Open,
        cut_off: false,
    }))
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

/// What runs on a connection.
#[derive(Default)]
struct Tally {
    running: Cell<usize>,
    /// Bytes of heads of the requests that run.
    heads: Cell<usize>,
}

/// A request that runs, whether its stream is still open or not.
struct Place {
    tally: Rc<Tally>,
    head: usize,
}

impl Place {
    /// A place for a request with a head of so many bytes, if there is one left.
    fn take(tally: &Rc<Tally>, limits: &Limits, head: usize) -> Option<Self> {
        let (running, heads) = (tally.running.get(), tally.heads.get() + head);
        if running >= limits.http2_streams as usize || (running > 0 && heads > HEADS_MAX) {
            return None;
        }
        tally.running.set(running + 1);
        tally.heads.set(heads);
        Some(Self { tally: tally.clone(), head })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tally.running.set(self.tally.running.get().saturating_sub(1));
        self.tally.heads.set(self.tally.heads.get().saturating_sub(self.head));
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// GOAWAY was sent, what runs ends.
    Leaving(End),
    /// GOAWAY was sent, nothing runs any more.
    Cut,
}

/// A client's connection.
struct Server<S> {
    h2: h2::server::Connection<Guard<Rewind<Io>>, Bytes>,
    service: Rc<S>,
    conduct: Rc<Conduct>,
    tally: Rc<Tally>,
    pieces: Pieces,
    /// While no stream runs, or none may: until when that may last.
    deadline: Deadline,
    /// Requests so far.
    begun: u64,
    stage: Stage,
    /// The grace is over.
    cut_off: bool,
}

impl<S: Service> Server<S> {
    /// Takes requests and carries what their answers write; ready when the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.conduct.next_turn();
        loop {
            let accepted = self.h2.poll_accept(cx);
            self.conduct.take_resets(|kind, streams| self.service.reset(kind, streams));
            match accepted {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.start(request, respond);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "an HTTP/2 connection broke");
                    return Poll::Ready(End::Broken);
                }
                Poll::Ready(None) => return Poll::Ready(self.stage.end()),
                Poll::Pending => {}
            }
            if !self.judge(cx) {
                ready!(self.poll_idle(cx));
                if self.stage != Stage::Open {
                    return Poll::Ready(self.stage.end());
                }
                self.leave(End::Idle);
            }
        }
    }

    /// Begins to end a connection that is not to go on; says whether that was so.
    fn judge(&mut self, cx: &mut Context<'_>) -> bool {
        let most = u64::from(self.service.limits().requests_per_connection);
        match self.conduct.verdict() {
            // Or one that goes on for as long again after it had its requests and was told.
            verdict
                if self.stage != Stage::Cut
                    && (verdict == Verdict::Abusive || self.begun >= most.saturating_mul(2)) =>
            {
                self.stage = Stage::Cut;
                self.deadline.set_after(LINGER);
                self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
            _ if !self.cut_off && self.service.is_cut() => {
                self.cut_off = true;
                self.stage = Stage::Leaving(End::Draining);
                // GOAWAY says up to which stream requests were taken; those above may be sent
                // again.
                self.h2.abrupt_shutdown(Reason::NO_ERROR);
            }
            Verdict::Suspect if self.stage == Stage::Open => self.leave(End::Calm),
            _ if self.stage == Stage::Open && self.begun >= most => self.leave(End::Served),
            _ if self.stage == Stage::Open && self.service.poll_closing(cx).is_ready() => {
                self.leave(End::Draining);
            }
            _ => return false,
        }
        true
    }

    /// Ready when nothing has run for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.stage != Stage::Cut && self.tally.running.get() > 0 {
            self.deadline.clear();
            return Poll::Pending;
        }
        if self.stage == Stage::Open && self.begun > 0 && self.service.is_saving() {
            self.service.closed_idle();
            return Poll::Ready(());
        }
        if !self.deadline.is_set() {
            self.deadline.set_after(match self.stage {
                Stage::Open => self.service.limits().keep_alive,
                Stage::Leaving(_) | Stage::Cut => LINGER,
            });
        }
        self.deadline.poll(cx)
    }

    /// Sends GOAWAY in two steps: first that no more requests are welcome, then, a round trip
    /// later, which was the last that was taken. Those run to their end.
    fn leave(&mut self, why: End) {
        self.stage = Stage::Leaving(why);
        self.deadline.clear();
        self.h2.graceful_shutdown();
    }

    /// Starts on a request. What counts is the work that runs, not the streams that are open: a
    /// stream is gone at once, what was begun for it may not be.
    fn start(&mut self, request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        if respond.poll_reset(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.conduct.took_back();
            return;
        }
        self.begun += 1;
        if self.tally.running.get() >= FEW_STREAMS && self.service.is_saving() {
            // It was not looked at: the client may send it again.
            self.service.refused_stream();
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        let limits = self.service.limits();
        let (head, stream) = request.into_parts();
        let bytes = request::size(&head);
        let Some(place) = Place::take(&self.tally, &limits, bytes) else {
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        };
        let mut x = self.service.begin();
        x.body_limit = limits.body_bytes;
        let secure = self.service.connection().tls.is_some();
        let read = request::read(&head, bytes, &limits, secure, &mut x.request);
        drop(head);
        let timers = self.service.timers();
        let mut asker = Asker::new(respond, timers, self.pieces.clone(), limits.body_idle_timeout);
        let refused = match read {
            Ok(length) => {
                take_body(stream, length, &limits, &self.service, &mut x, &mut asker);
                None
            }
            Err(refusal) => Some(refusal),
        };
        let (service, conduct) = (self.service.clone(), self.conduct.clone());
        // Boxed: a task moves what it runs several times, and this is large.
        spawn_local(in_place(|| async move {
            service.serve(&mut x, &mut asker, refused).await;
            if asker.is_gone() {
                conduct.took_back();
            }
            service.end(x);
            drop(place);
        }));
    }
}

impl Stage {
    /// Why a connection ended that came this far.
    const fn end(self) -> End {
        match self {
            Self::Open => End::Closed,
            Self::Leaving(why) => why,
            Self::Cut => End::Calm,
        }
    }
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
