//! Text to tree, one way for each format.

mod json;
mod toml;
mod yaml;

use std::path::Path;

use crate::fault::{Fault, Faults};
use crate::tree::{Node, Place};

/// A format a document may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    Json,
    Toml,
}

impl Format {
    /// The format that a file's name tells.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }

    /// Reads `text`, the file number `file`. What is wrong goes to `faults`; nothing comes back
    /// when no tree could be made, and then there is a fault.
    pub fn parse(self, file: u32, text: &str, faults: &mut Faults) -> Option<Node> {
        let parsed = match self {
            Self::Yaml => yaml::parse(file, text, faults),
            Self::Json => json::parse(file, text, faults),
            Self::Toml => toml::parse(file, text, faults),
        };
        parsed.map_err(|fault| faults.push(fault)).ok()
    }
}

/// The fault of lists and maps that stand too deep in each other.
fn too_deep(place: Place) -> Fault {
    let limit = crate::tree::DEPTH_MAX;
    Fault::new(place, format!("lists and maps stand more than {limit} deep in each other here"))
        .hint("no document needs this; look for a bracket that is not closed")
}

/// The fault of a file with nothing in it.
fn empty(file: u32) -> Fault {
    Fault::new(Place::new(file, 0, 0), "the file is empty")
        .hint("a document starts with `version: 1` and names listeners, upstreams and apis")
}
