//! Paths as documents write them: brought to the form requests have, and taken apart into segments.

mod canonical;
mod pattern;
mod template;
#[cfg(test)]
mod tests;

pub(crate) use canonical::{canonical, check_shape, escape, is_safe, unescape};
pub(crate) use pattern::{End, PARAMS_MAX, PathRegex, Pattern, Segment, value};
pub(crate) use template::{check_name, parse as parse_template};

/// What is wrong with a path, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadPath {
    pub what: String,
    pub hint: Option<String>,
}

impl BadPath {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, as a problem of the document at `at`.
    pub fn problem(self, at: &base::Pointer) -> base::Problem {
        let problem = base::Problem::new(at, self.what);
        match self.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}
