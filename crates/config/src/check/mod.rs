//! The tree against the schema: every problem at once, each where it stands.

mod forms;
mod map;
mod policy;
mod scalar;
mod words;

use std::collections::{HashMap, HashSet};

use regex::Regex;
use serde_json::Value;

use crate::fault::{Fault, Faults};
use crate::schema::{POLICY, Schema};
use crate::source::Source;
use crate::tree::{Kind, Node, Origin, Place};

/// What the schema knows of a document beyond right and wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// Values that are secrets by their field's nature.
    pub secret: HashSet<Place>,
    /// What texts that `${…}` made stand for, where a number or a boolean is wanted.
    pub converted: HashMap<Place, Value>,
}

/// Checks `root` against `schema`.
pub(crate) fn check(
    root: &Node,
    schema: &Schema,
    sources: &[Source],
    faults: &mut Faults,
) -> Marks {
    let (patterns, marks) = (HashMap::new(), Marks::default());
    let mut checker = Checker { schema, sources, patterns, faults, marks };
    checker.node(root, schema.to_json(), At { name: Name::Document, key: None });
    checker.marks
}

struct Checker<'s> {
    schema: &'s Schema,
    sources: &'s [Source],
    patterns: HashMap<&'s str, Option<Regex>>,
    faults: &'s mut Faults,
    marks: Marks,
}

/// What a value is called in messages, and its key.
#[derive(Clone, Copy)]
struct At<'t> {
    name: Name<'t>,
    key: Option<Place>,
}

#[derive(Clone, Copy)]
enum Name<'t> {
    Document,
    Field(&'t str),
    ItemOf(&'t str),
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document => f.write_str("the document"),
            Self::Field(name) => write!(f, "`{name}`"),
            Self::ItemOf(name) => write!(f, "an item of `{name}`"),
        }
    }
}

impl<'s> Checker<'s> {
    fn node(&mut self, node: &Node, schema: &'s Value, at: At<'_>) {
        let failed = matches!(&node.kind, Kind::Text(text) if text.origin == Origin::Failed);
        if failed || self.faults.is_full() {
            return;
        }
        let mut leaves = Vec::new();
        self.leaves(schema, &mut leaves);
        if leaves.iter().any(|leaf| words::is_secret(leaf)) {
            self.marks.secret.insert(node.place);
        }
        if leaves.iter().any(|leaf| is_policy(leaf)) {
            return self.policy(node, at);
        }
        let Some(leaf) = self.fitting_form(node, schema, &leaves, at) else { return };
        match &node.kind {
            Kind::Map(entries) => self.map(node, entries, leaf, &leaves, at),
            Kind::List(items) => self.list(node, items, leaf, at),
            _ => self.scalar(node, leaf, at),
        }
        // `{ "$ref": …, "maximum": 5 }`: bounds may also stand beside the reference.
        if !std::ptr::eq(leaf, schema) {
            self.bounds(node, schema, at);
        }
    }

    /// The schemas that `schema` leaves the choice between, references followed. Usually one.
    fn leaves(&self, schema: &'s Value, out: &mut Vec<&'s Value>) {
        if let Some(reference) = crate::schema::text(schema, "$ref") {
            match self.schema.definition(reference) {
                Some(_) if reference == POLICY => out.push(schema),
                Some(target) => self.leaves(target, out),
                None => {}
            }
            return;
        }
        let forms = ["anyOf", "oneOf"].iter().find_map(|word| schema.get(word)?.as_array());
        match forms {
            // Fields beside the forms belong to all of them: such a schema is read as a whole.
            Some(forms) if schema.get("properties").is_none() => {
                forms.iter().for_each(|form| self.leaves(form, out));
            }
            _ => out.push(schema),
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'s Value, at: At<'_>) {
        self.bounds(node, schema, at);
        let Some(item_schema) = schema.get("items") else { return };
        let name = match at.name {
            Name::Field(name) | Name::ItemOf(name) => name,
            Name::Document => "the document",
        };
        for item in items {
            self.node(item, item_schema, At { name: Name::ItemOf(name), key: None });
        }
    }

    fn fault(&mut self, place: Place, what: impl Into<String>, hint: Option<String>) {
        let fault = Fault::new(place, what);
        self.faults.push(match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        });
    }

    /// `node` as it was written.
    fn written(&self, node: &Node) -> &'s str {
        let range = node.place.start as usize..node.place.end as usize;
        self.sources
            .get(node.place.file as usize)
            .and_then(|source| source.text.get(range))
            .unwrap_or_default()
    }

    fn pattern(&mut self, pattern: &'s str) -> Option<&Regex> {
        self.patterns.entry(pattern).or_insert_with(|| Regex::new(pattern).ok()).as_ref()
    }
}

fn is_policy(schema: &Value) -> bool {
    crate::schema::text(schema, "$ref") == Some(POLICY)
}
