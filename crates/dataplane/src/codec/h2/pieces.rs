//! Large pieces of bodies on their way to one client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::buffers::{LARGE, SMALL};

/// Memory of large pieces that may wait for one client, all its streams together. A client that
/// opens many streams and takes nothing of their answers pins no more.
const MOST: usize = 1 << 20;

/// The large pieces of one client's answers, as long as anything points into them: some wait in the
/// h2 crate.
#[derive(Clone, Default)]
pub(super) struct Pieces(Arc<Alive>);

#[derive(Default)]
struct Alive {
    bytes: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Pieces {
    /// Ready while another piece may be taken.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.0.bytes.load(Ordering::Relaxed) < MOST {
            return Poll::Ready(());
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Counts `piece`, if it is large, until nothing points into it any more.
    pub fn count(&self, piece: Bytes) -> Bytes {
        if piece.len() <= SMALL {
            return piece;
        }
        // However little it is, the memory behind it may be that of the largest read.
        let weight = piece.len().max(LARGE);
        self.0.bytes.fetch_add(weight, Ordering::Relaxed);
        Bytes::from_owner(Counted { piece, weight, alive: self.0.clone() })
    }
}

struct Counted {
    piece: Bytes,
    weight: usize,
    alive: Arc<Alive>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let before = self.alive.bytes.fetch_sub(self.weight, Ordering::Relaxed);
        if before >= MOST && before - self.weight < MOST {
            let mut waiting = self.alive.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.drain(..).for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_when_the_last_slice_of_a_piece_goes() {
        let cx = Context::from_waker(Waker::noop());
        let pieces = Pieces::default();
        let small = pieces.count(Bytes::from(vec![0; SMALL]));
        let mut large: Vec<_> =
            (0..MOST / LARGE).map(|_| pieces.count(Bytes::from(vec![0; SMALL + 1]))).collect();
        drop(small);
        assert!(pieces.poll_room(&cx).is_pending());
        let slice = large.pop().map(|piece| piece.slice(..1));
        assert!(pieces.poll_room(&cx).is_pending());
        drop(slice);
        assert!(pieces.poll_room(&cx).is_ready());
    }
}
