//! What `any_of`, `all_of` and `optional` share: policies inside a policy.

mod outcome;
mod part;

pub(super) use outcome::Outcome;
pub(super) use part::{Nested, Part, Saved, compile, note, ran};

use policy::Caller;

/// Whether nobody was made known: by `optional`, or as the application for strangers.
pub(super) fn is_stranger(caller: Option<&Caller>) -> bool {
    caller.is_none_or(|caller| caller.by == super::anonymous::KIND.name)
}
