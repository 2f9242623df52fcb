//! What was written, with the position of everything in it: one tree for YAML, JSON and TOML.

use std::collections::HashMap;

use serde_json::{Number, Value};

use crate::fault::{Fault, Faults};

/// How deep lists and maps may stand in each other. Everything that walks a tree may recurse.
pub(crate) const DEPTH_MAX: usize = 64;

/// Where something stands: a file of the sources, and a range of bytes in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

impl Place {
    pub fn new(file: u32, start: usize, end: usize) -> Self {
        // Files are far smaller than 4 GiB: `source::FILE_MAX`.
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        Self { file, start, end: u32::try_from(end).unwrap_or(u32::MAX).max(start) }
    }

    /// Whether all of `other` is in it.
    pub fn holds(self, other: Self) -> bool {
        self.file == other.file && self.start <= other.start && other.end <= self.end
    }

    /// From the start of `self` to the end of `last`.
    pub fn to(self, last: Self) -> Self {
        Self { end: last.end.max(self.start), ..self }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub value: String,
    pub origin: Origin,
}

/// Where a text's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It stands there.
    Written,
    /// `${…}` put it there, at least in part: it is a secret.
    Resolved,
    /// A `${…}` in it could not be resolved, which has been reported.
    Failed,
}

/// A key of a map with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

impl Node {
    pub fn text(place: Place, value: impl Into<String>) -> Self {
        let kind = Kind::Text(Text { value: value.into(), origin: Origin::Written });
        Self { place, kind }
    }

    /// The entry `key` of a map.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value under `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(&text.value),
            _ => None,
        }
    }

    /// The place that `steps` lead to, or of what they last met; of its key where `at_key`.
    pub fn locate(&self, steps: &[String], at_key: bool) -> Place {
        let (mut node, mut key) = (self, None);
        for step in steps {
            let next = match &node.kind {
                Kind::List(items) => {
                    step.parse().ok().and_then(|at: usize| items.get(at)).map(|item| (item, None))
                }
                _ => node.entry(step).map(|entry| (&entry.value, Some(entry.place))),
            };
            // What was left out has no place: its parent's will do.
            let Some(next) = next else { break };
            (node, key) = next;
        }
        key.filter(|_| at_key).unwrap_or(node.place)
    }

    /// Nodes and bytes of text below and in `self`: what a copy costs.
    pub fn weight(&self) -> usize {
        1 + match &self.kind {
            Kind::Text(text) => text.value.len(),
            Kind::List(items) => items.iter().map(Self::weight).sum(),
            Kind::Map(entries) => entries.iter().map(|e| e.key.len() + e.value.weight()).sum(),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => 0,
        }
    }

    /// The same as a JSON value, with scalars as `scalar` has them where it has an opinion.
    pub fn value(&self, scalar: &dyn Fn(&Self) -> Option<Value>) -> Value {
        match &self.kind {
            Kind::List(items) => items.iter().map(|item| item.value(scalar)).collect(),
            Kind::Map(entries) => {
                entries.iter().map(|e| (e.key.clone(), e.value.value(scalar))).collect()
            }
            kind => scalar(self).unwrap_or_else(|| match kind {
                Kind::Bool(value) => Value::Bool(*value),
                Kind::Number(number) => Value::Number(number.clone()),
                Kind::Text(text) => Value::String(text.value.clone()),
                _ => Value::Null,
            }),
        }
    }
}

/// The entries of a map while it is read. A key that comes twice is a fault; the first one stays.
#[derive(Default)]
pub(crate) struct Members {
    entries: Vec<Entry>,
    /// Where each key stands in `entries`, once there are too many to look through.
    index: HashMap<String, usize>,
}

impl Members {
    const LOOKED_THROUGH_MAX: usize = 16;

    pub fn put(&mut self, key: String, place: Place, value: Node, faults: &mut Faults) {
        let few = self.entries.len() <= Self::LOOKED_THROUGH_MAX;
        let first = match few {
            true => self.entries.iter().find(|entry| entry.key == key),
            false => self.index.get(&key).and_then(|at| self.entries.get(*at)),
        };
        if let Some(first) = first {
            return faults.push(
                Fault::new(place, format!("`{key}` is written twice in one map"))
                    .hint("keep one of them; nothing says which one would win")
                    .see(first.place, "first written here"),
            );
        }
        self.entries.push(Entry { key, place, value });
        if self.entries.len() > Self::LOOKED_THROUGH_MAX {
            let known = self.index.len();
            let new = self.entries.iter().enumerate().skip(known);
            self.index.extend(new.map(|(at, entry)| (entry.key.clone(), at)));
        }
    }

    pub fn finish(mut self) -> Vec<Entry> {
        // Most maps are small, and there are many.
        self.entries.shrink_to_fit();
        self.entries
    }
}
