//! Stage 1, written: what people write, with the position of everything in it.
//!
//! [`read`] is the whole of it: files to text, text to one tree ([`Source`], formats), trees of
//! several files to one document, `${…}` resolved, checked against the [`Schema`], made a
//! [`v1::Document`]. Everything that is wrong comes back at once as a [`Report`]. It reaches files
//! and the environment through [`Surroundings`] alone, and does nothing else.

mod source;

mod fault;
mod tree;

mod format;

mod merge;

mod expand;

mod schema;

mod check;

mod secrets;

mod digest;

mod report;

mod salvage;

mod read;

mod value;

pub mod v1;

pub use read::{Written, read, read_text};
pub use report::{Finding, Position, Report};
pub use salvage::LeftOut;
pub use schema::Schema;
pub use source::{FILE_MAX, Machine, Memory, Source, Surroundings, Wanted};
pub use value::read_value;
