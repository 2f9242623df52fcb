//! One JSON Schema (2020-12) for every value that the operations of a contract take, or give.
//!
//! All of them in one, since they share most of what they refer to: each schema stands in it once,
//! however many operations use it. What it is asked about is wrapped in the same way:
//! `{"7": {"query": {"limit": 5}, "body:0": …}}` is a request of the operation number 7, with a
//! body of the first of its types; `{"7": {"0": {"body:0": …}}}` its first response.

use std::collections::HashMap;

use base::{Pointer, Problems};
use serde_json::{Map, Value, json};

use crate::files::Files;
use crate::place::{Found, Place};
use crate::read::problems;
use crate::{Content, Contract, Operation, Parameter};

/// Which way values go: what is `readOnly` need not be in requests, what is `writeOnly` not in
/// responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the API.
    Request,
    /// From it.
    Response,
}

/// Where the definitions of a schema come from.
#[derive(Debug)]
pub struct Origins {
    places: Vec<Place>,
    files: Vec<String>,
}

impl Origins {
    /// Where in the contract the rule stands that is at `path` of the schema: a pointer, behind the
    /// file's name where that is not the first; `path` itself where it comes from none.
    pub fn of(&self, path: &str) -> String {
        let inner = path.strip_prefix("/$defs/").unwrap_or_default();
        let (number, rest) = inner.find('/').map_or((inner, ""), |at| inner.split_at(at));
        let number = number.parse().unwrap_or(usize::MAX);
        match self.places.get(number) {
            Some(Place { file: 0, pointer }) => format!("{pointer}{rest}"),
            Some(Place { file, pointer }) => {
                let name = self.files.get(*file).map_or("", String::as_str);
                format!("{name}#{pointer}{rest}")
            }
            None => path.to_owned(),
        }
    }
}

impl Contract {
    /// The schema of all that goes in `direction`, and where its definitions come from. The
    /// contract is named at `at` of a document.
    ///
    /// # Errors
    /// References that lead nowhere, and what is no schema, each with its place.
    pub fn schema(&self, direction: Direction, at: &Pointer) -> Result<(Value, Origins), Problems> {
        let mut lowering = Lowering {
            files: &self.files,
            direction,
            old: self.is_old(),
            numbers: HashMap::new(),
            queue: Vec::new(),
            wrong: Vec::new(),
        };
        let each = self.operations.iter().enumerate();
        let entries: Map<_, _> = each
            .map(|(number, operation)| (number.to_string(), lowering.operation(operation)))
            .collect();
        let definitions = lowering.definitions();
        if !lowering.wrong.is_empty() {
            return Err(problems(&self.files, lowering.wrong, at));
        }
        let mut places = vec![Place::default(); lowering.numbers.len()];
        for (place, number) in lowering.numbers {
            if let Some(origin) = places.get_mut(number) {
                *origin = place;
            }
        }
        let value = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": entries,
            "$defs": definitions,
        });
        Ok((value, Origins { places, files: self.files.names() }))
    }

    /// Whether its schemas are of a time before 3.1, when they were not quite JSON Schema.
    fn is_old(&self) -> bool {
        let version = self.files.root().and_then(|root| root.text("openapi").map(str::to_owned));
        version.is_none_or(|version| version.starts_with("3.0"))
    }
}

/// Makes definitions of schemas.
struct Lowering<'f> {
    files: &'f Files,
    direction: Direction,
    old: bool,
    numbers: HashMap<Place, usize>,
    queue: Vec<Place>,
    wrong: Vec<(Place, String)>,
}

