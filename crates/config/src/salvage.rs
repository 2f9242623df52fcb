//! What is left of a document without what is wrong with it, so that the next stage can look for
//! what is wrong with the rest: everything is reported at once.

use std::collections::HashSet;

use crate::check::Marks;
use crate::fault::{Fault, Faults};
use crate::read::typed;
use crate::tree::{Kind, Node, Place};
use crate::v1::Document;

/// Tries to make a document of what is left; each takes out one item more.
const TRIES: usize = 16;

/// Fields of a document whose items others refer to by name.
const REFERRED: [&str; 7] =
    ["listeners", "upstreams", "apis", "applications", "organizations", "plans", "long_lists"];

/// What was left out of a document.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    names: HashSet<String>,
}

impl LeftOut {
    /// Whether something of this name was left out: that it is not there says nothing.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// What is wrong, inside the document.
enum Culprit {
    /// A field of the document.
    Field(usize),
    /// An item of one of its lists.
    Item(usize, usize),
    /// A key in an item that can go without changing what the rest means.
    Key(usize, usize),
}

/// Takes out of `root` all that `faults` are about: keys that nobody knows, else whole items of the
/// document's lists. None where too little is left to say anything of it.
pub(crate) fn salvage(
    mut root: Node,
    faults: &Faults,
    marks: &Marks,
) -> Option<(Node, Document, LeftOut)> {
    let mut left_out = LeftOut::default();
    for fault in faults.kept() {
        take_out(&mut root, fault.place, &mut left_out)?;
    }
    for _ in 0..TRIES {
        match typed(&root, marks) {
            Ok(document) => return Some((root, document, left_out)),
            Err(Fault { place, .. }) => {
                let culprit = match culprit(&root, place)? {
                    Culprit::Key(list, item) => Culprit::Item(list, item),
                    other => other,
                };
                remove(&mut root, &culprit, place, &mut left_out)?;
            }
        }
    }
    None
}

fn take_out(root: &mut Node, place: Place, left_out: &mut LeftOut) -> Option<()> {
    match culprit(root, place) {
        Some(culprit) => remove(root, &culprit, place, left_out),
        // It went with another one.
        None => (root.place != place).then_some(()),
    }
}

/// What of `root` has `place` in it.
fn culprit(root: &Node, place: Place) -> Option<Culprit> {
    let Kind::Map(fields) = &root.kind else { return None };
    for (number, field) in fields.iter().enumerate() {
        let item = field.value.items().iter().position(|item| item.place.holds(place));
        if let Some(item) = item {
            let found = field.value.items().get(item)?;
            return Some(match is_free_key(found, place) {
                true => Culprit::Key(number, item),
                false => Culprit::Item(number, item),
            });
        }
        let is_list = matches!(field.value.kind, Kind::List(_));
        // Inside a list but in none of its items, it went with another one.
        let inside = !is_list && field.value.place.holds(place);
        if field.place.holds(place) || inside || field.value.place == place {
            return Some(Culprit::Field(number));
        }
    }
    None
}

/// Whether `place` is a key whose loss widens nothing: what a `match` asks for would.
fn is_free_key(node: &Node, place: Place) -> bool {
    match &node.kind {
        Kind::List(items) => items.iter().any(|item| is_free_key(item, place)),
        Kind::Map(entries) => entries.iter().any(|entry| {
            entry.place == place || (entry.key != "match" && is_free_key(&entry.value, place))
        }),
        _ => false,
    }
}

fn remove(root: &mut Node, culprit: &Culprit, place: Place, left_out: &mut LeftOut) -> Option<()> {
    let Kind::Map(fields) = &mut root.kind else { return None };
    match *culprit {
        Culprit::Field(number) => {
            // What others refer to can't be done without: nobody knows what was in it.
            if REFERRED.contains(&fields.get(number)?.key.as_str()) {
                return None;
            }
            fields.remove(number);
        }
        Culprit::Item(list, item) => {
            let field = fields.get_mut(list)?;
            let Kind::List(items) = &mut field.value.kind else { return None };
            let name = items.remove(item).get("name").and_then(Node::as_text).map(str::to_owned);
            // Of one without a name, nobody knows who refers to it.
            if name.is_none() && REFERRED.contains(&field.key.as_str()) {
                return None;
            }
            left_out.names.extend(name);
            // An empty list says something else than a list that is not known.
            if items.is_empty() {
                return None;
            }
        }
        Culprit::Key(list, item) => {
            let Kind::List(items) = &mut fields.get_mut(list)?.value.kind else { return None };
            remove_key(items.get_mut(item)?, place);
        }
    }
    Some(())
}

fn remove_key(node: &mut Node, place: Place) {
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| remove_key(item, place)),
        Kind::Map(entries) => {
            entries.retain(|entry| entry.place != place);
            entries.iter_mut().for_each(|entry| remove_key(&mut entry.value, place));
        }
        _ => {}
    }
}
