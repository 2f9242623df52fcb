//! XML looked through without keeping it, up to the first thing that is not as it should be.
//! Without HTTP.
//!
//! Well-formed by XML 1.0 and by Namespaces in XML 1.0, in UTF-8. There is no DTD and there are no
//! entities of one's own: what would need them is refused before it is read on.

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

/// What XML may be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Elements inside each other.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Elements right inside one.
    pub children: usize,
    /// Attributes of an element, declarations of namespaces among them.
    pub attributes: usize,
    /// Namespaces declared around an element.
    pub namespaces: usize,
    /// Bytes of a name.
    pub name: usize,
    /// Bytes of an attribute's value, as written.
    pub value: usize,
    /// Bytes of a text between two tags, as written.
    pub text: usize,
    /// Whether there may be comments.
    pub comments: bool,
    /// Whether there may be processing instructions.
    pub instructions: bool,
}

/// A bound that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Depth,
    Elements,
    Children,
    Attributes,
    Namespaces,
    Name,
    Value,
    Text,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is no XML, or not in one way only.
    Form(&'static str),
    /// It is more than is taken.
    Bound(Broken, usize),
    /// It has what is not taken at all.
    Forbidden(&'static str),
}

/// Looks through `text`.
pub(super) fn check(text: &str, bounds: &Bounds) -> Result<(), Bad> {
    if !text.chars().all(is_char) {
        return Err(Bad::Form("it holds a character that XML has not"));
    }
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    reader.config_mut().check_comments = true;
    let mut walk = Walk::new(bounds);
    let mut first = true;
    loop {
        let event = reader.read_event().map_err(|_| Bad::Form("it is not well-formed"))?;
        match event {
            Event::Decl(said) if first => declaration(&said)?,
            Event::Decl(_) => return Err(Bad::Form("a declaration stands in the middle")),
            Event::DocType(_) => return Err(Bad::Forbidden("a document type (DTD)")),
            Event::Start(tag) => walk.open(&tag)?,
            Event::Empty(tag) => {
                walk.open(&tag)?;
                walk.close();
            }
            // That names match is the reader's business.
            Event::End(_) => walk.close(),
            Event::Text(text) => walk.text(&text.into_inner(), false)?,
            Event::CData(text) => walk.text(&text.into_inner(), true)?,
            Event::GeneralRef(reference) => walk.reference(&reference)?,
            Event::Comment(_) if !bounds.comments => return Err(Bad::Forbidden("a comment")),
            Event::Comment(_) => walk.run = 0,
            Event::PI(instruction) => {
                if !bounds.instructions {
                    return Err(Bad::Forbidden("a processing instruction"));
                }
                if instruction.target().eq_ignore_ascii_case("xml") {
                    return Err(Bad::Form("a declaration stands in the middle"));
                }
                name(instruction.target(), bounds)?;
            }
            Event::Eof => return walk.end(),
        }
        first = false;
    }
}

/// What was seen so far.
struct Walk<'t> {
    bounds: &'t Bounds,
    /// Elements inside each of those that are open.
    open: Vec<usize>,
    /// Namespaces in force: how deep they were declared, prefix and name.
    namespaces: Vec<(usize, String, String)>,
    elements: usize,
    /// Bytes of the text that is being read.
    run: usize,
    /// Whether the one element around all others has begun.
    root: bool,
}

impl<'t> Walk<'t> {
    fn new(bounds: &'t Bounds) -> Self {
        let (open, namespaces) = (Vec::new(), Vec::new());
        Self { bounds, open, namespaces, elements: 0, run: 0, root: false }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), Bad> {
        if self.open.is_empty() && self.root {
            return Err(Bad::Form("there are two elements at its top"));
        }
        (self.root, self.run) = (true, 0);
        self.elements += 1;
        bound(self.elements, self.bounds.elements, Broken::Elements)?;
        bound(self.open.len() + 1, self.bounds.depth, Broken::Depth)?;
        if let Some(children) = self.open.last_mut() {
            *children += 1;
            bound(*children, self.bounds.children, Broken::Children)?;
        }
        self.open.push(0);
        name(tag.name().0, self.bounds)?;
        self.attributes(tag)
    }

    fn attributes(&mut self, tag: &BytesStart<'_>) -> Result<(), Bad> {
        let mut named: Vec<String> = Vec::new();
        for (number, attribute) in tag.attributes().enumerate() {
            bound(number + 1, self.bounds.attributes, Broken::Attributes)?;
            // Twice the same name is an error of its own.
            let attribute = attribute.map_err(|_| Bad::Form("an attribute is not well-formed"))?;
            let key = attribute.key.0;
            name(key, self.bounds)?;
            bound(attribute.value.len(), self.bounds.value, Broken::Value)?;
            value(&attribute.value)?;
            match key.strip_prefix("xmlns").map(|rest| rest.strip_prefix(':').unwrap_or(rest)) {
                Some(prefix) if key == "xmlns" || key.starts_with("xmlns:") => {
                    self.declare(prefix, &attribute.value)?;
                }
                _ => named.push(key.to_owned()),
            }
        }
        self.prefix(tag.name().0)?;
        // Two prefixes may stand for one namespace: then one local name is one attribute.
        let mut whole: Vec<(&str, &str)> = Vec::new();
        for key in &named {
            let Some((prefix, local)) = key.split_once(':') else { continue };
            let namespace = self.prefix(key)?.unwrap_or(prefix);
            if whole.contains(&(namespace, local)) {
                return Err(Bad::Form("an element has an attribute twice"));
            }
            whole.push((namespace, local));
        }
        Ok(())
    }

