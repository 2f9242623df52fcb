//! The methods a resource knows, for the `Allow` field of a 405 (RFC 9110 §15.5.6).

use std::fmt;

use policy::message::Method;
use smallvec::SmallVec;

/// A set of methods. Displays as the value of `Allow`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(SmallVec<[Method; 8]>);

impl Allow {
    /// Adds a method, once.
    pub(crate) fn add(&mut self, method: Method) {
        if !self.0.contains(&method) {
            self.0.push(method);
        }
    }

    /// The methods.
    pub fn methods(&self) -> &[Method] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, method) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{method}")?;
        }
        Ok(())
    }
}