impl Lowering<'_> {
    fn operation(&mut self, operation: &Operation) -> Value {
        if self.direction == Direction::Request {
            let mut parts = self.parameters(&operation.parameters);
            let body = operation.body.iter().flat_map(|body| &body.contents);
            self.bodies(body, &mut parts);
            return json!({ "properties": parts });
        }
        let each = operation.responses.iter().enumerate();
        let responses: Map<_, _> = each
            .map(|(number, response)| {
                let mut parts = self.parameters(&response.headers);
                self.bodies(response.contents.iter(), &mut parts);
                (number.to_string(), json!({ "properties": parts }))
            })
            .collect();
        json!({ "properties": responses })
    }

    fn parameters(&mut self, parameters: &[Parameter]) -> Map<String, Value> {
        let mut parts: Map<String, Value> = Map::new();
        for one in parameters {
            let Some(schema) = &one.schema else { continue };
            let schema = self.definition(schema.clone());
            let part = parts.entry(one.place.word()).or_insert_with(|| json!({ "properties": {} }));
            if let Some(Value::Object(named)) = part.get_mut("properties") {
                named.insert(one.name.clone(), schema);
            }
        }
        parts
    }

    fn bodies<'c>(
        &mut self,
        contents: impl Iterator<Item = &'c Content>,
        parts: &mut Map<String, Value>,
    ) {
        for (number, content) in contents.enumerate() {
            let Some(schema) = &content.schema else { continue };
            parts.insert(format!("body:{number}"), self.definition(schema.clone()));
        }
    }

    /// A reference to the definition of the schema at `place`, which is made if there is none yet.
    fn definition(&mut self, place: Place) -> Value {
        let next = self.numbers.len();
        let number = *self.numbers.entry(place.clone()).or_insert(next);
        if number == next {
            self.queue.push(place);
        }
        json!({ "$ref": format!("#/$defs/{number}") })
    }

    /// Every definition that is needed.
    fn definitions(&mut self) -> Map<String, Value> {
        let mut made = Map::new();
        while let Some(place) = self.queue.pop() {
            let (files, number) = (self.files, self.numbers.get(&place).copied());
            let Some(number) = number else { continue };
            if let Some(found) = files.at(&place) {
                let schema = self.schema(&found);
                made.insert(number.to_string(), schema);
            }
        }
        made
    }

    fn schema(&mut self, found: &Found<'_>) -> Value {
        let Some(members) = found.value.as_object() else {
            if !found.value.is_boolean() {
                self.wrong.push((found.place.clone(), "a schema is a map".into()));
            }
            return found.value.clone();
        };
        let mut schema = Map::with_capacity(members.len());
        for word in ["$ref", "$dynamicRef"] {
            let Some(reference) = found.text(word) else { continue };
            match self.files.target(found.place.file, reference) {
                Ok(target) => {
                    let reference = self.definition(target.place);
                    // What stands beside a reference counts only since 3.1.
                    if self.old {
                        return reference;
                    }
                    schema.extend(reference.as_object().cloned().into_iter().flatten());
                }
                Err(what) => self.wrong.push((found.place.clone(), what)),
            }
        }
        for (key, member) in found.members() {
            if let Some(lowered) = self.keyword(key, &member) {
                schema.insert(key.to_owned(), lowered);
            }
        }
        self.spare(found, &mut schema);
        let mut schema = if self.old { older(found, schema) } else { schema.into() };
        if let Value::Object(schema) = &mut schema {
            narrow(schema);
        }
        schema
    }

    /// What the keyword `key` says; none where it says nothing about which values fit.
    fn keyword(&mut self, key: &str, found: &Found<'_>) -> Option<Value> {
        Some(match key {
            "type" if found.value == "file" => json!("string"),
            "type" | "enum" | "const" | "multipleOf" | "maximum" | "exclusiveMaximum"
            | "minimum" | "exclusiveMinimum" | "maxLength" | "minLength" | "pattern"
            | "maxItems" | "minItems" | "uniqueItems" | "maxContains" | "minContains"
            | "maxProperties" | "minProperties" | "required" | "dependentRequired" | "format" => {
                found.value.clone()
            }
            "items" if found.value.is_array() => self.list(found),
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => self.schema(found),
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => self.list(found),
            "properties" | "patternProperties" | "dependentSchemas" => {
                let members: Vec<_> = found.members().collect();
                let lowered = members.iter().map(|(name, one)| ((*name).into(), self.schema(one)));
                Value::Object(lowered.collect())
            }
            _ => return None,
        })
    }

    fn list(&mut self, found: &Found<'_>) -> Value {
        let items: Vec<_> = found.items().collect();
        items.iter().map(|item| self.schema(item)).collect()
    }

    /// Takes out of `required` what does not go this way.
    fn spare(&self, found: &Found<'_>, schema: &mut Map<String, Value>) {
        let Some(Value::Array(required)) = schema.get_mut("required") else { return };
        let Some(properties) = found.get("properties") else { return };
        let other = match self.direction {
            Direction::Request => "readOnly",
            Direction::Response => "writeOnly",
        };
        required.retain(|name| {
            let property = name.as_str().and_then(|name| properties.get(name));
            let meant = property.and_then(|found| {
                found
                    .flag(other)
                    .then_some(true)
                    .or_else(|| Some(self.files.follow(found).ok()?.flag(other)))
            });
            meant != Some(true)
        });
    }
}

/// Has numbers of the formats `int32` and `int64` fit into them: JSON Schema has formats for text
/// alone.
fn narrow(schema: &mut Map<String, Value>) {
    let (least, most) = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("int64") => (i64::MIN, i64::MAX),
        _ => return,
    };
    schema.entry("minimum").or_insert_with(|| least.into());
    schema.entry("maximum").or_insert_with(|| most.into());
}

/// What OpenAPI 3.0 and 2.0 have in their own way.
fn older(found: &Found<'_>, mut schema: Map<String, Value>) -> Value {
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        let Some(Value::Bool(exclusively)) = schema.get(exclusive).cloned() else { continue };
        schema.remove(exclusive);
        if let Some(at) = exclusively.then(|| schema.remove(bound)).flatten() {
            schema.insert(exclusive.into(), at);
        }
    }
    if !found.flag("nullable") && !found.flag("x-nullable") {
        return schema.into();
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    if let Some(kind) = schema.get_mut("type") {
        if kind.is_string() {
            *kind = json!([kind.clone(), "null"]);
        }
        return schema.into();
    }
    // Its parts have types of their own.
    if ["allOf", "anyOf", "oneOf"].iter().any(|key| schema.contains_key(*key)) {
        return json!({ "anyOf": [{ "type": "null" }, schema] });
    }
    schema.into()
}
