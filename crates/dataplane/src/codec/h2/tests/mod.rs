//! Both sides against the h2 crate's other side, over memory.

mod client;
mod connection;
mod frames;
mod heads;
mod stub;
mod upstream;
mod upstream_faults;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use policy::message::{Body, BodyError, BodyStream, Frame, Headers};

/// Runs a test as a core runs: everything on one thread.
fn on_a_core<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(test))
}

/// A body whose pieces a test hands in one by one.
#[derive(Clone, Default)]
struct Script(Rc<RefCell<Pieces>>);

#[derive(Default)]
struct Pieces {
    waiting: VecDeque<Option<Result<Frame, BodyError>>>,
    waker: Option<Waker>,
    dropped: bool,
}

impl Script {
    fn body(&self) -> Body {
        Body::Stream(Box::new(Played(self.clone())))
    }

    fn data(&self, bytes: &'static [u8]) {
        self.push(Some(Ok(Frame::Data(Bytes::from_static(bytes)))));
    }

    fn push(&self, piece: Option<Result<Frame, BodyError>>) {
        let mut pieces = self.0.borrow_mut();
        pieces.waiting.push_back(piece);
        if let Some(waker) = pieces.waker.take() {
            waker.wake();
        }
    }

    fn is_dropped(&self) -> bool {
        self.0.borrow().dropped
    }
}

struct Played(Script);

impl BodyStream for Played {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut pieces = self.0.0.borrow_mut();
        pieces.waker = Some(cx.waker().clone());
        pieces.waiting.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.0.0.borrow_mut().dropped = true;
    }
}

/// Everything a body has: its bytes, its trailers, and how it ended.
async fn read(body: &mut Body) -> (Vec<u8>, Option<Headers>, Result<(), BodyError>) {
    let (mut bytes, mut trailers) = (Vec::new(), None);
    loop {
        match body.frame().await {
            Some(Ok(Frame::Data(piece))) => bytes.extend_from_slice(&piece),
            Some(Ok(Frame::Trailers(fields))) => trailers = Some(fields),
            Some(Err(error)) => return (bytes, trailers, Err(error)),
            None => return (bytes, trailers, Ok(())),
        }
    }
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        assert!(headers.append(name, value));
    }
    headers
}

/// `count` bytes that differ from their neighbours.
fn many(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8).collect()
}
