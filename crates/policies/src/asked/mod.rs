//! Policies that ask a server: its URL, what it is told of a request, what it answered and for how
//! long that holds. Knows no socket: `policy::Remote` does.

mod answers;
mod by;
mod fields;
mod url;

pub(crate) use answers::{Answers, Held, Key, Told};
pub(crate) use by::{By, Kept, Keyed};
pub(crate) use fields::{Fields, Use, names};
pub(crate) use url::url;
