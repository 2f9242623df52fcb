//! Bodies that are held back go on unchanged.

use std::task::Waker;

use super::*;
use crate::message::Known;

/// A body that comes in these pieces, each after a pause.
struct Pieces {
    pieces: VecDeque<Result<Frame, BodyError>>,
    paused: bool,
}

impl BodyStream for Pieces {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.paused = !self.paused;
        if self.paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.pieces.pop_front())
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

fn body(pieces: &[&'static str], trailers: bool) -> Body {
    let data = pieces.iter().map(|piece| Ok(Frame::Data(Bytes::from_static(piece.as_bytes()))));
    let mut pieces: VecDeque<_> = data.collect();
    if trailers {
        let mut fields = Headers::new();
        fields.append_known(Known::GrpcStatus, "x");
        pieces.push_back(Ok(Frame::Trailers(fields)));
    }
    Body::Stream(Box::new(Pieces { pieces, paused: false }))
}

fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
    }
}

/// All that goes on: the bytes, and whether there were trailers.
fn rest(mut body: Body) -> (String, bool) {
    let mut text = String::new();
    while let Some(frame) = now(body.frame()) {
        match frame.unwrap() {
            Frame::Data(data) => text.push_str(std::str::from_utf8(&data).unwrap()),
            Frame::Trailers(_) => return (text, true),
        }
    }
    (text, false)
}

#[test]
fn what_is_held_back_goes_on_as_it_came() {
    for trailers in [false, true] {
        for (pieces, most, shown, whole) in [
            (&[][..], 8, "", true),
            (&["ab"], 8, "ab", true),
            (&["ab", "cd"], 4, "abcd", true),
            (&["ab", "cd", "ef"], 4, "abcd", false),
            (&["abcdef"], 4, "abcd", false),
            (&["ab", "cd"], 0, "", false),
        ] {
            let mut one = body(pieces, trailers);
            let held = now(one.hold(most)).unwrap();
            assert_eq!((&*held.bytes, held.whole), (shown.as_bytes(), whole), "{pieces:?} {most}");
            // Whoever asks after that sees the same.
            assert_eq!(now(one.hold(most)).unwrap(), held);
            assert_eq!(rest(one), (pieces.concat(), trailers), "{pieces:?} {most}");
        }
    }
}

#[test]
fn a_body_that_is_here_is_shown_where_it_stands() {
    let mut one = Body::from("abc");
    assert_eq!(now(one.hold(2)).unwrap(), Held { bytes: "ab".into(), whole: false });
    assert_eq!(one.remaining(), Some(3));
    assert_eq!(now(Body::Empty.hold(2)).unwrap(), Held { bytes: Bytes::new(), whole: true });
}

#[test]
fn the_length_of_what_was_held_is_known_where_all_of_it_is_here() {
    let mut one = body(&["ab", "cd"], false);
    now(one.hold(8)).unwrap();
    assert_eq!(one.remaining(), Some(4));
    let mut one = body(&["ab", "cd"], true);
    now(one.hold(8)).unwrap();
    assert_eq!(one.remaining(), None, "trailers follow");
}

#[test]
fn a_body_that_breaks_off_says_so() {
    let pieces = VecDeque::from([Ok(Frame::Data("ab".into())), Err(BodyError::Timeout)]);
    let mut one = Body::Stream(Box::new(Pieces { pieces, paused: false }));
    assert_eq!(now(one.hold(8)), Err(BodyError::Timeout));
}