    /// Declares the namespace of `prefix` for the element that was opened last.
    fn declare(&mut self, prefix: &str, namespace: &str) -> Result<(), Bad> {
        if prefix == "xmlns" || prefix == "xml" || !prefix.is_empty() && namespace.is_empty() {
            return Err(Bad::Form("a prefix can't be declared so"));
        }
        self.namespaces.push((self.open.len(), prefix.to_owned(), namespace.to_owned()));
        bound(self.namespaces.len(), self.bounds.namespaces, Broken::Namespaces)
    }

    /// The namespace of a name with a prefix; none of one without.
    fn prefix(&self, name: &str) -> Result<Option<&str>, Bad> {
        let Some((prefix, _)) = name.split_once(':') else { return Ok(None) };
        if prefix == "xml" {
            return Ok(Some("http://www.w3.org/XML/1998/namespace"));
        }
        let mut known = self.namespaces.iter().rev();
        let found = known.find(|(_, known, _)| known == prefix);
        found.map(|(.., name)| Some(name.as_str())).ok_or(Bad::Form("a prefix is not declared"))
    }

    fn close(&mut self) {
        let depth = self.open.len();
        self.namespaces.retain(|(declared, ..)| *declared < depth);
        self.open.pop();
        self.run = 0;
    }

    fn text(&mut self, text: &str, marked: bool) -> Result<(), Bad> {
        if self.open.is_empty() && (marked || !text.bytes().all(|byte| byte.is_ascii_whitespace()))
        {
            return Err(Bad::Form("there is text outside of its element"));
        }
        if !marked && text.contains("]]>") {
            return Err(Bad::Form("`]]>` stands in a text"));
        }
        self.run += text.len();
        bound(self.run, self.bounds.text, Broken::Text)
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Bad> {
        if self.open.is_empty() {
            return Err(Bad::Form("there is text outside of its element"));
        }
        entity(reference)?;
        self.run += reference.len() + 2;
        bound(self.run, self.bounds.text, Broken::Text)
    }

    fn end(&self) -> Result<(), Bad> {
        match (self.root, self.open.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => Err(Bad::Form("it ends before its elements do")),
            (false, _) => Err(Bad::Form("there is no element")),
        }
    }
}

fn bound(count: usize, most: usize, broken: Broken) -> Result<(), Bad> {
    if count > most { Err(Bad::Bound(broken, most)) } else { Ok(()) }
}

/// The declaration at the start of a document.
fn declaration(said: &BytesDecl<'_>) -> Result<(), Bad> {
    let version = said.version().map_err(|_| Bad::Form("its declaration is not well-formed"))?;
    if version != "1.0" {
        return Err(Bad::Form("it is not of XML 1.0"));
    }
    match said.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("us-ascii") => Ok(()),
        Some(_) => Err(Bad::Form("it says of itself that it is not UTF-8")),
    }
}

/// A name of an element, an attribute or an instruction, with or without a prefix.
fn name(text: &str, bounds: &Bounds) -> Result<(), Bad> {
    bound(text.len(), bounds.name, Broken::Name)?;
    let part = |part: &str| {
        let mut chars = part.chars();
        let first = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
        // XML has a few more marks; none of them ends a name or begins markup.
        first
            && chars.all(|c| {
                c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '\u{b7}') || c > '\u{2ff}'
            })
    };
    let good = match text.split_once(':') {
        Some((prefix, local)) => part(prefix) && part(local),
        None => part(text),
    };
    if good { Ok(()) } else { Err(Bad::Form("a name is none")) }
}

/// The value of an attribute, as written.
fn value(text: &str) -> Result<(), Bad> {
    if text.contains('<') {
        return Err(Bad::Form("`<` stands in an attribute"));
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('&') {
        let Some((name, tail)) = after.split_once(';') else {
            return Err(Bad::Form("`&` stands in an attribute"));
        };
        entity(&BytesRef::new(name))?;
        rest = tail;
    }
    Ok(())
}

/// What stands between `&` and `;`: a character, or one of the five names that XML has.
fn entity(reference: &BytesRef<'_>) -> Result<(), Bad> {
    match reference.resolve_char_ref() {
        Ok(Some(c)) if is_char(c) => Ok(()),
        Ok(None) if matches!(&**reference, "lt" | "gt" | "amp" | "quot" | "apos") => Ok(()),
        Ok(None) => Err(Bad::Forbidden("an entity")),
        Ok(Some(_)) | Err(_) => Err(Bad::Form("a reference to a character is none")),
    }
}

/// A character of XML 1.0 (§2.2).
fn is_char(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => c >= ' ',
    }
}

#[cfg(test)]
mod tests;
