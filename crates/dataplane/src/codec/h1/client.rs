//! HTTP/1.1 towards an endpoint: one request and its response over a connection, which then goes
//! home to be used again.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use base::Instant;
use bytes::{Buf, BytesMut};
use policy::message::{Body, BodyError, BodyStream, Frame, Method, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::{BodyReader, read_some};
use super::head::{self, EndFinder, Framing, HeadLimits};
use super::pump::{Pump, PumpError};
use super::write;
use crate::accept::io::Io;
use crate::buffers::{self, SMALL};
use crate::codec::{
    Home, INTERIM_MAX, Interim, Outgoing, Permit, RESPONSE_BYTES, RESPONSE_FIELDS, SendError,
    SendFault, Sent, Upgraded,
};
use crate::tunnel::websocket::{self, Opening};

/// What a response's head may hold.
const HEAD: HeadLimits = HeadLimits { bytes: RESPONSE_BYTES, fields: RESPONSE_FIELDS };

/// A connection to an endpoint, between two exchanges.
pub(crate) struct Connection {
    io: Io,
    home: Option<Rc<dyn Home>>,
    permit: Permit,
    /// When it was made.
    pub born: Instant,
    /// Requests it carried.
    pub requests: u64,
    /// Since when it has been idle; set by its home.
    pub idle_since: Instant,
}

impl Connection {
    /// A connection that goes `home` after each exchange, if it can be used again.
    pub fn new(io: Io, home: Option<Rc<dyn Home>>, permit: Permit, now: Instant) -> Self {
        Self { io, home, permit, born: now, requests: 0, idle_since: now }
    }

    /// Whether it can carry a request: the endpoint has not closed it and has sent nothing out of
    /// turn.
    pub fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match self.io.poll_read_ready(&mut cx) {
            Poll::Pending => true,
            Poll::Ready(Err(_)) => false,
            // Over TLS it may be a session ticket, which is no data.
            Poll::Ready(Ok(())) => {
                let mut byte = [0];
                let mut buf = ReadBuf::new(&mut byte);
                Pin::new(&mut self.io).poll_read(&mut cx, &mut buf).is_pending()
            }
        }
    }

    /// Sends a request and reads the response's head into `response`. Its body is there if it came
    /// with the head; else it streams, while the request's body may still be going out.
    pub async fn send(
        self,
        out: &Outgoing<'_>,
        body: Body,
        interim: &Interim,
        response: &mut Response,
    ) -> Result<Sent, SendError> {
        let framing = match body.remaining() {
            Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        let mut head = buffers::output();
        let opening = (out.upgrade == Some(websocket::PROTOCOL)).then(|| Opening::new(out.headers));
        let key = opening.as_ref().and_then(Opening::key_to_write);
        write::request(&mut head, out, framing, key);
        let mut call = Call {
            connection: self,
            pump: Pump::new(head, framing),
            body,
            input: BytesMut::new(),
            finder: EndFinder::default(),
            to_head: out.method == Method::Head,
            upgrade: out.upgrade.is_some(),
            opening,
            interims: 0,
            stuck: None,
        };
        let form = poll_fn(|cx| call.poll_response(cx, interim, response)).await?;
        Ok(call.received(form, response))
    }
}

/// A request on its way and the response to it.
struct Call {
    connection: Connection,
    pump: Pump,
    body: Body,
    input: BytesMut,
    finder: EndFinder,
    to_head: bool,
    upgrade: bool,
    /// The WebSocket's handshake, if it is one.
    opening: Option<Opening>,
    interims: usize,
    /// Why the request could not be written to its end, while a response may still come.
    stuck: Option<io::Error>,
}

/// What the final head said.
enum Form {
    Response(head::ResponseHead),
    Switched,
}

impl Call {
    /// Writes the request and reads until the final head is here.
    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        interim: &Interim,
        response: &mut Response,
    ) -> Poll<Result<Form, SendError>> {
        self.poll_request(cx)?;
        loop {
            match self.finder.find(&self.input) {
                Err(_) => return Poll::Ready(Err(self.malformed("a line is ended by LF alone"))),
                Ok(Some(length)) if length <= HEAD.bytes => {
                    if let Some(form) = self.take_head(length, interim, response)? {
                        return Poll::Ready(Ok(form));
                    }
                    continue;
                }
                Ok(None) if self.input.len() <= HEAD.bytes => {}
                Ok(_) => return Poll::Ready(Err(self.malformed("the head is too large"))),
            }
            match ready!(read_some(cx, &mut self.connection.io, &mut self.input, SMALL)) {
                Ok(0) => return Poll::Ready(Err(self.reset(None))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(self.reset(Some(error)))),
            }
        }
    }

    /// Writes the request on. That the endpoint takes no more of it is no fault yet: it may have
    /// answered already.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        if self.pump.is_done() || self.stuck.is_some() {
            return Ok(());
        }
        match self.pump.poll(cx, &mut self.connection.io, &mut self.body) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(PumpError::Io(error))) => {
                self.stuck = Some(error);
                Ok(())
            }
            Poll::Ready(Err(PumpError::Body(error))) => {
                Err(self.error(SendFault::Body(error), "the request's body broke off"))
            }
        }
    }

    /// Takes a head of `length` bytes; none if it was an interim response's.
    fn take_head(
        &mut self,
        length: usize,
        interim: &Interim,
        response: &mut Response,
    ) -> Result<Option<Form>, SendError> {
        response.clear();
        let head = self.input.get(..length).unwrap_or_default();
        let read = head::response(head, HEAD, self.to_head, response);
        let read = read.map_err(|detail| self.malformed(detail))?;
        self.input.advance(length);
        self.finder = EndFinder::default();
        if self.opening.as_ref().is_some_and(|opening| !opening.verify(response)) {
            return Err(self.malformed("Sec-WebSocket-Accept answers another handshake"));
        }
        match response.status.code() {
            101 if self.upgrade => Ok(Some(Form::Switched)),
            101 => Err(self.malformed("it switches protocols unasked")),
            status @ 100..200 => {
                self.interims += 1;
                if self.interims > INTERIM_MAX {
                    return Err(self.malformed("too many interim responses"));
                }
                // The client's own wish for 100 is met by the gateway.
                if status != 100 {
                    interim.push(response.status, std::mem::take(&mut response.headers));
                }
                Ok(None)
            }
            _ => Ok(Some(Form::Response(read))),
        }
    }

    /// The final head is here: what comes of the connection and the body.
    fn received(mut self, form: Form, response: &mut Response) -> Sent {
        let head = match form {
            Form::Response(head) => head,
            Form::Switched => {
                let Self { connection, input, .. } = self;
                let Connection { io, permit, .. } = connection;
                let io = Box::new(Counted { io, _permit: permit });
                return Sent::Upgraded(Upgraded { io, read: input.freeze() });
            }
        };
        let mut reader = BodyReader::new(head.framing);
        let whole = reader.whole(&mut self.input);
        let call = ResponseBody { call: Some(self), reader, keep_alive: head.keep_alive };
        response.body = match whole {
            Some(whole) => {
                call.finish();
                if whole.is_empty() { Body::Empty } else { Body::Full(whole) }
            }
            None => Body::Stream(Box::new(call)),
        };
        Sent::Response
    }

    fn reset(&self, error: Option<io::Error>) -> SendError {
        let error = error.as_ref().or(self.stuck.as_ref());
        let note = match (error, self.input.is_empty()) {
            (Some(error), _) => error.to_string(),
            (None, true) => "the endpoint closed the connection without an answer".to_owned(),
            (None, false) => "the endpoint closed the connection within the head".to_owned(),
        };
        self.error(SendFault::Reset, note)
    }

    fn malformed(&self, detail: &str) -> SendError {
        self.error(SendFault::Malformed, detail)
    }

    fn error(&self, kind: SendFault, note: impl Into<Box<str>>) -> SendError {
        SendError { kind, sent: self.pump.taken > 0, note: note.into() }
    }
}

