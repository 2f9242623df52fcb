//! Pairs of names and values, as queries and forms have them, read into values by what is asked
//! for. Without HTTP.

use base::form_decoded;
use contract::{Encoding, Shape, Style, Types};
use serde_json::{Map, Value};

use super::text::{Reader, is_scalar};
use crate::strict_json;

/// Deepest nesting of `name[a][b]`.
const DEPTH: usize = 16;
/// Fields of a form. A query's are counted before any policy sees it.
const FIELDS_MAX: usize = 1_000;
/// Deepest nesting of JSON in a parameter.
const JSON_DEPTH: u8 = 32;

/// The pairs of a query or a form, and which of them nobody asked for yet.
#[derive(Debug)]
pub(super) struct Pairs<'t> {
    /// Name, value as it came, and whether somebody asked.
    list: Vec<(String, &'t str, bool)>,
}

/// Why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// There is none.
    Missing,
    /// It stands more than once.
    Repeated,
    /// It is not written in its style.
    Malformed,
    /// It is a form with more fields than are read.
    TooMany,
}

impl Unread {
    /// What is said of it.
    pub fn what(self) -> &'static str {
        match self {
            Self::Missing => "it is missing",
            Self::Repeated => "it stands more than once",
            Self::Malformed => "it is not written as the contract has it",
            Self::TooMany => "it has more than 1,000 fields",
        }
    }
}

impl<'t> Pairs<'t> {
    /// The pairs of `text`.
    pub fn of(text: &'t str) -> Self {
        let parts = text.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
        Self { list: pairs.map(|(name, value)| (form_decoded(name), value, false)).collect() }
    }

    /// The names nobody asked for, each once.
    pub fn unknown(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _, asked) in &self.list {
            if !asked && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Asks for `name`, whatever its value.
    pub fn pass(&mut self, name: &str) {
        self.take(name);
    }

    /// The values of `name`, as they came.
    fn take(&mut self, name: &str) -> Vec<&'t str> {
        let mut values = Vec::new();
        for (_, value, asked) in self.list.iter_mut().filter(|(known, ..)| known == name) {
            *asked = true;
            values.push(*value);
        }
        values
    }

    /// The value of `name`, written in this way.
    pub fn value(
        &mut self,
        name: &str,
        (style, explode): (Style, bool),
        shape: &Shape,
        reader: &mut Reader,
    ) -> Result<Value, Unread> {
        let is_map = shape.types.has(Types::OBJECT) && !is_scalar(shape);
        if style == Style::Deep {
            if let Some(found) = self.deep(name, shape, reader) {
                return Ok(found);
            }
            // The style is for maps alone; lists are written as usual where they are not so.
            return self.value(name, (Style::Form, !is_map), shape, reader);
        }
        if style == Style::Form && explode && is_map && !shape.types.has(Types::STRING) {
            return self.members(shape, reader).ok_or(Unread::Missing);
        }
        let values = self.take(name);
        let is_list = shape.types.has(Types::ARRAY) && !is_scalar(shape);
        if style == Style::Form && explode && is_list && !values.is_empty() {
            let items = shape.items.as_ref().map_or(Types::ANY, |items| items.types);
            let values = values.into_iter().map(form_decoded);
            return Ok(values.map(|value| reader.scalar(value, items)).collect());
        }
        let [only] = values.as_slice() else {
            return Err(if values.is_empty() { Unread::Missing } else { Unread::Repeated });
        };
        if style == Style::Json {
            let text = form_decoded(only);
            return strict_json::value(text.as_bytes(), JSON_DEPTH).map_err(|_| Unread::Malformed);
        }
        let read = reader.joined(only, (style, explode), shape, form_decoded);
        read.ok_or(Unread::Malformed)
    }

    /// A map whose members are pairs of their own.
    fn members(&mut self, shape: &Shape, reader: &mut Reader) -> Option<Value> {
        let mut members = Map::new();
        let open = shape.others.is_some();
        for (name, value, asked) in &mut self.list {
            let member = match shape.members.get(name) {
                Some(member) => Some(member),
                None if open && !*asked => shape.others.as_deref(),
                None => continue,
            };
            *asked = true;
            let types = member.map_or(Types::ANY, |member| member.types);
            members.insert(name.clone(), reader.scalar(form_decoded(value), types));
        }
        (!members.is_empty()).then(|| members.into())
    }

