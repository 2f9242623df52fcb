//! TOML 1.0.

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{empty, too_deep};
use crate::fault::{Fault, Faults};
use crate::tree::{DEPTH_MAX, Entry, Kind, Node, Place};

pub(super) fn parse(file: u32, text: &str, faults: &mut Faults) -> Result<Node, Fault> {
    if text.trim().is_empty() {
        return Err(empty(file));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut wrong: Vec<Fault> = errors.iter().map(|error| explain(file, text, error)).collect();
        // Once it is too deep, the rest is noise.
        if let Some(deep) = errors.iter().position(|e| e.message().contains("recurs")) {
            wrong.truncate(deep + 1);
        }
        let last = wrong.pop().unwrap_or_else(|| empty(file));
        wrong.into_iter().for_each(|fault| faults.push(fault));
        return Err(last);
    }
    let whole = Place::new(file, 0, text.len());
    Ok(Node { place: whole, kind: Kind::Map(entries(file, text, table.get_ref(), 0)?) })
}

fn explain(file: u32, text: &str, error: &toml::de::Error) -> Fault {
    let span = error.span().unwrap_or(0..0);
    let place = Place::new(file, span.start, span.end);
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    if message.contains("recurs") {
        return too_deep(place);
    }
    if message.contains("duplicate key") {
        let key = text.get(span).unwrap_or_default();
        return Fault::new(place, format!("`{key}` is written twice in one map"))
            .hint("keep one of them; nothing says which one would win");
    }
    let fault = Fault::new(place, format!("this is not TOML: {message}"));
    match message.contains("string values must be quoted") {
        true => fault.hint("put it in quotes: \"…\""),
        false => fault,
    }
}

fn entries(file: u32, text: &str, table: &DeTable<'_>, depth: usize) -> Result<Vec<Entry>, Fault> {
    let mut entries = table
        .iter()
        .map(|(key, value)| {
            Ok(Entry {
                key: key.get_ref().to_string(),
                place: Place::new(file, key.span().start, key.span().end),
                value: node(file, text, value, depth + 1)?,
            })
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    // The table comes sorted by name; people read in the order they wrote.
    entries.sort_by_key(|entry| entry.place);
    Ok(entries)
}

fn node(file: u32, text: &str, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Fault> {
    let span = value.span();
    let place = Place::new(file, span.start, span.end);
    if depth > DEPTH_MAX {
        return Err(too_deep(place));
    }
    let kind = match value.get_ref() {
        DeValue::String(value) => return Ok(Node::text(place, value.as_ref())),
        DeValue::Boolean(value) => Kind::Bool(*value),
        DeValue::Integer(value) => Kind::Number(
            i64::from_str_radix(value.as_str(), value.radix())
                .map(Number::from)
                .map_err(|_| Fault::new(place, format!("`{value}` is too large a number")))?,
        ),
        DeValue::Float(value) => {
            Kind::Number(value.as_str().parse().ok().and_then(Number::from_f64).ok_or_else(
                || Fault::new(place, format!("`{value}` is not a number a document may hold")),
            )?)
        }
        // No field is a date; as text it gets the message any other wrong text gets.
        DeValue::Datetime(_) => return Ok(Node::text(place, text.get(span).unwrap_or_default())),
        DeValue::Array(items) => Kind::List(
            items
                .iter()
                .map(|item| node(file, text, item, depth + 1))
                .collect::<Result<Vec<_>, Fault>>()?,
        ),
        DeValue::Table(table) => Kind::Map(entries(file, text, table, depth)?),
    };
    Ok(Node { place, kind })
}