/// The body of a response as it comes. Owns the connection: keeps the request's body going, brings
/// the connection home at the end, closes it when dropped early.
struct ResponseBody {
    call: Option<Call>,
    reader: BodyReader,
    keep_alive: bool,
}

impl ResponseBody {
    /// The response is read: the connection goes home if nothing is left on it, in either
    /// direction.
    fn finish(mut self) {
        self.done();
    }

    fn done(&mut self) {
        let Some(call) = self.call.take() else { return };
        let clean = self.keep_alive && call.pump.is_done() && call.input.is_empty();
        buffers::give_input(call.input);
        let mut connection = call.connection;
        if let Some(home) = connection.home.clone().filter(|_| clean) {
            connection.requests += 1;
            home.back(connection);
        }
    }
}

impl BodyStream for ResponseBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(call) = &mut self.call else { return Poll::Ready(None) };
        if call.poll_request(cx).is_err() {
            self.call = None;
            return Poll::Ready(Some(Err(BodyError::Broken)));
        }
        let next = ready!(self.reader.poll(cx, &mut call.connection.io, &mut call.input));
        match &next {
            Some(Err(_)) => self.call = None,
            _ if self.reader.is_done() => self.done(),
            _ => {}
        }
        Poll::Ready(next)
    }

    fn remaining(&self) -> Option<u64> {
        self.reader.remaining()
    }
}

/// A connection that became a tunnel and still counts as its upstream's.
struct Counted {
    io: Io,
    _permit: Permit,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
