//! The routes of an API: those that are written, and those that its contract adds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use base::{Pointer, Problem, Problems};
use config::v1::{self, HeaderMatch, HeaderPattern, Match, PathMatch, Unknown};
use contract::{Contract, Operation};

use super::world::World;
use super::{Findings, Inputs, unknown};
use crate::tls::Files;

/// The OpenAPI document in `file`, for those who want to know what it has.
///
/// # Errors
/// Everything that is wrong with it.
pub fn contract(file: &str, inputs: &Inputs<'_>) -> Result<Contract, Problems> {
    let files = Files { around: inputs.around, folder: Path::new("") };
    let (world, at) = (World::new(inputs, &files), Pointer::root());
    let reached: (&dyn policy::World, _) = (&world, inputs.carry);
    let files = contract::Files::read(file, &BTreeMap::new(), &at, reached);
    Contract::read(files.map_err(|problem| vec![problem])?, &at)
}

/// A route that is to be made.
pub(super) struct Planned<'d> {
    pub route: Cow<'d, v1::Route>,
    pub at: Pointer,
    pub standing: Standing,
}

/// How a route stands to the API's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has nothing to do with it.
    Free,
    /// It is the operation of this number.
    Operation(u32),
    /// It is for what the contract does not have.
    Unknown,
}

impl Standing {
    /// The operation's number.
    pub fn operation(self) -> Option<u32> {
        match self {
            Self::Operation(number) => Some(number),
            Self::Free | Self::Unknown => None,
        }
    }
}

/// The routes of `api`, which stands at `at`.
pub(super) fn plan<'d>(
    api: &'d v1::Api,
    contract: Option<&Contract>,
    at: &Pointer,
    findings: &mut Findings,
) -> Vec<Planned<'d>> {
    let list = at.key("routes");
    let mut planned = Vec::with_capacity(api.routes.len());
    for (number, route) in api.routes.iter().enumerate() {
        let at = list.index(number);
        planned.extend(written(route, contract, api.contract.is_some(), at, findings));
    }
    if let (Some(contract), Some(said)) = (contract, &api.contract) {
        let pass = said.full().unknown_operations != Unknown::Refuse;
        added(contract, &api.routes, pass, &at.key("contract"), &mut planned);
    } else if api.routes.is_empty() && api.contract.is_none() {
        let route = Cow::Owned(v1::Route::default());
        planned.push(Planned { route, at: at.clone(), standing: Standing::Free });
    }
    planned
}

/// A written route. One that names an operation has that one's method and path.
fn written<'d>(
    route: &'d v1::Route,
    contract: Option<&Contract>,
    promised: bool,
    at: Pointer,
    findings: &mut Findings,
) -> Option<Planned<'d>> {
    let Some(name) = &route.matches.operation else {
        return Some(Planned { route: Cow::Borrowed(route), at, standing: Standing::Free });
    };
    let place = at.key("match").key("operation");
    if !route.matches.methods.is_empty() || route.matches.path.is_some() {
        let what = format!("the operation `{name}` has its own method and path");
        findings.problem(Problem::new(&place, what).hint("remove `methods` and `path` beside it"));
    }
    // A contract that can't be read is a problem of its own.
    let Some(contract) = contract else {
        if !promised {
            let what = format!("there is no operation `{name}`, since the API has no contract");
            let hint = "name its OpenAPI document: `contract: openapi.yaml`";
            findings.problem(Problem::new(&place, what).hint(hint));
        }
        return None;
    };
    let called = |operation: &Operation| {
        let plain = name.split_once(' ');
        operation.id.as_ref() == Some(name)
            || plain == Some((operation.method.as_str(), operation.path.as_str()))
    };
    let Some(number) = contract.operations.iter().position(called) else {
        let names: Vec<String> = contract.operations.iter().map(Operation::name).collect();
        findings.problem(unknown(&place, "operation", name, names.iter().map(String::as_str)));
        return None;
    };
    let operation = contract.operations.get(number)?;
    let mut route = route.clone();
    route.matches = Match { operation: None, ..route.matches };
    take(&mut route.matches, operation);
    let standing = Standing::Operation(u32::try_from(number).ok()?);
    Some(Planned { route: Cow::Owned(route), at, standing })
}

