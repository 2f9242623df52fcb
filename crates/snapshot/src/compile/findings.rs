//! What is found wrong and odd while a document is compiled. Everything is reported, never the
//! first thing only.

use base::{Problem, Problems};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What keeps the document from running.
    pub problems: Problems,
    /// What is odd about it.
    pub warnings: Problems,
}

impl Findings {
    /// Adds a problem.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds a warning.
    pub fn warning(&mut self, warning: Problem) {
        self.warnings.push(warning);
    }

    /// The value, or none and the problem noted.
    pub fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problem(problem)).ok()
    }
}