    /// A map or a list whose members are written as `name[a][b]`.
    fn deep(&mut self, base: &str, shape: &Shape, reader: &mut Reader) -> Option<Value> {
        let mut found = None;
        for (name, value, asked) in &mut self.list {
            let Some(steps) = name.strip_prefix(base).and_then(steps) else { continue };
            *asked = true;
            let root = found.get_or_insert_with(|| container(shape));
            put(root, &steps, form_decoded(value), Some(shape), reader);
        }
        found
    }

    /// The map that a form is, by the shape of its schema.
    pub fn form(
        &mut self,
        shape: &Shape,
        encodings: &[Encoding],
        reader: &mut Reader,
    ) -> Result<Value, (String, Unread)> {
        if self.list.len() > FIELDS_MAX {
            return Err((String::new(), Unread::TooMany));
        }
        let mut form = Map::new();
        let mut names: Vec<String> = shape.members.keys().cloned().collect();
        for (name, ..) in &self.list {
            // One that is not among the members by its whole name may be a part of one.
            let base =
                if names.contains(name) { name } else { name.split('[').next().unwrap_or(name) };
            if !names.iter().any(|known| known == base) {
                names.push(base.to_owned());
            }
        }
        for name in names {
            let any = Shape::default();
            let member = shape.member(&name).unwrap_or(&any);
            let said = encodings.iter().find(|one| one.name == name);
            let (style, explode) = said.map_or((Style::Form, true), |one| (one.style, one.explode));
            let style = if self.is_deep(&name) { Style::Deep } else { style };
            let is_map = member.types.has(Types::OBJECT) && !is_scalar(member);
            // Members of a form are no parameters: a map in one of them is written by itself.
            let explode = explode && !(is_map && style == Style::Form);
            match self.value(&name, (style, explode), member, reader) {
                Ok(value) => drop(form.insert(name, value)),
                Err(Unread::Missing) => {}
                Err(why) => return Err((name, why)),
            }
        }
        Ok(form.into())
    }

    fn is_deep(&self, base: &str) -> bool {
        let deep = |name: &str| name.strip_prefix(base).is_some_and(|rest| rest.starts_with('['));
        self.list.iter().any(|(name, ..)| deep(name))
    }
}

/// The steps of `[a][b]`; none where it is something else.
fn steps(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let steps: Vec<String> = inner.split("][").map(str::to_owned).collect();
    (steps.len() <= DEPTH).then_some(steps)
}

fn container(shape: &Shape) -> Value {
    let list = shape.types.has(Types::ARRAY) && !shape.types.has(Types::OBJECT);
    if list { Value::Array(Vec::new()) } else { Value::Object(Map::new()) }
}

/// Puts `text` where `steps` lead to in `node`.
fn put(
    node: &mut Value,
    steps: &[String],
    text: String,
    shape: Option<&Shape>,
    reader: &mut Reader,
) {
    let [step, rest @ ..] = steps else { return };
    let inner = match node {
        Value::Array(_) => shape.and_then(|shape| shape.items.as_deref()),
        _ => shape.and_then(|shape| shape.member(step)),
    };
    let types = inner.map_or(Types::ANY, |inner| inner.types);
    let list_next = rest.first().is_some_and(|next| next.is_empty() || next == "0");
    let made = |reader: &mut Reader, text: String| match (rest.is_empty(), inner) {
        (true, _) => reader.scalar(text, types),
        (false, Some(inner)) if !is_scalar(inner) => container(inner),
        (false, _) if list_next => Value::Array(Vec::new()),
        (false, _) => Value::Object(Map::new()),
    };
    match node {
        Value::Object(members) => {
            if rest.is_empty() {
                let value = made(reader, text);
                members.insert(step.clone(), value);
            } else {
                let next =
                    members.entry(step.clone()).or_insert_with(|| made(reader, String::new()));
                put(next, rest, text, inner, reader);
            }
        }
        Value::Array(items) => {
            // Numbers only group what belongs together: no list grows by a number alone.
            let at = step.parse::<usize>().ok().filter(|at| *at < items.len());
            let at = at.unwrap_or(items.len());
            if at == items.len() {
                let value = made(reader, text.clone());
                items.push(value);
            }
            if let Some(next) = items.get_mut(at).filter(|_| !rest.is_empty()) {
                put(next, rest, text, inner, reader);
            }
        }
        _ => {}
    }
}
