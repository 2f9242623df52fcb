//! Values as parameters write them: one text for all types, in seven styles (OpenAPI 3.1
//! §4.8.12.3). Without HTTP.

use contract::{Shape, Style, Types};
use serde_json::{Map, Number, Value};

/// How text is read that could be of several types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// As a number, a truth value or null where it can be.
    Typed,
    /// As text.
    Text,
}

/// Reads text.
#[derive(Debug)]
pub(super) struct Reader {
    guess: Guess,
    /// Whether the other guess would have read something else.
    pub open: bool,
}

impl Reader {
    /// One that guesses like this.
    pub fn new(guess: Guess) -> Self {
        Self { guess, open: false }
    }

    /// A value of one piece.
    pub fn scalar(&mut self, text: String, types: Types) -> Value {
        let typed = typed(&text, types);
        match (typed, self.guess) {
            (None, _) => Value::String(text),
            (Some(value), _) if !types.has(Types::STRING) => value,
            (Some(value), Guess::Typed) => {
                self.open = true;
                value
            }
            (Some(_), Guess::Text) => Value::String(text),
        }
    }

    /// A value whose pieces stand in one text, `raw` as it came; `decoded` undoes its escapes.
    /// `None` where a map is written with half a member.
    pub fn joined(
        &mut self,
        raw: &str,
        (style, explode): (Style, bool),
        shape: &Shape,
        decoded: fn(&str) -> String,
    ) -> Option<Value> {
        if shape.types.has(Types::ARRAY) && !is_scalar(shape) {
            let items = shape.items.as_ref().map_or(Types::ANY, |items| items.types);
            if raw.is_empty() {
                return Some(Value::Array(Vec::new()));
            }
            let pieces = pieces(raw, style, explode).into_iter();
            return Some(pieces.map(|piece| self.scalar(decoded(piece), items)).collect());
        }
        if shape.types.has(Types::OBJECT) && !is_scalar(shape) {
            return self.members(raw, (style, explode), shape, decoded);
        }
        Some(self.scalar(decoded(raw), shape.types))
    }

    /// A map: `k=v,k=v` where exploded, else `k,v,k,v`.
    fn members<'t>(
        &mut self,
        raw: &'t str,
        (style, explode): (Style, bool),
        shape: &Shape,
        decoded: fn(&str) -> String,
    ) -> Option<Value> {
        let mut members = Map::new();
        let pieces: Vec<&'t str> =
            if raw.is_empty() { Vec::new() } else { pieces(raw, style, explode) };
        let halves = |pair: &[&'t str]| Some((*pair.first()?, *pair.get(1)?));
        let pairs: Option<Vec<_>> = if explode {
            pieces.iter().map(|piece| piece.split_once('=')).collect()
        } else {
            pieces.chunks(2).map(halves).collect()
        };
        for (name, value) in pairs? {
            let name = decoded(name);
            let types = shape.member(&name).map_or(Types::ANY, |member| member.types);
            let value = self.scalar(decoded(value), types);
            members.insert(name, value);
        }
        Some(members.into())
    }
}

/// Whether text is better read as one piece: where anything may come.
pub(super) fn is_scalar(shape: &Shape) -> bool {
    shape.types == Types::ANY && shape.items.is_none() && shape.members.is_empty()
}

/// The pieces of a list or a map.
fn pieces(raw: &str, style: Style, explode: bool) -> Vec<&str> {
    match (style, explode) {
        (Style::Label, true) => raw.split('.').collect(),
        (Style::Space, _) => raw.split([' ', '+']).flat_map(|part| part.split("%20")).collect(),
        (Style::Tab, _) => raw.split('\t').flat_map(|part| part.split("%09")).collect(),
        (Style::Pipe, _) => raw.split('|').flat_map(|part| part.split("%7C")).collect(),
        _ => raw.split(',').collect(),
    }
}

/// The value of one of `types` that `text` writes, other than text.
fn typed(text: &str, types: Types) -> Option<Value> {
    match text {
        "true" if types.has(Types::BOOLEAN) => Some(Value::Bool(true)),
        "false" if types.has(Types::BOOLEAN) => Some(Value::Bool(false)),
        "" | "null" if types.has(Types::NULL) => Some(Value::Null),
        // JSON's own numbers, and no other forms of them.
        _ if types.has(Types::NUMBER)
            && text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) =>
        {
            serde_json::from_str::<Number>(text).ok().map(Value::Number)
        }
        _ => None,
    }
}
