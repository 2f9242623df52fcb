use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;

/// How odd paths are read. Router, policies, logs and upstreams all see what comes of it.
///
/// Whatever is set here: escapes of unreserved characters are undone, others brought to upper case,
/// and backslashes, escaped backslashes and escaped control characters are refused, as are dot
/// segments that leave the root, that have parameters (`..;x`) or that escaped slashes hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// The version of these rules; 1 is the only one. What a version reads in one way it reads so
    /// in every later release.
    pub version: u32,
    /// `%2F`.
    pub encoded_slash: EncodedSlash,
    /// `//`.
    pub double_slash: DoubleSlash,
    /// `.` and `..` as segments, also escaped.
    pub dot_segments: DotSegments,
    /// `;`, also escaped: parameters of a segment to some servers.
    pub semicolon: Semicolon,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            version: defaults::paths_version(),
            encoded_slash: defaults::paths_encoded_slash(),
            double_slash: defaults::paths_double_slash(),
            dot_segments: defaults::paths_dot_segments(),
            semicolon: defaults::paths_semicolon(),
        }
    }
}

/// What becomes of `%2F` in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlash {
    /// The request is refused.
    Refuse,
    /// It stays as it is, a part of its segment. The upstream must not take it for a slash.
    Keep,
}

/// What becomes of `//` in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DoubleSlash {
    /// It becomes one slash.
    Merge,
    /// The request is refused.
    Refuse,
    /// It stays, but for the path's start, where it is refused: what follows there is a host to
    /// some.
    Keep,
}

/// What becomes of dot segments in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DotSegments {
    /// They are resolved (RFC 3986 §5.2.4).
    Remove,
    /// The request is refused.
    Refuse,
}

/// What becomes of `;` in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Semicolon {
    /// It stays, a part of its segment.
    Keep,
    /// The request is refused.
    Refuse,
}

/// What becomes of header fields whose name has a `_` or `.`: many servers read them as if it were
/// `-`. Those that could be taken for a field the gateway itself reads or writes are refused
/// whatever is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OddFieldNames {
    /// They are left out and counted.
    Drop,
    /// They go on.
    Keep,
    /// The request is refused.
    Refuse,
}
