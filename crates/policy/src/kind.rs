//! How a policy becomes part of Gateward: one [`PolicyKind`] in its folder, one line in the table.

use std::fmt;
use std::sync::Arc;

use base::{Pointer, Problem, Problems};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Code, Compile, Phase, Policy};

/// A kind of policy: everything Gateward knows about it. Parsing, JSON Schema, manual page, console
/// form and compliance test follow from this.
pub struct PolicyKind {
    /// The name it has in documents.
    pub name: &'static str,
    /// When it runs.
    pub phase: Phase,
    /// The manual page, Markdown; its first line is the summary. Taken from the module's comment.
    pub manual: &'static str,
    /// How far it can be relied on.
    pub stage: Stage,
    /// What it is fit to meet.
    pub posture: Posture,
    /// The codes it may refuse with.
    pub codes: &'static [&'static Code],
    /// The JSON Schema of its settings.
    pub schema: fn(&mut SchemaGenerator) -> schemars::Schema,
    /// Turns settings into a policy, or says everything that is wrong with them.
    pub compile: CompileFn,
}

/// Turns settings, which stand at a place of the document, into a policy.
pub type CompileFn = fn(&Value, &Pointer, &mut Compile<'_>) -> Result<Arc<dyn Policy>, Problems>;

/// How far a policy can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its settings and behaviour stay as they are within a major version.
    Stable,
    /// May still change.
    Preview,
}

/// What a policy is fit to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posture {
    /// It may see requests of strangers.
    pub untrusted_callers: bool,
    /// It may see responses of strangers.
    pub untrusted_upstreams: bool,
    /// It holds back whole bodies.
    pub buffers: bool,
}

impl PolicyKind {
    /// The summary: the manual's first line.
    pub fn summary(&self) -> &'static str {
        self.manual.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
    }

    /// Reads settings of type `T`; what serde finds wrong becomes a problem with its place.
    pub fn settings<T: DeserializeOwned>(settings: &Value, at: &Pointer) -> Result<T, Problems> {
        serde_path_to_error::deserialize(settings).map_err(|error| {
            let place = error.path().iter().fold(at.clone(), |at, step| match step {
                serde_path_to_error::Segment::Seq { index } => at.index(*index),
                serde_path_to_error::Segment::Map { key } => at.key(key),
                _ => at,
            });
            let text = error.into_inner().to_string();
            vec![match text.split_once("; ") {
                Some((what, hint)) => Problem::new(&place, what).hint(hint),
                None => Problem::new(&place, text),
            }]
        })
    }

    /// The schema of a settings type, for [`PolicyKind::schema`].
    pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<T>()
    }
}

impl fmt::Debug for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyKind({} in {})", self.name, self.phase)
    }
}

/// Every kind of policy there is, in the order of the table.
#[derive(Clone, Copy, Debug)]
pub struct Registry(&'static [&'static PolicyKind]);

impl Registry {
    /// A registry of these kinds.
    pub const fn new(kinds: &'static [&'static PolicyKind]) -> Self {
        Self(kinds)
    }

    /// All kinds.
    pub const fn kinds(&self) -> &'static [&'static PolicyKind] {
        self.0
    }

    /// The kind of this name.
    pub fn find(&self, name: &str) -> Option<&'static PolicyKind> {
        self.0.iter().copied().find(|kind| kind.name == name)
    }
}
