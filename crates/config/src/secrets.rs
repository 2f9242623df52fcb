//! The secrets of a document, so that nothing shown contains one.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;

use crate::check::Marks;
use crate::tree::{Kind, Node, Origin, Place};

/// What stands where a secret would.
const MASK: &str = "***";

/// Values that came from `${…}`, and values of fields that are secrets by nature.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    /// Longest first, so that a part of another does not blot it half.
    values: Vec<String>,
    /// Where secrets are written out.
    places: Vec<Place>,
}

impl Secrets {
    /// The secrets in `root`, with the `resolved` values that `${…}` put in.
    pub fn of(root: &Node, marks: &Marks, resolved: HashSet<String>) -> Self {
        let mut values = resolved;
        let mut places = Vec::new();
        collect(root, marks, &mut values, &mut places);
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        places.sort();
        Self { values, places }
    }

    /// `message` with `***` for every secret in it.
    pub fn blot(&self, message: String) -> String {
        // Very short ones are words of messages, too; those are only blotted where they are quoted.
        self.values.iter().fold(message, |message, secret| match secret.chars().count() {
            0 => message,
            1..4 => message.replace(&format!("`{secret}`"), &format!("`{MASK}`")),
            _ => message.replace(secret.as_str(), MASK),
        })
    }

    /// `text`, which is `range` of a file, with `*` for every byte of a secret that is written out
    /// in it.
    pub fn blot_line(&self, file: u32, range: Range<usize>, text: &str) -> String {
        let from = self.places.partition_point(|place| place.file < file);
        let near = self.places[from..]
            .iter()
            .take_while(|place| place.file == file && (place.start as usize) < range.end);
        let mut bytes = text.as_bytes().to_vec();
        for place in near.filter(|place| place.end as usize > range.start) {
            let start = (place.start as usize).max(range.start) - range.start;
            let end = (place.end as usize).min(range.end) - range.start;
            bytes[start..end].fill(b'*');
        }
        // Places begin and end at characters, so what is left is text.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

fn collect(node: &Node, marks: &Marks, values: &mut HashSet<String>, places: &mut Vec<Place>) {
    let secret = marks.secret.contains(&node.place);
    match &node.kind {
        Kind::Text(text) if text.origin == Origin::Resolved => {
            values.insert(text.value.clone());
        }
        Kind::Text(text) if secret => {
            values.insert(text.value.clone());
            places.push(node.place);
        }
        Kind::Number(_) | Kind::Bool(_) if secret => places.push(node.place),
        Kind::List(items) => items.iter().for_each(|item| collect(item, marks, values, places)),
        Kind::Map(entries) => {
            entries.iter().for_each(|entry| collect(&entry.value, marks, values, places));
        }
        _ => {}
    }
}

/// `root` as JSON, with `***` for every secret. Read again it means the same: a plain `${` is
/// written as it must be in a document.
pub(crate) fn masked(root: &Node, marks: &Marks) -> Value {
    root.value(&|node| match &node.kind {
        Kind::Text(text) if text.origin != Origin::Written => Some(MASK.into()),
        _ if marks.secret.contains(&node.place) => Some(MASK.into()),
        Kind::Text(text) if text.value.contains("${") => {
            Some(text.value.replace("${", "$${").into())
        }
        _ => None,
    })
}
