//! What a route's path looks like, segment by segment, and which of two that match the same path
//! goes first.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::regex::Regex;

/// Parameters a path may have.
pub(crate) const PARAMS_MAX: usize = crate::regex::GROUPS_MAX;

/// A path's pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// Its segments, from the root; the API's base path is part of them.
    pub segments: Vec<Segment>,
    /// What comes after them.
    pub end: End,
    /// The names of its parameters, in the order in which they stand.
    pub params: Arc<[Arc<str>]>,
}

/// A segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// This very text.
    Text(Box<str>),
    /// A parameter of one byte or more between two texts; both are mostly empty.
    Param(Box<str>, Box<str>),
}

/// How a pattern ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// The path ends, too.
    Exact,
    /// The path below the API's, from its own start on, matches an expression.
    Regex(Arc<PathRegex>),
    /// A slash, and a parameter that takes what is left.
    Rest,
    /// Nothing, or a slash and anything. `true`: what comes after the slash is a parameter.
    Prefix(bool),
}

/// A regular expression for the path below an API's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PathRegex {
    /// Bytes of the API's path.
    pub base: usize,
    /// The expression.
    pub regex: Regex,
}

impl PathRegex {
    /// Matches `path`, and hands the ranges of its named groups to `found`.
    pub fn matches(&self, path: &str, mut found: impl FnMut(usize, usize)) -> bool {
        match path.get(self.base..) {
            None => false,
            // The API's own path: what is below it is `/`, though it is not written.
            Some("") => self.regex.groups("/", |_, _| found(self.base, self.base)),
            Some(below) => {
                self.regex.groups(below, |start, end| found(self.base + start, self.base + end))
            }
        }
    }
}

impl End {
    /// What ends after the same segments have in common when they match the same paths.
    pub fn place(&self) -> (u8, Option<&PathRegex>) {
        match self {
            Self::Regex(regex) => (self.rank(), Some(regex)),
            Self::Exact | Self::Rest | Self::Prefix(_) => (self.rank(), None),
        }
    }

    /// Which goes first where both match.
    const fn rank(&self) -> u8 {
        match self {
            Self::Exact => 0,
            Self::Regex(_) => 1,
            Self::Rest => 2,
            Self::Prefix(_) => 3,
        }
    }
}

impl Segment {
    /// Whether `segment` of a path fits.
    pub fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Text(text) => **text == *segment,
            Self::Param(before, after) => value(segment, before, after).is_some(),
        }
    }

    /// Which of two that match the same segment goes first: text, then more text around a
    /// parameter, then more of it before.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let text = |segment: &Self| match segment {
            Self::Text(_) => (usize::MAX, 0),
            Self::Param(before, after) => (before.len() + after.len(), before.len()),
        };
        text(other).cmp(&text(self))
    }
}

/// What a parameter between `before` and `after` takes of `segment`: where it starts and ends.
pub(crate) fn value(segment: &str, before: &str, after: &str) -> Option<(usize, usize)> {
    let end = segment.strip_suffix(after)?.len();
    (segment.starts_with(before) && end > before.len()).then_some((before.len(), end))
}

impl Pattern {
    /// Which of two patterns that match the same path goes first; equal where both stand at the
    /// same place of the tree.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let (mut own, mut others) = (self.segments.iter(), other.segments.iter());
        loop {
            match (own.next(), others.next()) {
                (None, None) => return self.end.rank().cmp(&other.end.rank()),
                // Whatever a segment says, it says more than an end that takes anything; and
                // nothing follows `Exact`.
                (Some(_), None) => return Ordering::Less,
                (None, Some(_)) => return Ordering::Greater,
                (Some(a), Some(b)) => match a.precedence(b) {
                    Ordering::Equal => {}
                    decided => return decided,
                },
            }
        }
    }

    /// Whether `path` fits, found by going through it once. The router's tree does the same for all
    /// at once.
    pub fn matches(&self, path: &str) -> bool {
        let mut rest = path;
        for segment in &self.segments {
            let Some(below) = rest.strip_prefix('/') else { return false };
            let (found, after) = below.split_at(below.find('/').unwrap_or(below.len()));
            if !segment.matches(found) {
                return false;
            }
            rest = after;
        }
        match &self.end {
            End::Exact => rest.is_empty(),
            End::Regex(regex) => regex.matches(path, |_, _| {}),
            End::Rest => !rest.is_empty(),
            End::Prefix(_) => true,
        }
    }
}

/// As documents write it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let End::Regex(regex) = &self.end {
            return write!(f, "regex {}", regex.regex.source());
        }
        let mut params = self.params.iter();
        let mut name = || params.next().map_or("", |name| name);
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => write!(f, "/{text}")?,
                Segment::Param(before, after) => write!(f, "/{before}{{{}}}{after}", name())?,
            }
        }
        match &self.end {
            End::Rest | End::Prefix(true) => write!(f, "/{{{}*}}", name()),
            End::Prefix(false) => f.write_str("/*"),
            End::Exact | End::Regex(_) => Ok(()),
        }
    }
}
