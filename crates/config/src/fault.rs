//! One thing wrong with what was written, at its place in a file.

use crate::tree::Place;

/// Like a `base::Problem`, but already in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub place: Place,
    /// What is wrong: one sentence without a full stop.
    pub what: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// A second place that has to do with it, and why.
    pub see: Option<(Place, String)>,
}

impl Fault {
    pub fn new(place: Place, what: impl Into<String>) -> Self {
        Self { place, what: what.into(), hint: None, see: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn see(mut self, place: Place, why: impl Into<String>) -> Self {
        self.see = Some((place, why.into()));
        self
    }
}

/// Faults found so far. Memory stays bounded however wrong a document is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    kept: Vec<Fault>,
    count: usize,
}

impl Faults {
    /// Faults kept; more are only counted.
    pub const KEPT_MAX: usize = 1000;

    pub fn push(&mut self, fault: Fault) {
        self.count += 1;
        if self.kept.len() < Self::KEPT_MAX {
            self.kept.push(fault);
        }
    }

    /// True when no further fault is kept, so that looking for more is in vain.
    pub fn is_full(&self) -> bool {
        self.kept.len() == Self::KEPT_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Those that are kept.
    pub fn kept(&self) -> &[Fault] {
        &self.kept
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Forgets what came after there were `count` faults.
    pub fn forget_after(&mut self, count: usize) {
        self.kept.truncate(count);
        self.count = self.count.min(count);
    }

    /// The faults by place, each once, and how many there are in all.
    pub fn finish(mut self) -> (Vec<Fault>, usize) {
        self.kept.sort_by_key(|fault| fault.place);
        let kept = self.kept.len();
        self.kept.dedup();
        let twice = kept - self.kept.len();
        (self.kept, self.count - twice)
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<T: IntoIterator<Item = Fault>>(faults: T) -> Self {
        let mut all = Self::default();
        faults.into_iter().for_each(|fault| all.push(fault));
        all
    }
}
