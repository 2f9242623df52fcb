//! Large futures, made where they stay.

use std::pin::Pin;

/// What `make` gives, in a box it was made in: a future made first and then boxed is copied, all of
/// it, for every request.
#[inline(always)]
pub(crate) fn in_place<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    let place = Box::new_uninit();
    Box::into_pin(Box::write(place, make()))
}
