//! The last good documents, on disk: what an instance starts by when the document it is given is
//! broken, or brings it down.
//!
//! They are kept as they were written: `${…}` stays unresolved, so no secret that is named is
//! stored, and certificates stay where they are.

mod around;
mod disk;
mod store;

pub use around::WithSaved;
pub use store::{Saved, Store};

#[cfg(test)]
mod tests;
