//! What is wrong with something a person wrote: where, what, and what to write instead.

use std::fmt;

/// Where in a document: the keys and indexes from its root, as in `apis/0/routes/2/match`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// The whole document.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The member `key` of what `self` points at.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut steps = self.0.clone();
        steps.push(key.into());
        Self(steps)
    }

    /// The element `index` of what `self` points at.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.key(index.to_string())
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// One thing wrong with a document. The document's reader turns `at` into file, line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place.
    pub at: Pointer,
    /// True when the key at `at` is what is wrong, and not its value.
    pub at_key: bool,
    /// What is wrong, one sentence without a full stop.
    pub what: String,
    /// What to write or do instead.
    pub hint: Option<String>,
    /// A second place that has to do with it (the other of two routes that collide), and why.
    pub see: Option<Box<(Pointer, String)>>,
    /// The name that nothing has, where that is what is wrong.
    pub unresolved: Option<String>,
}

impl Problem {
    /// A problem with the value at `at`.
    pub fn new(at: &Pointer, what: impl Into<String>) -> Self {
        Self {
            at: at.clone(),
            at_key: false,
            what: what.into(),
            hint: None,
            see: None,
            unresolved: None,
        }
    }

    /// A problem with the key at `at`.
    pub fn key(at: &Pointer, what: impl Into<String>) -> Self {
        Self { at_key: true, ..Self::new(at, what) }
    }

    /// Says what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Points at a second place.
    #[must_use]
    pub fn see(mut self, at: &Pointer, why: impl Into<String>) -> Self {
        self.see = Some(Box::new((at.clone(), why.into())));
        self
    }
}

/// Everything wrong with a document; never empty where it is an error.
pub type Problems = Vec<Problem>;
