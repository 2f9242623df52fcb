//! Applications that settings name.

use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use policy::{Application, Caller, Directory, Exchange, Refusal};

/// The application `name`; one that is not in the document becomes a problem.
pub(super) fn find(
    directory: &Directory,
    name: &str,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<Arc<Application>> {
    let found = directory.by_name(name).cloned();
    if found.is_none() {
        let names = directory.applications().iter().map(|known| &*known.name);
        let hint = match base::closest(name, names) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "name one that stands in `applications`".to_owned(),
        };
        problems.push(Problem::new(at, format!("there is no application `{name}`")).hint(hint));
    }
    found
}

/// Lets in `caller`, unless its application may not call at all.
pub(super) fn admit(exchange: &mut Exchange, caller: &Caller) -> Result<(), Refusal> {
    if let Some(application) = &caller.application {
        application.may_call().map_err(Refusal::new)?;
    }
    exchange.caller = Some(caller.clone());
    Ok(())
}

#[cfg(test)]
mod tests;
