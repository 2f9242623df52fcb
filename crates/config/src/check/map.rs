//! Maps: fields that must be there, fields that may, and fields nobody knows.

use std::collections::HashSet;

use serde_json::Value;

use super::forms::has_field;
use super::words::quoted;
use super::{At, Checker, Name};
use crate::schema::{summary, text};
use crate::tree::{Entry, Node};

/// The fields of a map, from all parts of its schema.
#[derive(Default)]
struct Shape<'s> {
    fields: Vec<(&'s str, &'s Value)>,
    required: Vec<&'s str>,
    /// What a field not named may be; nothing: there may be none.
    others: Option<&'s Value>,
    closed: bool,
    /// What names the fields may have.
    names: Option<&'s Value>,
}

impl<'s> Checker<'s> {
    pub(super) fn map(
        &mut self,
        node: &Node,
        entries: &[Entry],
        schema: &'s Value,
        forms: &[&'s Value],
        at: At<'_>,
    ) {
        let mut shape = Shape::default();
        self.gather(node, schema, &mut shape, at);
        let present: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let mut misspelt = Vec::new();
        for entry in entries {
            let field = At { name: Name::Field(&entry.key), key: Some(entry.place) };
            if let Some(names) = shape.names {
                self.bounds(&Node::text(entry.place, &entry.key), names, field);
            }
            let known = shape.fields.iter().find(|(name, _)| *name == entry.key);
            match known.map(|(_, schema)| *schema).or(shape.others) {
                Some(schema) => self.node(&entry.value, schema, field),
                None if shape.closed => {
                    misspelt.extend(self.unknown(entry, &present, &shape, forms, at));
                }
                None => {}
            }
        }
        for name in &shape.required {
            if !present.contains(name) && !misspelt.contains(name) {
                self.missing(name, &shape, node, at);
            }
        }
        self.bounds(node, schema, at);
    }

    fn gather(&mut self, node: &Node, schema: &'s Value, shape: &mut Shape<'s>, at: At<'_>) {
        let fields = schema.get("properties").and_then(Value::as_object);
        shape.fields.extend(fields.into_iter().flatten().map(|(name, field)| (&**name, field)));
        shape.required.extend(super::words::required(schema));
        shape.names = shape.names.or(schema.get("propertyNames"));
        match schema.get("additionalProperties").or(schema.get("unevaluatedProperties")) {
            Some(Value::Bool(false)) => shape.closed = true,
            Some(others @ Value::Object(_)) => shape.others = Some(others),
            _ => {}
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.gather_one_of(node, part, shape, at);
        }
        for word in ["anyOf", "oneOf"] {
            if fields.is_some() && schema.get(word).is_some() {
                let forms = schema.get(word).and_then(Value::as_array).into_iter().flatten();
                let mut leaves = Vec::new();
                forms.for_each(|form| self.leaves(form, &mut leaves));
                if let Some(form) = self.fitting_form(node, schema, &leaves, at) {
                    self.gather(node, form, shape, at);
                }
            }
        }
    }

    fn gather_one_of(&mut self, node: &Node, part: &'s Value, shape: &mut Shape<'s>, at: At<'_>) {
        let mut leaves = Vec::new();
        self.leaves(part, &mut leaves);
        if let Some(form) = self.fitting_form(node, part, &leaves, at) {
            self.gather(node, form, shape, at);
        }
    }

    /// Says that nobody knows `entry`; returns the field that may have been meant.
    fn unknown(
        &mut self,
        entry: &Entry,
        present: &HashSet<&str>,
        shape: &Shape<'s>,
        forms: &[&'s Value],
        at: At<'_>,
    ) -> Option<&'s str> {
        let key = entry.key.as_str();
        // It may be a field of another form than the one that fitted best.
        if forms.iter().any(|form| has_field(form, key)) {
            let mut fields = shape.fields.iter().map(|(field, _)| *field);
            let other = fields.find(|field| present.contains(field)).unwrap_or_default();
            let what = format!("`{key}` can't stand beside `{other}`");
            self.fault(entry.place, what, Some("keep one of them".into()));
            return None;
        }
        let names: Vec<&str> = shape.fields.iter().map(|(name, _)| *name).collect();
        let free = names.iter().copied().filter(|name| !present.contains(name));
        let meant = base::closest(key, free);
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if names.is_empty() => "it has no fields".into(),
            None => format!("it may have {}", quoted(&names)),
        };
        self.fault(entry.place, format!("unknown field `{key}` in {}", at.name), Some(hint));
        meant
    }

    fn missing(&mut self, name: &str, shape: &Shape<'s>, node: &Node, at: At<'_>) {
        let field = shape.fields.iter().find(|(field, _)| *field == name);
        let about = field.and_then(|(_, schema)| {
            summary(schema)
                .or_else(|| self.schema.definition(text(schema, "$ref")?).and_then(summary))
        });
        let constant = field.and_then(|(_, schema)| schema.get("const"));
        let hint = match about {
            _ if constant.is_some() => {
                format!("add `{name}: {}`", constant.unwrap_or(&Value::Null))
            }
            Some(about) => format!("add `{name}`: {}", lower(&about)),
            None => format!("add `{name}`"),
        };
        let place = at.key.unwrap_or(node.place);
        self.fault(place, format!("`{name}` is missing in {}", at.name), Some(hint));
    }
}

/// The first letter small, unless the word is all capitals.
fn lower(sentence: &str) -> String {
    let mut chars = sentence.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => sentence.to_owned(),
    }
}
