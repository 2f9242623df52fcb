//! Which of several forms a value was meant to have, so that messages speak of that one.

use serde_json::Value;

use super::words::{self, allowed, quoted, required, types};
use super::{At, Checker};
use crate::tree::{Entry, Kind, Node, Origin};

impl<'s> Checker<'s> {
    /// The form of `leaves` that fits `node` best. Where none does, says so and returns nothing.
    pub(super) fn fitting_form(
        &mut self,
        node: &Node,
        schema: &'s Value,
        leaves: &[&'s Value],
        at: At<'_>,
    ) -> Option<&'s Value> {
        let candidates: Vec<&'s Value> =
            leaves.iter().copied().filter(|leaf| accepts(node, leaf)).collect();
        match (candidates.as_slice(), &node.kind) {
            ([], _) => {
                self.wrong_type(node, schema, leaves, at);
                None
            }
            ([only], _) => Some(*only),
            (several, Kind::Map(entries)) => self.fitting_map(node, entries, several, at),
            (several, Kind::List(_)) => several.first().copied(),
            (several, _) => Some(self.fitting_scalar(node, several, at)?),
        }
    }

    fn wrong_type(&mut self, node: &Node, schema: &'s Value, leaves: &[&'s Value], at: At<'_>) {
        let secret = leaves.iter().any(|leaf| words::is_secret(leaf));
        let written = if secret { "***" } else { self.written(node) };
        let name = at.name;
        let (place, what) = match node.kind {
            Kind::Null => (at.key.unwrap_or(node.place), format!("nothing is written for {name}")),
            _ => {
                let (wanted, found) = (words::wanted(leaves), words::found(node, written));
                (node.place, format!("{name} must be {wanted}; this is {found}"))
            }
        };
        let hint = words::instead(node, written, leaves);
        let about = || crate::schema::summary(schema).map(Into::into);
        self.fault(place, what, hint.or_else(about));
    }

    fn fitting_map(
        &mut self,
        node: &Node,
        entries: &[Entry],
        forms: &[&'s Value],
        at: At<'_>,
    ) -> Option<&'s Value> {
        if let Some(tag) = tag(forms) {
            return self.fitting_tag(node, entries, forms, tag, at);
        }
        let known = |form: &Value| entries.iter().filter(|e| has_field(form, &e.key)).count();
        let missing = |form: &Value| {
            required(form).iter().filter(|name| !entries.iter().any(|e| e.key == **name)).count()
        };
        let best = forms.iter().max_by_key(|form| (known(form), std::cmp::Reverse(missing(form))));
        if let Some(best) = best.filter(|form| known(form) > 0 || missing(form) == 0) {
            return Some(*best);
        }
        let fields: Vec<&str> = forms.iter().flat_map(|form| required(form)).collect();
        let names = quoted(&fields);
        match entries.first() {
            Some(entry) => {
                let hint = match base::closest(&entry.key, fields.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("write one of {names}"),
                };
                let what = format!("unknown field `{}` in {}", entry.key, at.name);
                self.fault(entry.place, what, Some(hint));
            }
            None => {
                let what = format!("{} is empty", at.name);
                self.fault(node.place, what, Some(format!("write one of {names}")));
            }
        }
        None
    }

    /// The form whose constant field `tag` has the value written.
    fn fitting_tag(
        &mut self,
        node: &Node,
        entries: &[Entry],
        forms: &[&'s Value],
        tag: &'s str,
        at: At<'_>,
    ) -> Option<&'s Value> {
        let constant = |form: &&'s Value| form["properties"][tag].get("const");
        let values: Vec<&Value> = forms.iter().filter_map(constant).collect();
        let list = words::one_of(&values);
        let Some(entry) = entries.iter().find(|entry| entry.key == tag) else {
            let what = format!("`{tag}` is missing in {}", at.name);
            self.fault(at.key.unwrap_or(node.place), what, Some(format!("write {list}")));
            return None;
        };
        let word = entry.value.as_text().unwrap_or_default();
        let form = forms.iter().find(|form| constant(form).and_then(Value::as_str) == Some(word));
        if form.is_none() {
            self.not_allowed(&entry.value, &values, At { name: super::Name::Field(tag), ..at });
        }
        form.copied()
    }

    fn fitting_scalar(
        &mut self,
        node: &Node,
        forms: &[&'s Value],
        at: At<'_>,
    ) -> Option<&'s Value> {
        let value = node.value(&|_| None);
        let named = |form: &&&'s Value| allowed(form).contains(&&value);
        if let Some(form) = forms.iter().find(named) {
            return Some(*form);
        }
        let open = forms.iter().filter(|form| allowed(form).is_empty());
        if let Some(form) = open.clone().find(|form| self.is_right(node, form)) {
            return Some(*form);
        }
        if let Some(first) = open.clone().next() {
            return Some(*first);
        }
        let values: Vec<&Value> = forms.iter().flat_map(|form| allowed(form)).collect();
        self.not_allowed(node, &values, at);
        None
    }

    /// True where the scalar `node` has nothing wrong by `schema`.
    fn is_right(&mut self, node: &Node, schema: &'s Value) -> bool {
        let before = self.faults.count();
        let at = At { name: super::Name::Document, key: None };
        self.bounds(node, schema, at);
        let right = self.faults.count() == before;
        self.faults.forget_after(before);
        right
    }
}

/// True where `node` is of a type that `schema` takes.
fn accepts(node: &Node, schema: &Value) -> bool {
    let names = types(schema);
    let takes = |name: &str| names.contains(&name);
    names.is_empty()
        || match &node.kind {
            Kind::Null => takes("null"),
            Kind::Bool(_) => takes("boolean"),
            Kind::Number(number) if number.is_f64() => takes("number"),
            Kind::Number(_) => takes("integer") || takes("number"),
            Kind::Text(text) => {
                takes("string")
                    || (text.origin == Origin::Resolved
                        && super::scalar::convert(&text.value, &names).is_some())
            }
            Kind::List(_) => takes("array"),
            Kind::Map(_) => takes("object"),
        }
}

/// True where a map of the form `schema` may have the field `name`.
pub(super) fn has_field(schema: &Value, name: &str) -> bool {
    schema.get("properties").is_some_and(|fields| fields.get(name).is_some())
}

/// The field that is a constant in every one of `forms`: it tells them apart.
fn tag<'s>(forms: &[&'s Value]) -> Option<&'s str> {
    let fields = forms.first()?.get("properties")?.as_object()?;
    let constant = |form: &&Value, name: &str| form["properties"][name].get("const").is_some();
    fields.keys().map(String::as_str).find(|name| forms.iter().all(|form| constant(form, name)))
}
