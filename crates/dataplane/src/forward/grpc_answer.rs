//! A gRPC caller is told in gRPC's own words how its call ended, also where the upstream has none:
//! another HTTP status than 200, a body that breaks off, no trailers. And a deadline that can't be
//! read is not guessed at.

use std::task::{Context, Poll};

use policy::message::{Body, BodyError, BodyStream, Frame, Headers, Known, Request, Response};
use policy::{Refusal, codes};

use crate::codec::grpc;

const UNKNOWN: u8 = 2;
const DEADLINE_EXCEEDED: u8 = 4;
const PERMISSION_DENIED: u8 = 7;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// Refuses a gRPC call whose deadline is there and can't be read in one way.
pub(super) fn refuse_timeout(request: &Request) -> Option<Refusal> {
    if !request.headers.has(Known::GrpcTimeout) || !request.is_grpc() {
        return None;
    }
    let mut values = request.headers.all(Known::GrpcTimeout);
    let known = values.next().is_some_and(|value| grpc::parse_timeout(value).is_some());
    if known && values.next().is_none() {
        return None;
    }
    let detail = "grpc-timeout is not one to eight digits and a unit.";
    Some(Refusal::new(&codes::REQUEST_MALFORMED).detail(detail))
}

/// Completes the answer to a gRPC call.
pub(super) fn complete(response: &mut Response) {
    if response.headers.has(Known::GrpcStatus) {
        return;
    }
    let status = response.status.code();
    if status != 200 {
        response.clear();
        grpc::refuse(response, of_http(status), &format!("the upstream answered HTTP {status}"));
        return;
    }
    response.headers.remove(Known::ContentLength);
    response.body = Body::Stream(Box::new(Ending { body: response.body.take(), ended: false }));
}

/// The gRPC status of an HTTP status
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
fn of_http(status: u16) -> u8 {
    match status {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// A body that ends with trailers that have a status.
struct Ending {
    body: Body,
    ended: bool,
}

impl BodyStream for Ending {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let told = match std::task::ready!(self.body.poll_frame(cx)) {
            Some(Ok(Frame::Data(data))) => return Poll::Ready(Some(Ok(Frame::Data(data)))),
            Some(Ok(Frame::Trailers(trailers))) if grpc::status(&trailers).is_some() => trailers,
            Some(Ok(Frame::Trailers(mut trailers))) => {
                trailers.remove(Known::GrpcStatus);
                say(trailers, INTERNAL, "the upstream's trailers have no status")
            }
            None => say(Headers::default(), INTERNAL, "the upstream sent no trailers"),
            Some(Err(BodyError::Timeout)) => {
                say(Headers::default(), DEADLINE_EXCEEDED, "the upstream stopped sending")
            }
            Some(Err(BodyError::Broken | BodyError::TooLarge)) => {
                say(Headers::default(), UNAVAILABLE, "the upstream broke off")
            }
        };
        self.ended = true;
        self.body = Body::Empty;
        Poll::Ready(Some(Ok(Frame::Trailers(told))))
    }

    /// Trailers follow in any case.
    fn remaining(&self) -> Option<u64> {
        None
    }
}

fn say(mut trailers: Headers, status: u8, message: &str) -> Headers {
    trailers.set_known(Known::GrpcStatus, itoa::Buffer::new().format(status));
    trailers.set_known(Known::GrpcMessage, grpc::encode_message(message));
    trailers
}
