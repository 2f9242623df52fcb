//! Applications that settings name.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{Application, Directory};

/// The application `name`; one that is not in the document becomes a problem.
pub(super) fn find(
    directory: &Directory,
    name: &str,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<Arc<Application>> {
    let found = directory.application(name).cloned();
    if found.is_none() {
        let hint = match base::closest(name, directory.names()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "name one that stands in `applications`".to_owned(),
        };
        problems.push(Problem::new(at, format!("there is no application `{name}`")).hint(hint));
    }
    found
}
