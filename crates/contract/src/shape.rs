//! Which types a schema takes: the text of a parameter does not tell its type, so that of `5` is
//! told by who asks for it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::files::Files;
use crate::place::Found;

/// How far schemas are followed into each other.
const DEPTH_MAX: u8 = 12;
/// Schemas that are looked at for one shape.
const LOOKS_MAX: u32 = 2000;

/// A set of types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Types(u8);

impl Types {
    /// Text.
    pub const STRING: Self = Self(1);
    /// Numbers, whole ones or all.
    pub const NUMBER: Self = Self(2);
    /// True or false.
    pub const BOOLEAN: Self = Self(4);
    /// Null.
    pub const NULL: Self = Self(8);
    /// Lists.
    pub const ARRAY: Self = Self(16);
    /// Maps.
    pub const OBJECT: Self = Self(32);
    /// Every type.
    pub const ANY: Self = Self(63);

    /// Whether one of `other` is among them.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn of(word: &str) -> Self {
        match word {
            "string" | "file" => Self::STRING,
            "integer" | "number" => Self::NUMBER,
            "boolean" => Self::BOOLEAN,
            "null" => Self::NULL,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self::ANY,
        }
    }
}

/// What a schema takes, as far as text has to be read by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The types it takes.
    pub types: Types,
    /// What the items of a list are; none where nothing is said of them.
    pub items: Option<Box<Shape>>,
    /// What the members of a map are.
    pub members: BTreeMap<String, Shape>,
    /// What its other members are.
    pub others: Option<Box<Shape>>,
}

impl Default for Shape {
    fn default() -> Self {
        Self { types: Types::ANY, items: None, members: BTreeMap::new(), others: None }
    }
}

impl Shape {
    /// What the member `name` is.
    pub fn member(&self, name: &str) -> Option<&Self> {
        self.members.get(name).or(self.others.as_deref())
    }

    /// What `schema` takes.
    pub(crate) fn of(files: &Files, schema: &Found<'_>) -> Self {
        Look { files, left: LOOKS_MAX }.shape(schema.clone(), DEPTH_MAX)
    }
}

/// Looks through schemas, but not without an end.
struct Look<'f> {
    files: &'f Files,
    left: u32,
}

impl Look<'_> {
    fn shape(&mut self, schema: Found<'_>, depth: u8) -> Shape {
        let mut shape = Shape::default();
        let Some(depth) = depth.checked_sub(1) else { return shape };
        let Some(left) = self.left.checked_sub(1) else { return shape };
        self.left = left;
        let files = self.files;
        let owned = Found { value: schema.value, place: schema.place };
        let Ok(schema) = files.follow(owned) else { return shape };
        let mut types = types(schema.value);
        if let Some(items) = schema.get("items").filter(|items| items.value.is_object()) {
            shape.items = Some(Box::new(self.shape(items, depth)));
        }
        if let Some(properties) = schema.get("properties") {
            for (name, member) in properties.members() {
                let member = self.shape(member, depth);
                shape.members.insert(name.to_owned(), member);
            }
        }
        if let Some(others) = schema.get("additionalProperties").filter(|it| it.value.is_object()) {
            shape.others = Some(Box::new(self.shape(others, depth)));
        }
        for all in schema.get("allOf").iter().flat_map(Found::items) {
            let part = self.shape(all, depth);
            types = Types(types.0 & part.types.0);
            shape.take(part);
        }
        for word in ["oneOf", "anyOf"] {
            let Some(list) = schema.get(word) else { continue };
            let mut either = Types::default();
            for one in list.items() {
                let part = self.shape(one, depth);
                either = either.with(part.types);
                shape.take(part);
            }
            types = Types(types.0 & either.0);
        }
        // A schema that nothing fits reads text as if it took anything.
        shape.types = if types == Types::default() { Types::ANY } else { types };
        shape
    }
}

impl Shape {
    /// Adds what `other` says of items and members.
    fn take(&mut self, other: Self) {
        self.items = self.items.take().or(other.items);
        self.others = self.others.take().or(other.others);
        for (name, member) in other.members {
            self.members.entry(name).or_insert(member);
        }
    }
}

/// The types that `schema` says by itself.
fn types(schema: &Value) -> Types {
    let mut types = match schema.get("type") {
        Some(Value::String(word)) => Types::of(word),
        Some(Value::Array(words)) => {
            let words = words.iter().filter_map(Value::as_str).map(Types::of);
            words.fold(Types::default(), Types::with)
        }
        _ => told(schema),
    };
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        types = types.with(Types::NULL);
    }
    types
}

/// The types of the values that are listed; any where none are.
fn told(schema: &Value) -> Types {
    let listed = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    let only = schema.get("const").map(std::slice::from_ref);
    let Some(values) = listed.or(only) else { return Types::ANY };
    let each = values.iter().map(|value| match value {
        Value::Null => Types::NULL,
        Value::Bool(_) => Types::BOOLEAN,
        Value::Number(_) => Types::NUMBER,
        Value::String(_) => Types::STRING,
        Value::Array(_) => Types::ARRAY,
        Value::Object(_) => Types::OBJECT,
    });
    each.fold(Types::default(), Types::with)
}
