//! The bound on a request's body: held to at once where its length is known, else as it streams.

use std::task::{Context, Poll, ready};

use policy::message::{Body, BodyError, BodyStream, Frame};
use policy::{Exchange, Refusal, codes};

/// Holds the request's body to the exchange's `body_limit`, from now on.
pub(crate) fn body_limit(x: &mut Exchange) -> Result<(), Refusal> {
    match x.request.body.remaining() {
        Some(length) if length > x.body_limit => Err(too_large(x.body_limit)),
        Some(_) => Ok(()),
        None => {
            let body = x.request.body.take();
            x.request.body = Body::Stream(Box::new(Limited { body, left: x.body_limit }));
            Ok(())
        }
    }
}

/// The refusal of a body longer than `limit` bytes.
fn too_large(limit: u64) -> Refusal {
    Refusal::new(&codes::BODY_TOO_LARGE).detail(format!("at most {limit} bytes are taken"))
}

/// A body that breaks off when it outgrows its bound.
struct Limited {
    body: Body,
    left: u64,
}

impl BodyStream for Limited {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let next = ready!(self.body.poll_frame(cx));
        if let Some(Ok(Frame::Data(data))) = &next {
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => {
                    self.body = Body::Empty;
                    return Poll::Ready(Some(Err(BodyError::TooLarge)));
                }
            }
        }
        Poll::Ready(next)
    }

    fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }
}