/// A route for every operation that no written route names, and with `pass` one for the rest.
fn added<'d>(
    contract: &Contract,
    written: &[v1::Route],
    pass: bool,
    at: &Pointer,
    planned: &mut Vec<Planned<'d>>,
) {
    let named: HashSet<u32> = planned.iter().filter_map(|one| one.standing.operation()).collect();
    let names: HashSet<&str> = written.iter().filter_map(|route| route.name.as_deref()).collect();
    for (number, operation) in (0..).zip(&contract.operations) {
        if named.contains(&number) {
            continue;
        }
        let short = |id: &&String| id.len() <= super::apis::NAME_BYTES && !id.is_empty();
        let id = operation.id.as_ref().filter(short).filter(|id| !names.contains(id.as_str()));
        let mut route = v1::Route { name: id.cloned(), ..v1::Route::default() };
        take(&mut route.matches, operation);
        let (route, standing) = (Cow::Owned(route), Standing::Operation(number));
        planned.push(Planned { route, at: at.clone(), standing });
    }
    if pass {
        let (route, standing) = (Cow::Owned(v1::Route::default()), Standing::Unknown);
        planned.push(Planned { route, at: at.clone(), standing });
    }
}

/// Has `matches` ask for the method and path of `operation`, and for the query behind that.
fn take(matches: &mut Match, operation: &Operation) {
    let (written, query) = operation.path_and_query();
    matches.methods = vec![operation.method.clone()];
    matches.path = Some(path(written));
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // One whose value is a parameter, or not said, has to be there.
        let there = HeaderMatch::Pattern(HeaderPattern::Present(true));
        let plain = !value.is_empty() && !value.contains('{');
        let wanted = if plain { HeaderMatch::Value(value.to_owned()) } else { there };
        matches.query.insert(name.to_owned(), wanted);
    }
}

/// The path of an operation, as routes have it. Parameters are called as in the contract, as far as
/// a route's may be called so; policies that look into the contract go by their order.
fn path(written: &str) -> PathMatch {
    let (mut template, mut regex) = (String::new(), String::new());
    let mut names: Vec<String> = Vec::new();
    let (mut rest, mut plain) = (written, true);
    while let Some((text, (name, tail))) =
        rest.split_once('{').and_then(|(text, tail)| Some((text, tail.split_once('}')?)))
    {
        plain &= names.is_empty() || text.contains('/');
        let name = called(name, &names);
        template.push_str(&format!("{text}{{{name}}}"));
        regex.push_str(&format!("{}(?P<{name}>[^/]+?)", escaped(text)));
        names.push(name);
        rest = tail;
    }
    template.push_str(rest);
    regex.push_str(&escaped(rest));
    if plain { PathMatch::Template(template) } else { PathMatch::Regex { regex } }
}

/// A name of a parameter that routes may have, and none of `others` has.
fn called(name: &str, others: &[String]) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let mut made: String = name.chars().take(48).map(fit).collect();
    if !made.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        made.insert(0, '_');
    }
    while others.contains(&made) {
        made.push('_');
    }
    made
}

/// `text` as a regular expression that matches it alone.
fn escaped(text: &str) -> String {
    let mut made = String::new();
    for c in text.chars() {
        if !c.is_alphanumeric() && !matches!(c, '/' | '_' | '%' | ' ') {
            made.push('\\');
        }
        made.push(c);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_operations_become_paths_of_routes() {
        let said = |written: &str| match path(written) {
            PathMatch::Template(text) => text,
            PathMatch::Regex { regex } => format!("~{regex}"),
            other => panic!("{other:?}"),
        };
        for (written, made) in [
            ("/orders", "/orders"),
            ("/orders/{id}/lines/{line}", "/orders/{id}/lines/{line}"),
            ("/orders/{order.id}:cancel", "/orders/{order_id}:cancel"),
            ("/files/{1}.json", "/files/{_1}.json"),
            ("/compare/{base}...{head}", "~/compare/(?P<base>[^/]+?)\\.\\.\\.(?P<head>[^/]+?)"),
            ("/a/{x}/{x}", "/a/{x}/{x_}"),
        ] {
            assert_eq!(said(written), made, "{written}");
        }
    }
}
