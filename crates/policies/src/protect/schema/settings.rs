//! The settings of `schema`, and what may be wrong with them.

use std::collections::{BTreeMap, HashMap};

use base::{ByteSize, Pointer, Problem, Problems};
use policy::World;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::mode::Mode;
use crate::protect::body::Other;
use crate::protect::validator::{References, Validator, Wrong};

/// Most bytes of a file with a schema.
const FILE_BYTES: u64 = 4 << 20;
/// Most violations that are told.
const TOLD: usize = 100;

/// Which schema bodies have to fit, and what becomes of those that don't.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Schema")]
pub(super) struct Settings {
    /// The JSON Schema. Its draft is what its `$schema` says, or else 2020-12.
    #[serde(default)]
    #[schemars(schema_with = "any")]
    schema: Option<Value>,
    /// A file with the JSON Schema, as JSON, in place of `schema`.
    #[serde(default)]
    file: Option<String>,
    /// Files with schemas that this one refers to, by the URI in its `$ref`. Nothing else is read,
    /// and nothing fetched.
    #[serde(default)]
    references: BTreeMap<String, String>,
    /// Whether `format` is held to: dates, addresses, URIs and the like.
    #[serde(default = "yes")]
    formats: bool,
    /// What becomes of a body that does not fit.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Whether a `POST`, `PUT` or `PATCH` may come without a body.
    #[serde(default)]
    pub(super) optional: bool,
    /// What becomes of bodies that are not JSON by their `Content-Type`.
    #[serde(default)]
    pub(super) other_types: Other,
    /// Most bytes of a body, all of which is held back until it is known to fit; a longer one is
    /// refused.
    #[serde(default = "max")]
    #[schemars(default = "max")]
    pub(super) max: ByteSize,
    /// Most violations that a caller is told of; 0 tells none.
    #[serde(default = "errors")]
    #[schemars(range(max = 100))]
    errors: usize,
}

const fn yes() -> bool {
    true
}

const fn max() -> ByteSize {
    ByteSize(256 << 10)
}

const fn errors() -> usize {
    10
}

fn any(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["object", "boolean"] })
}

impl Settings {
    /// The schema, ready, and how many violations are told.
    pub fn validator(&self, world: &dyn World, at: &Pointer) -> Result<Validator, Problems> {
        let mut problems = Problems::new();
        if self.errors > TOLD {
            let what = format!("at most {TOLD} violations are told");
            problems.push(Problem::new(&at.key("errors"), what).hint("callers need but a few"));
        }
        if self.max.0 == 0 {
            let what = "no body has at most 0 bytes";
            let hint = "to let no body through use `body_size: { max: 0 }`";
            problems.push(Problem::new(&at.key("max"), what).hint(hint));
        }
        let mut references = HashMap::new();
        for (uri, file) in &self.references {
            match read(world, file, &at.key("references").key(uri)) {
                Ok(value) => drop(references.insert(uri.clone(), value)),
                Err(problem) => problems.push(problem),
            }
        }
        let found = match (&self.schema, &self.file) {
            (Some(schema), None) => Ok((schema.clone(), at.key("schema"), true)),
            (None, Some(file)) => {
                let at = at.key("file");
                read(world, file, &at).map(|schema| (schema, at, false))
            }
            _ => {
                let what = "either `schema` or `file` is to be given, one of them";
                Err(Problem::new(at, what).hint("write the schema itself, or name its file"))
            }
        };
        match found {
            Ok((schema, place, inline)) if problems.is_empty() => {
                let made = Validator::new(&schema, References(references), self.formats);
                made.map_err(|wrong| vec![wrong.problem(&place, inline)])
            }
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }

    /// How many violations are told.
    pub fn told(&self) -> usize {
        self.errors
    }
}

impl Wrong {
    /// The same, at its place in the document, or in the file that is named at `place`.
    fn problem(self, place: &Pointer, inline: bool) -> Problem {
        let hint = "see https://json-schema.org for what schemas may say; patterns can't look \
                    around or back, and what `$ref` names stands in `references` or in the schema";
        if inline {
            let steps = self.at.iter().fold(place.clone(), |at, step| match step.parse() {
                Ok(index) => at.index(index),
                Err(_) => at.key(step.as_str()),
            });
            return Problem::new(&steps, self.what).hint(hint);
        }
        let what = format!("at `/{}` of the file: {}", self.at.join("/"), self.what);
        Problem::new(place, what).hint(hint)
    }
}

/// The JSON in a file.
fn read(world: &dyn World, file: &str, at: &Pointer) -> Result<Value, Problem> {
    let bytes = world.read(file, "JSON Schema", FILE_BYTES, at)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let what = format!("`{file}` is no JSON: {error}");
        Problem::new(at, what).hint("write the schema as JSON, or put it into the document")
    })
}
