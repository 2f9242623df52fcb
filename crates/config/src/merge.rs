//! Files that add up to one document, and names that may be given once.

use std::collections::HashMap;

use crate::fault::{Fault, Faults};
use crate::tree::{Entry, Kind, Node, Place};

/// One document from the documents of several files: lists one behind the other, the rest once.
pub(crate) fn merge(files: Vec<Node>, faults: &mut Faults) -> Option<Node> {
    let mut whole: Option<Node> = None;
    for file in files {
        let (place, entries) = match file {
            Node { kind: Kind::Map(entries), place } => (place, entries),
            other => {
                faults.push(
                    Fault::new(other.place, "a document is a map; this file holds none")
                        .hint("start with `version: 1`"),
                );
                continue;
            }
        };
        match &mut whole {
            None => whole = Some(Node { place, kind: Kind::Map(entries) }),
            Some(Node { kind: Kind::Map(before), .. }) => {
                entries.into_iter().for_each(|entry| add(before, entry, faults));
            }
            Some(_) => {}
        }
    }
    whole
}

fn add(entries: &mut Vec<Entry>, new: Entry, faults: &mut Faults) {
    let Some(old) = entries.iter_mut().find(|entry| entry.key == new.key) else {
        return entries.push(new);
    };
    match (&mut old.value.kind, new.value.kind) {
        (Kind::List(items), Kind::List(more)) => items.extend(more),
        (Kind::Number(one), Kind::Number(other)) if new.key == "version" => {
            if *one != other {
                faults.push(
                    Fault::new(new.value.place, "the files of a document disagree on its version")
                        .hint(format!("write version: {one} here, as in the other file"))
                        .see(old.value.place, "the other version"),
                );
            }
        }
        _ => faults.push(
            Fault::new(new.place, format!("`{}` stands in two files of the document", new.key))
                .hint("only lists add up; keep it in one file")
                .see(old.place, "it is here, too"),
        ),
    }
}

/// Refuses names that are given twice, wherever the document's files give them.
pub(crate) fn names(document: &Node, faults: &mut Faults) {
    for (list, what) in [
        ("listeners", "listener"),
        ("upstreams", "upstream"),
        ("apis", "API"),
        ("organizations", "organization"),
        ("applications", "application"),
        ("plans", "plan"),
    ] {
        let mut seen: HashMap<(&str, Option<&str>), Place> = HashMap::new();
        for item in document.get(list).map(Node::items).unwrap_or_default() {
            let Some(name) = item.get("name") else { continue };
            let Some(text) = name.as_text() else { continue };
            // APIs may share a name when their versions differ.
            let version = item.get("version").filter(|_| list == "apis").and_then(Node::as_text);
            if let Some(first) = seen.get(&(text, version)) {
                let version = version.map_or_else(String::new, |version| format!(" `{version}`"));
                faults.push(
                    Fault::new(name.place, format!("there are two {what}s `{text}`{version}"))
                        .hint("give one of them another name")
                        .see(*first, "the first one"),
                );
            } else {
                seen.insert((text, version), name.place);
            }
        }
    }
}
