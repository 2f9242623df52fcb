//! Texts with a route's parameters in them: new paths of rewrites and redirects.

use std::sync::Arc;

use base::{Pointer, Problem};

use super::unknown;
use crate::path::{BadPath, check_name, check_shape, escape};
use crate::{Template, TemplatePart};

/// Parses a template of a path; every parameter must be one of `params`.
pub(super) fn parse(text: &str, params: &[Arc<str>], at: &Pointer) -> Result<Template, Problem> {
    let bad = |bad: BadPath| bad.problem(at);
    check_shape(text).map_err(bad)?;
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('{') {
        let (name, after) = tail.split_once('}').ok_or_else(|| {
            bad(BadPath::new(format!("`{text}` has a brace without its other half"))
                .hint("write `{name}`; for a brace itself write `%7B`"))
        })?;
        add_text(&mut parts, before).map_err(bad)?;
        let name = name.strip_suffix('*').unwrap_or(name);
        check_name(name).map_err(bad)?;
        let Some(param) = params.iter().position(|param| **param == *name) else {
            if params.is_empty() {
                return Err(Problem::new(at, format!("there is no parameter `{name}`")).hint(
                    "the route's path has none: write it there, as in `match: { path: /{id} }`",
                ));
            }
            let names = params.iter().map(|param| &**param);
            return Err(unknown(at, "parameter", name, names));
        };
        parts.push(TemplatePart::Param(param));
        rest = after;
    }
    add_text(&mut parts, rest).map_err(bad)?;
    Ok(Template { parts })
}

/// Adds text between parameters, in the form paths have.
fn add_text(parts: &mut Vec<TemplatePart>, text: &str) -> Result<(), BadPath> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = String::with_capacity(text.len());
    for (number, piece) in text.split('/').enumerate() {
        if number > 0 {
            out.push('/');
        }
        escape(piece, &mut out)?;
    }
    parts.push(TemplatePart::Text(out.into()));
    Ok(())
}
