//! Nodes found by their text, with few looks into memory: documents have many routes, and what a
//! request asks for is seldom what the one before it did.

use std::hash::Hasher;
use std::ops::Range;

use rustc_hash::FxHasher;
use smallvec::SmallVec;

use super::tree::NodeId;
use crate::snapshot::place;

/// Nodes by their text, which the nodes themselves hold. A table of hashes, half of it empty; that
/// of a single node takes no memory of its own.
#[derive(Debug, Default)]
pub(super) struct Children {
    places: SmallVec<[Place; 2]>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    node: Option<NodeId>,
}

const EMPTY: Place = Place { hash: 0, node: None };

impl Children {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where in memory the table stands.
    pub fn memory(&self) -> Range<usize> {
        place(&self.places)
    }

    /// The node of `text`; `is` tells whether it is a node's text.
    pub fn find(&self, text: &str, is: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let hash = hash(text);
        for place in self.from(hash) {
            let node = place.node?;
            if place.hash == hash && is(node) {
                return Some(node);
            }
        }
        None
    }

    /// Adds the node of `text`, which must not be there yet.
    pub fn add(&mut self, text: &str, node: NodeId) {
        if (self.len + 1) * 2 > self.places.len() {
            let larger = SmallVec::from_elem(EMPTY, (self.places.len() * 2).max(2));
            for place in std::mem::replace(&mut self.places, larger) {
                self.put(place);
            }
        }
        self.put(Place { hash: hash(text), node: Some(node) });
        self.len += 1;
    }

    fn put(&mut self, place: Place) {
        let taken = self.from(place.hash).take_while(|place| place.node.is_some()).count();
        let at = self.place(place.hash, taken);
        if let (Some(slot), Some(_)) = (self.places.get_mut(at), place.node) {
            *slot = place;
        }
    }

    /// The places where `hash` may stand, in order.
    fn from(&self, hash: u32) -> impl Iterator<Item = Place> {
        (0..self.places.len())
            .map_while(move |step| self.places.get(self.place(hash, step)).copied())
    }

    fn place(&self, hash: u32, step: usize) -> usize {
        (hash as usize).wrapping_add(step) & self.places.len().wrapping_sub(1)
    }
}

fn hash(text: &str) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_found_by_its_text_and_nothing_else_is() {
        for count in [0, 1, 2, 3, 100, 1_000] {
            let texts: Vec<String> = (0..count).map(|number| format!("segment-{number}")).collect();
            let mut children = Children::default();
            for (number, text) in texts.iter().enumerate() {
                children.add(text, NodeId::new(number));
            }
            let find = |text: &str| {
                let is = |node: NodeId| texts.get(node.number()).is_some_and(|own| own == text);
                children.find(text, is).map(NodeId::number)
            };
            for (number, text) in texts.iter().enumerate() {
                assert_eq!(find(text), Some(number), "{count}: {text}");
            }
            assert_eq!(find("segment"), None, "{count}");
            assert_eq!(find(""), None, "{count}");
            assert_eq!(children.is_empty(), count == 0);
        }
    }
}
