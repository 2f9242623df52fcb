//! What became of the documents that were to be taken.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// The last document that was taken and the last that was refused.
#[derive(Debug, Default)]
pub struct Reloads(Mutex<LastReloads>);

/// What [`Reloads`] says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LastReloads {
    /// The last document taken.
    pub taken: Option<Taken>,
    /// The last document refused; kept when a later one is taken.
    pub refused: Option<Refused>,
}

/// A document that was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Taken {
    /// Its revision.
    pub revision: u64,
    /// When, in seconds since 1970.
    pub at: f64,
}

/// A document that was refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// When, in seconds since 1970.
    pub at: f64,
    /// Why: everything that is wrong with it.
    pub problems: Value,
}

impl Reloads {
    /// What is known now.
    pub fn last(&self) -> LastReloads {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn taken(&self, revision: u64, at: Duration) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.taken = Some(Taken { revision, at: at.as_secs_f64() });
    }

    pub(crate) fn refused(&self, problems: Value, at: Duration) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.refused = Some(Refused { at: at.as_secs_f64(), problems });
    }
}
