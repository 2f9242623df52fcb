//! A request, as its operation asks for it.

use config::v1::Unknown;
use contract::{In, Operation, Parameter};
use policy::{Exchange, Violation};
use serde_json::{Map, Value};

use super::body::Read as Body;
use super::fields;
use super::form::{Pairs, Unread};
use super::text::{Guess, Reader};

/// Bytes of a name that are told.
const NAME_BYTES: usize = 100;

/// What is asked of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'o> {
    pub operation: &'o Operation,
    pub unknown: Unknown,
}

/// What was read of a request.
#[derive(Debug, Default)]
pub(super) struct Read {
    parts: Map<String, Value>,
    violations: Vec<Violation>,
    /// Query parameters that the operation does not have.
    pub unknown: Vec<String>,
    /// Whether some of it could be read in another way.
    open: bool,
}

impl Asked<'_> {
    /// Reads a request with its body, and gives what is wrong with it, at most `most` of it.
    pub fn judge(
        self,
        exchange: &Exchange,
        mut body: Option<Body<'_>>,
        schema: impl Fn(Map<String, Value>, usize) -> Vec<Violation>,
        most: usize,
    ) -> (Read, Vec<Violation>) {
        let (read, wrong) = self.once(exchange, body.as_mut(), &schema, most, Guess::Typed);
        if wrong.is_empty() || !read.open {
            return (read, wrong);
        }
        let (again, otherwise) = self.once(exchange, body.as_mut(), &schema, most, Guess::Text);
        if otherwise.is_empty() { (again, otherwise) } else { (read, wrong) }
    }

    fn once(
        self,
        exchange: &Exchange,
        body: Option<&mut Body<'_>>,
        schema: &impl Fn(Map<String, Value>, usize) -> Vec<Violation>,
        most: usize,
        guess: Guess,
    ) -> (Read, Vec<Violation>) {
        let mut reader = Reader::new(guess);
        let mut read = self.read(exchange, &mut reader);
        if let Some(body) = body {
            body.add(self.operation, &mut reader, &mut read.parts, &mut read.violations);
        }
        read.open = reader.open;
        let mut wrong = std::mem::take(&mut read.violations);
        let parts = std::mem::take(&mut read.parts);
        if !parts.is_empty() {
            wrong.extend(schema(parts, most));
        }
        wrong.truncate(most.max(1));
        (read, wrong)
    }

    fn read(self, exchange: &Exchange, reader: &mut Reader) -> Read {
        let request = &exchange.request;
        let mut read = Read::default();
        let mut pairs = Pairs::of(request.target.query.as_deref().unwrap_or_default());
        // What its route asks for is no parameter of its own.
        let (_, routed) = self.operation.path_and_query();
        for pair in routed.into_iter().flat_map(|query| query.split('&')) {
            pairs.pass(pair.split('=').next().unwrap_or_default());
        }
        let names = self.operation.path_names();
        for parameter in &self.operation.parameters {
            let value = match parameter.place {
                In::Path => {
                    let at = names.iter().position(|name| *name == parameter.name);
                    let raw = at.and_then(|at| path_value(exchange, at));
                    raw.ok_or(Unread::Missing).and_then(|raw| fields::path(raw, parameter, reader))
                }
                In::Query => {
                    let written = (parameter.style, parameter.explode);
                    pairs.value(&parameter.name, written, &parameter.shape, reader)
                }
                In::Header => fields::header(&request.headers, parameter, reader),
                In::Cookie => fields::cookie(&request.headers, parameter, reader),
            };
            read.add(parameter, value, self.operation);
        }
        if self.unknown != Unknown::Pass {
            read.unknown = pairs.unknown();
        }
        if self.unknown == Unknown::Refuse {
            for name in &read.unknown {
                let what = "the operation has no such parameter";
                read.violations.push(violation("query", name, what, self.operation));
            }
        }
        read
    }
}

impl Read {
    /// Adds the value of a parameter, or says what is wrong with it.
    pub fn add(&mut self, one: &Parameter, value: Result<Value, Unread>, of: &Operation) {
        let place = one.place.word();
        match value {
            Err(Unread::Missing) if !one.required => {}
            Err(why) => self.violations.push(violation(place, &one.name, why.what(), of)),
            Ok(Value::String(text)) if text.is_empty() && one.empty => {}
            Ok(_) if one.schema.is_none() => {}
            Ok(value) => {
                let part = self.parts.entry(place).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(part) = part {
                    part.insert(one.name.clone(), value);
                }
            }
        }
    }
}

/// What is wrong with something in `place` of a request.
pub(super) fn violation(place: &str, name: &str, what: &str, of: &Operation) -> Violation {
    let mut name = name.replace('~', "~0").replace('/', "~1");
    name.truncate(name.floor_char_boundary(NAME_BYTES));
    let slash = if name.is_empty() { "" } else { "/" };
    Violation {
        pointer: format!("/{place}{slash}{name}").into(),
        rule: of.place.pointer.as_str().into(),
        what: what.into(),
    }
}

/// The part of the path that its parameter number `at` stands for.
fn path_value(exchange: &Exchange, at: usize) -> Option<&str> {
    let (start, end) = *exchange.route.as_ref()?.values.get(at)?;
    exchange.request.target.path.get(start as usize..end as usize)
}
