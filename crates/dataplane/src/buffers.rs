//! Buffers, kept per core: who needs one takes it, who has done with it gives it back. An idle
//! connection holds none.

use std::cell::RefCell;

use bytes::BytesMut;

/// Bytes of a buffer for heads and small bodies.
pub(crate) const SMALL: usize = 8 << 10;

/// Bytes read at once of a body that is long or comes fast: what a stream may hold per direction.
pub(crate) const LARGE: usize = 64 << 10;

/// Buffers of each kind kept for the next who needs one.
const SPARE_MAX: usize = 256;

/// Capacity above which a buffer for writing is not kept.
const KEEP_MAX: usize = 64 << 10;

thread_local! {
    static INPUT: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer to read into, with room for [`SMALL`] bytes at least.
pub(crate) fn input() -> BytesMut {
    let spare = INPUT.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| BytesMut::with_capacity(SMALL))
}

/// Gives back a buffer that was read into. What is still in it is lost.
pub(crate) fn give_input(mut buffer: BytesMut) {
    buffer.clear();
    // Memory that a piece of a body still points into, or that was grown, goes its own way.
    if buffer.try_reclaim(SMALL) && buffer.capacity() <= 2 * SMALL {
        INPUT.with_borrow_mut(|spare| {
            if spare.len() < SPARE_MAX {
                spare.push(buffer);
            }
        });
    }
}

/// An empty buffer to write from.
pub(crate) fn output() -> Vec<u8> {
    OUTPUT.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(SMALL))
}

/// Gives back a buffer that was written from.
pub(crate) fn give_output(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > KEEP_MAX {
        return;
    }
    buffer.clear();
    OUTPUT.with_borrow_mut(|spare| {
        if spare.len() < SPARE_MAX {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_given_back_is_the_next_one_taken() {
        let mut buffer = input();
        buffer.extend_from_slice(b"left over");
        let at = buffer.as_ptr();
        give_input(buffer);
        let again = input();
        assert_eq!(again.as_ptr(), at);
        assert!(again.is_empty() && again.capacity() >= SMALL);
    }

    #[test]
    fn memory_that_a_body_still_points_into_is_not_given_back() {
        let mut buffer = input();
        buffer.extend_from_slice(&[b'x'; 100]);
        let piece = buffer.split_to(50).freeze();
        give_input(buffer);
        let mut next = input();
        next.extend_from_slice(&[b'y'; 100]);
        assert_eq!(piece, [b'x'; 50][..]);
    }
}
