//! Where an item stands: in the document, or in a line of one of its long lists.

use std::num::NonZeroU16;

use base::{Pointer, Problem};

/// Where an item stands. Kept for every one of millions until all are known, so it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    list: List,
    /// The number of its file, from 1; none in the document.
    file: Option<NonZeroU16>,
    /// Its number in the document, or its line.
    item: u32,
}

/// The lists that items stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Applications,
    Subscriptions,
}

impl List {
    const fn word(self) -> &'static str {
        match self {
            Self::Applications => "applications",
            Self::Subscriptions => "subscriptions",
        }
    }
}

impl Origin {
    /// The item of this number, in the document.
    pub fn written(list: List, item: usize) -> Self {
        Self { list, file: None, item: item as u32 }
    }

    /// The item on this line of the long list's file of this number.
    pub fn line(list: List, file: usize, line: usize) -> Self {
        let file = NonZeroU16::MIN.saturating_add(file as u16);
        Self { list, file: Some(file), item: line as u32 }
    }

    /// Its place in the document; that of its file's name where it stands in one.
    pub fn at(self) -> Pointer {
        let word = self.list.word();
        match self.file {
            None => Pointer::root().key(word).index(self.item as usize),
            Some(file) => {
                Pointer::root().key("long_lists").key(word).index(usize::from(file.get()) - 1)
            }
        }
    }

    /// The place of what is under `steps` in it.
    pub fn below(self, steps: &[&str]) -> Pointer {
        match self.file {
            None => steps.iter().fold(self.at(), |at, step| at.key(*step)),
            Some(_) => self.at(),
        }
    }

    /// `text`, with its line in front where it has one.
    pub fn told(self, text: impl std::fmt::Display) -> String {
        match self.file {
            None => text.to_string(),
            Some(_) => format!("line {}: {text}", self.item),
        }
    }

    /// What is wrong with what is under `steps` in it.
    pub fn problem(self, steps: &[&str], what: impl std::fmt::Display) -> Problem {
        Problem::new(&self.below(steps), self.told(what))
    }

    /// Adds to `problem` that the first of two stands here.
    pub fn first(self, steps: &[&str], problem: Problem) -> Problem {
        problem.see(&self.below(steps), self.told("the first one"))
    }
}
