//! Templates of paths: `/orders/{id}.json`, `/files/{rest*}`.

use std::sync::Arc;

use super::canonical::{check_segment, check_shape, escape};
use super::{BadPath, PARAMS_MAX, Segment};

/// A template, taken apart.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Its segments, without the slashes; of `/`, one that is empty.
    pub segments: Vec<Segment>,
    /// Whether a last `{name*}` takes the rest.
    pub rest: bool,
    /// The names of its parameters, in order.
    pub params: Vec<Arc<str>>,
}

/// Takes a template apart.
pub(crate) fn parse(text: &str) -> Result<Parsed, BadPath> {
    check_shape(text)?;
    let mut parsed = Parsed { segments: Vec::new(), rest: false, params: Vec::new() };
    for segment in text.split('/').skip(1) {
        if parsed.rest {
            return Err(BadPath::new(format!(
                "`{text}` goes on after the parameter that takes the rest"
            ))
            .hint("put the parameter with `*` last"));
        }
        let Some((before, name, after)) = braces(segment)? else {
            let mut literal = String::new();
            escape(segment, &mut literal)?;
            check_segment(&literal, text)?;
            parsed.segments.push(Segment::Text(literal.into()));
            continue;
        };
        match name.strip_suffix('*') {
            Some(name) if before.is_empty() && after.is_empty() => {
                parsed.rest = true;
                add_param(&mut parsed.params, name, text)?;
            }
            Some(_) => {
                return Err(BadPath::new(format!(
                    "`{segment}` puts text beside a parameter with `*`"
                ))
                .hint("a parameter that takes the rest stands alone after a `/`"));
            }
            None => {
                add_param(&mut parsed.params, name, text)?;
                let (mut left, mut right) = (String::new(), String::new());
                escape(before, &mut left)?;
                escape(after, &mut right)?;
                parsed.segments.push(Segment::Param(left.into(), right.into()));
            }
        }
    }
    Ok(parsed)
}

/// The one `{name}` of a segment, with the text around it.
fn braces(segment: &str) -> Result<Option<(&str, &str, &str)>, BadPath> {
    let unbalanced = || {
        BadPath::new(format!("`{segment}` has a brace without its other half"))
            .hint("write `{name}`; for a brace itself use `exact`")
    };
    let Some((before, tail)) = segment.split_once('{') else {
        return if segment.contains('}') { Err(unbalanced()) } else { Ok(None) };
    };
    let (name, after) = tail.split_once('}').ok_or_else(unbalanced)?;
    if after.contains('{') {
        return Err(BadPath::new(format!("`{segment}` has two parameters in one segment"))
            .hint("use one parameter a segment, or `regex` with named groups"));
    }
    if before.contains('}') || after.contains('}') || name.contains('{') {
        return Err(unbalanced());
    }
    Ok(Some((before, name, after)))
}

fn add_param(params: &mut Vec<Arc<str>>, name: &str, text: &str) -> Result<(), BadPath> {
    check_name(name)?;
    if params.iter().any(|known| **known == *name) {
        return Err(BadPath::new(format!("`{text}` has two parameters named `{name}`"))
            .hint("give each a name of its own"));
    }
    if params.len() == PARAMS_MAX {
        return Err(BadPath::new(format!("`{text}` has more than {PARAMS_MAX} parameters")));
    }
    params.push(name.into());
    Ok(())
}

/// Refuses what can't name a parameter.
pub(crate) fn check_name(name: &str) -> Result<(), BadPath> {
    let good = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if good {
        return Ok(());
    }
    Err(BadPath::new(format!("`{{{name}}}` is no parameter"))
        .hint("a name starts with a letter and has letters, digits, `_` and `-`: `{order_id}`"))
}
