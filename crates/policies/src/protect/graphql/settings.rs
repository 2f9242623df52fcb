//! The settings of `graphql`, and what may be wrong with them.

use std::collections::{BTreeMap, HashSet};

use aws_lc_rs::digest::{SHA256, digest};
use base::{ByteSize, Pointer, Problem, Problems};
use policy::World;
use schemars::JsonSchema;
use serde::Deserialize;

use super::document::Kind;
use super::measure::Prices;
use super::{Bounds, Graphql};
use crate::mode::Mode;
use crate::protect::body::Other;

/// Most bytes of a file with documents.
const FILE_BYTES: u64 = 16 << 20;
/// Deepest nesting that can be allowed.
const DEPTH_MAX: usize = 100;

/// What operations may ask for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Graphql")]
pub(super) struct Settings {
    /// Fields inside each other.
    #[schemars(range(min = 1, max = 100))]
    depth: usize,
    /// What an operation may cost.
    cost: u64,
    /// What fields cost, by their names; 1 unless said.
    costs: BTreeMap<String, u64>,
    /// Arguments that say how many there will be of what is inside a field.
    multipliers: Vec<String>,
    /// Fields of an operation.
    fields: u64,
    /// Fields with another name.
    aliases: u64,
    /// Directives of an operation.
    directives: u64,
    /// Tokens of a document.
    tokens: usize,
    /// Operations in one request.
    batch: usize,
    /// Whether the schema may be asked for.
    introspection: Introspection,
    /// Which kinds of operations may be called.
    operations: Vec<Kind>,
    /// A file with the documents that may be sent: in JSON, each under its SHA-256.
    persisted: Option<String>,
    /// Most bytes of a body, all of which is held back until it is measured; a longer one is
    /// refused.
    max: ByteSize,
    /// What becomes of a request that asks for too much.
    mode: Mode,
    /// What becomes of requests that are not GraphQL.
    other_types: Other,
}

/// Whether the schema may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "GraphqlIntrospection")]
enum Introspection {
    /// It may not.
    #[default]
    Refuse,
    /// It may.
    Allow,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            depth: 12,
            cost: 1_000,
            costs: BTreeMap::new(),
            multipliers: ["first", "last", "limit"].map(str::to_owned).to_vec(),
            fields: 500,
            aliases: 20,
            directives: 50,
            tokens: 5_000,
            batch: 1,
            introspection: Introspection::default(),
            operations: vec![Kind::Query, Kind::Mutation, Kind::Subscription],
            persisted: None,
            max: ByteSize(256 << 10),
            mode: Mode::default(),
            other_types: Other::default(),
        }
    }
}

impl Settings {
    /// The policy, or everything that is wrong.
    pub fn ready(self, at: &Pointer, world: &dyn World) -> Result<Graphql, Problems> {
        let mut problems = self.problems(at);
        let persisted = self.persisted.as_deref().map(|file| {
            documents(world, file, &at.key("persisted")).map_err(|bad| problems.push(bad)).ok()
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Graphql {
            bounds: Bounds {
                depth: self.depth,
                cost: self.cost,
                fields: self.fields,
                aliases: self.aliases,
                directives: self.directives,
                tokens: self.tokens,
                batch: self.batch,
            },
            prices: Prices {
                fields: self.costs.into_iter().collect(),
                multipliers: self.multipliers,
            },
            introspection: self.introspection == Introspection::Allow,
            operations: self.operations,
            persisted: persisted.flatten(),
            most: usize::try_from(self.max.0).unwrap_or(usize::MAX),
            mode: self.mode,
            other: self.other_types,
        })
    }

    fn problems(&self, at: &Pointer) -> Problems {
        let mut problems = Problems::new();
        if self.depth > DEPTH_MAX {
            let what = format!("nesting is looked through {DEPTH_MAX} deep at most");
            problems.push(Problem::new(&at.key("depth"), what).hint("10 is enough for most"));
        }
        for (key, is_none) in [
            ("depth", self.depth == 0),
            ("cost", self.cost == 0),
            ("fields", self.fields == 0),
            ("tokens", self.tokens == 0),
            ("batch", self.batch == 0),
            ("max", self.max.0 == 0),
            ("operations", self.operations.is_empty()),
        ] {
            if is_none {
                let what = "nothing is let through by this";
                let hint = "allow at least one, or close the route with `maintenance: {}`";
                problems.push(Problem::new(&at.key(key), what).hint(hint));
            }
        }
        problems
    }
}

/// The hashes of the documents in a file.
fn documents(world: &dyn World, file: &str, at: &Pointer) -> Result<HashSet<String>, Problem> {
    let bytes = world.read(file, "list of documents", FILE_BYTES, at)?;
    let hint = "write `{ \"SHA-256 of the document\": \"the document\" }`";
    let wrong = |what: String| Problem::new(at, what).hint(hint);
    let listed: BTreeMap<String, String> = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("`{file}` is no list of documents: {error}")))?;
    for (hash, text) in &listed {
        let own = hexadecimal(digest(&SHA256, text.as_bytes()).as_ref());
        if !own.eq_ignore_ascii_case(hash) {
            return Err(wrong(format!("`{hash}` in `{file}` is not the SHA-256 of its document")));
        }
        if super::document::read(text, usize::MAX, DEPTH_MAX).is_err() {
            return Err(wrong(format!("`{hash}` in `{file}` is no document of GraphQL")));
        }
    }
    if listed.is_empty() {
        return Err(wrong(format!("`{file}` has no document: nothing could be sent")));
    }
    Ok(listed.into_keys().map(|hash| hash.to_lowercase()).collect())
}

/// Bytes in hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
