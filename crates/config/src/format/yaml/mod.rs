//! YAML 1.2, core schema, one document a file; without tags, merge keys and surprises.

mod scalar;
mod wrong;

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::{empty, too_deep};
use crate::fault::{Fault, Faults};
use crate::tree::{DEPTH_MAX, Kind, Members, Node, Place};

/// What aliases may add to a document, in nodes and bytes of text.
const ALIAS_MAX: usize = 4 << 20;

pub(super) fn parse(file: u32, text: &str, faults: &mut Faults) -> Result<Node, Fault> {
    let bytes = Bytes::new(file, text);
    let mut builder = Builder::new(text, bytes, faults);
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let at = builder.bytes.place(Span::empty(*error.marker()));
                return Err(wrong::explain(error.info(), at, text));
            }
        }
    }
    builder.root.ok_or_else(|| empty(file))
}

/// The scanner counts characters; places count bytes.
struct Bytes {
    file: u32,
    len: usize,
    /// Where each character starts; none when every character is one byte.
    starts: Option<Vec<u32>>,
}

impl Bytes {
    fn new(file: u32, text: &str) -> Self {
        let starts = (!text.is_ascii())
            .then(|| text.char_indices().map(|(at, _)| at as u32).collect::<Vec<_>>());
        Self { file, len: text.len(), starts }
    }

    fn at(&self, marker: Marker) -> usize {
        let start = match &self.starts {
            None => marker.index(),
            Some(starts) => starts.get(marker.index()).map_or(self.len, |at| *at as usize),
        };
        start.min(self.len)
    }

    fn place(&self, span: Span) -> Place {
        Place::new(self.file, self.at(span.start), self.at(span.end))
    }
}

/// Puts events together to a tree. It keeps its own stack: depth is bounded, recursion is not
/// needed.
struct Builder<'a> {
    text: &'a str,
    bytes: Bytes,
    faults: &'a mut Faults,
    open: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    copied: usize,
    documents: usize,
    root: Option<Node>,
}

/// A list or map that is not closed yet.
struct Frame {
    start: Place,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map { members: Members, key: Option<(String, Place)> },
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, bytes: Bytes, faults: &'a mut Faults) -> Self {
        let anchors = HashMap::new();
        let open = Vec::new();
        Self { text, bytes, faults, open, anchors, copied: 0, documents: 0, root: None }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let place = self.bytes.place(span);
        match event {
            Event::DocumentStart(_) => self.document(place),
            Event::Scalar(value, style, anchor, tag) => {
                if let Some(tag) = tag {
                    self.faults.push(wrong::tag(&tag.to_string(), place));
                }
                let node = self.scalar(&value, style, place)?;
                self.add(node, anchor, style == ScalarStyle::Plain)
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(place, anchor, tag.map(|t| t.to_string()), Parts::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let parts = Parts::Map { members: Members::default(), key: None };
                self.start(place, anchor, tag.map(|t| t.to_string()), parts)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(id) => {
                let node = self.alias(id, place)?;
                self.add(node, 0, false)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn document(&mut self, place: Place) -> Result<(), Fault> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(Fault::new(place, "a second document starts here").hint(
                "one file holds one document; put this one in a file of its own beside it, and name the directory",
            ));
        }
        Ok(())
    }

    fn scalar(&self, value: &str, style: ScalarStyle, place: Place) -> Result<Node, Fault> {
        if style != ScalarStyle::Plain {
            return Ok(Node::text(self.closing_quote(place), value));
        }
        Ok(Node { place, kind: scalar::resolve(value, place)? })
    }

    /// The scanner lets a quoted text end where the next token starts, comments between them
    /// included.
    fn closing_quote(&self, place: Place) -> Place {
        let inside = &self.text.as_bytes()[place.start as usize..place.end as usize];
        let Some(quote @ (b'"' | b'\'')) = inside.first().copied() else { return place };
        let mut at = 1;
        while let Some(byte) = inside.get(at) {
            match (quote, byte) {
                (b'"', b'\\') => at += 1,
                (b'\'', b'\'') if inside.get(at + 1) == Some(&b'\'') => at += 1,
                _ if *byte == quote => break,
                _ => {}
            }
            at += 1;
        }
        let start = place.start as usize;
        Place::new(place.file, start, (start + at + 1).min(place.end as usize))
    }

    fn start(
        &mut self,
        start: Place,
        anchor: usize,
        tag: Option<String>,
        parts: Parts,
    ) -> Result<(), Fault> {
        if let Some(tag) = tag {
            self.faults.push(wrong::tag(&tag, start));
        }
        if self.open.len() > DEPTH_MAX {
            return Err(too_deep(start));
        }
        if let Some(Frame { parts: Parts::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Fault::new(start, "a key of a map must be text")
                .hint("if this is text, put it in quotes: `\"{id}\"`"));
        }
        self.open.push(Frame { start, anchor, parts });
        Ok(())
    }

    fn end(&mut self, end: Place) -> Result<(), Fault> {
        let Some(frame) = self.open.pop() else { return Ok(()) };
        let kind = match frame.parts {
            Parts::List(items) => Kind::List(items),
            Parts::Map { members, .. } => Kind::Map(members.finish()),
        };
        let mut place = frame.start.to(end);
        // Block style has no closing bracket: the end is where something else starts.
        let inside = &self.text[place.start as usize..place.end as usize];
        place.end = place.start + inside.trim_end().len() as u32;
        self.add(Node { place, kind }, frame.anchor, false)
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<Node, Fault> {
        let Some(target) = self.anchors.get(&id) else {
            return Err(Fault::new(place, "this alias stands inside of what it stands for")
                .hint("write out what is meant"));
        };
        let mut node = target.clone();
        self.copy(&node, place)?;
        // Of the wrong kind: that is the alias's fault. What is wrong inside is its target's.
        node.place = place;
        Ok(node)
    }

    fn copy(&mut self, node: &Node, place: Place) -> Result<(), Fault> {
        self.copied += node.weight();
        if self.copied > ALIAS_MAX {
            return Err(Fault::new(place, "aliases and anchors unfold to more than 4 MiB here")
                .hint("write out what is meant, or less of it"));
        }
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, plain: bool) -> Result<(), Fault> {
        if anchor > 0 {
            self.copy(&node, node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.parts {
            Parts::List(items) => items.push(node),
            Parts::Map { members, key } => match key.take() {
                Some((name, place)) if name == "<<" => {
                    self.faults.push(wrong::merge_key(place));
                }
                Some((name, place)) => members.put(name, place, node, self.faults),
                None => *key = Some((key_text(self.text, &node, plain)?, node.place)),
            },
        }
        Ok(())
    }
}

/// A key is text as it stands, whatever it would be as a value.
fn key_text(text: &str, node: &Node, plain: bool) -> Result<String, Fault> {
    let place = node.place;
    match &node.kind {
        Kind::Text(text) => Ok(text.value.clone()),
        Kind::List(_) | Kind::Map(_) => Err(Fault::new(place, "a key of a map must be text")),
        _ if plain && place.start < place.end => {
            Ok(text[place.start as usize..place.end as usize].trim_end().to_owned())
        }
        _ => Err(Fault::new(place, "a key is missing before this `:`")),
    }
}
