//! The client of one stream: who gets its answer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use policy::Exchange;
use policy::message::{Body, Headers, Known, Method};

use super::fields::{self, Remember};
use super::incoming::Watch;
use super::pieces::Pieces;
use super::pipe::Pipe;
use super::pump::{Pump, PumpFault};
use crate::codec::{Client, Interim, Upgraded};
use crate::deadline::Timers;
use crate::tunnel::{self, websocket};

/// Who asked, and gets the answer.
pub(crate) struct Asker {
    respond: SendResponse<Bytes>,
    /// What the client sends, where the stream may become a tunnel.
    tunnel: Option<RecvStream>,
    watch: Option<Rc<Watch>>,
    /// It waits for `100 Continue`.
    expecting: bool,
    /// It reset the stream before it got its answer.
    gone: bool,
    timers: Rc<Timers>,
    pieces: Pieces,
    idle: Duration,
    /// Bytes a second the client must take; 0: any.
    rate: u64,
}

impl Asker {
    /// Who is answered by `respond`. A client that takes nothing of its answer for `idle` is given
    /// up. `pieces`: those on their way to the client, all its streams together.
    pub(super) fn new(
        respond: SendResponse<Bytes>,
        timers: &Rc<Timers>,
        pieces: Pieces,
        idle: Duration,
    ) -> Self {
        Self {
            respond,
            tunnel: None,
            watch: None,
            expecting: false,
            gone: false,
            timers: timers.clone(),
            pieces,
            idle,
            rate: 0,
        }
    }

    /// What the client sends once its stream is a tunnel.
    pub(super) fn tunnel_from(&mut self, stream: RecvStream) {
        self.tunnel = Some(stream);
    }

    /// What happens to the request's body, and whether the client waits to be asked for it.
    pub(super) fn watch(&mut self, watch: Rc<Watch>, expecting: bool) {
        self.watch = Some(watch);
        self.expecting = expecting;
    }

    /// Whether the client left before it got its answer.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    fn inform(&mut self, status: u16, headers: &Headers) {
        let Ok(status) = StatusCode::from_u16(status) else { return };
        let mut head = http::Response::new(());
        *head.status_mut() = status;
        *head.headers_mut() = fields::write(headers, Remember::Lasting, |_| false);
        // Fails on a stream that has ended: then there is nobody to inform.
        let _ = self.respond.send_informational(head);
    }

    /// Sends the head, and says how the body went.
    async fn send(&mut self, x: &mut Exchange, head: http::Response<()>, body: Body) -> bool {
        // A stream of no bytes may still have trailers.
        let ends = body.is_empty() && !matches!(body, Body::Stream(_));
        let Ok(stream) = self.respond.send_response(head, ends) else { return false };
        if ends {
            return true;
        }
        let mut pump = Pump::new(body, stream, &self.timers, self.idle)
            .counted(self.pieces.clone())
            .paced(self.rate);
        let done = poll_fn(|cx| pump.poll(cx)).await;
        x.bytes_out = pump.sent();
        if let Err(fault) = done {
            tracing::debug!(?fault, "the response broke off");
            pump.reset(match fault {
                PumpFault::Body(_) => Reason::INTERNAL_ERROR,
                PumpFault::Gone | PumpFault::Stalled => Reason::CANCEL,
            });
        }
        done.is_ok()
    }
}

impl Client for Asker {
    async fn accompany(&mut self, interim: &Interim) {
        poll_fn(|cx| {
            if self.expecting
                && let Some(watch) = &self.watch
                && watch.poll_wanted(cx).is_ready()
            {
                self.expecting = false;
                self.inform(100, &Headers::new());
            }
            while let Poll::Ready((status, headers)) = interim.poll_next(cx) {
                // Who waits for the body is asked for it here, whatever the upstream says.
                if status.code() != 100 {
                    self.inform(status.code(), &headers);
                }
            }
            self.respond.poll_reset(cx).map(|_| ())
        })
        .await;
        self.gone = true;
    }

    fn keep_pace(&mut self, rate: u64) {
        self.rate = rate;
        if let Some(watch) = &self.watch {
            watch.keep_pace(rate);
        }
    }

    async fn answer(&mut self, x: &mut Exchange, _close: bool) {
        // What nobody wants any more of is told to its source before the answer goes out.
        x.request.body = Body::Empty;
        let body = x.response.body.take();
        let to_head = x.request.method == Method::Head;
        let status = x.response.status;
        let bodiless = to_head || !status.may_have_body();
        let mut head = http::Response::new(());
        *head.status_mut() = StatusCode::from_u16(status.code()).unwrap_or_default();
        *head.headers_mut() = fields::write(&x.response.headers, Remember::Lasting, |_| false);
        date(head.headers_mut(), x);
        let told = x.response.headers.get(Known::ContentLength);
        match (body.remaining(), told) {
            // The length a GET would have had (RFC 9110 §8.6).
            (_, Some(told)) if to_head || status.code() == 304 => {
                if let Ok(told) = HeaderValue::from_bytes(told) {
                    head.headers_mut().insert(header::CONTENT_LENGTH, told);
                }
            }
            (Some(length), _) if length > 0 && (to_head || !bodiless) => {
                fields::set_length(head.headers_mut(), length);
            }
            _ => {}
        }
        let body = if bodiless { Body::Empty } else { body };
        x.complete = self.send(x, head, body).await;
        x.bytes_in = self.watch.as_ref().map_or(0, |watch| watch.received());
    }

    async fn tunnel(&mut self, x: &mut Exchange, upstream: Upgraded) {
        let Some(receive) = self.tunnel.take() else { return };
        let mut head = http::Response::new(());
        *head.headers_mut() =
            fields::write(&x.response.headers, Remember::Lasting, websocket::h1_only);
        date(head.headers_mut(), x);
        let Ok(send) = self.respond.send_response(head, false) else { return };
        let client = Pipe::new(send, receive, ());
        let moved = |up, down| {
            x.bytes_in += up;
            x.bytes_out += down;
        };
        tunnel::copy(client, upstream, self.idle, moved).await;
        x.complete = true;
    }
}

/// Adds `Date` where there is none; made anew once a second.
fn date(headers: &mut HeaderMap, x: &Exchange) {
    thread_local! {
        static DATE: RefCell<(u64, Option<HeaderValue>)> = const { RefCell::new((0, None)) };
    }
    if headers.contains_key(header::DATE) {
        return;
    }
    let second = x.wall.as_secs();
    DATE.with_borrow_mut(|(made, date)| {
        if *made != second || date.is_none() {
            let now = std::time::UNIX_EPOCH + Duration::from_secs(second);
            *date = HeaderValue::from_str(&httpdate::fmt_http_date(now)).ok();
            *made = second;
        }
        if let Some(date) = date {
            headers.insert(header::DATE, date.clone());
        }
    });
}
