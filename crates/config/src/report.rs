//! Problems as people and machines read them.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use crate::fault::Faults;
use crate::read::Written;
use crate::secrets::Secrets;
use crate::source::Source;
use crate::tree::Place;

/// Problems shown in full; of the rest only the number.
const SHOWN_MAX: usize = 100;
/// Characters of a message.
const MESSAGE_MAX: usize = 1000;
/// Bytes of a line that are shown on each side of a place.
const ASIDE_MAX: usize = 120;

/// Everything wrong with a document, each problem in its file. Shows no secret.
#[derive(Clone, Debug)]
pub struct Report {
    findings: Vec<Finding>,
    count: usize,
    depends: Vec<PathBuf>,
    rest: Option<Box<Written>>,
}

/// One problem, where it stands.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where.
    pub at: Position,
    /// What is wrong, one sentence.
    pub what: String,
    /// What to write or do instead.
    pub hint: Option<String>,
    /// A second place that has to do with it, and why.
    pub see: Option<(Position, String)>,
}

/// A place in a file, with the line it is in.
#[derive(Clone, Debug)]
pub struct Position {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// The line's text, or the part of it around the place; secrets blotted out.
    text: String,
    /// What to underline in `text`.
    mark: Range<usize>,
    /// True if the line starts before `text`.
    is_cut: bool,
}

impl Report {
    pub(crate) fn new(
        faults: Faults,
        sources: &[Source],
        secrets: &Secrets,
        depends: Vec<PathBuf>,
    ) -> Self {
        let (faults, count) = faults.finish();
        let findings = faults
            .into_iter()
            .map(|fault| Finding {
                at: Position::of(fault.place, sources, secrets),
                what: bounded(secrets.blot(fault.what)),
                hint: fault
                    .hint
                    .filter(|hint| !hint.is_empty())
                    .map(|hint| bounded(secrets.blot(hint))),
                see: fault
                    .see
                    .map(|(place, why)| (Position::of(place, sources, secrets), secrets.blot(why))),
            })
            .collect();
        Self { findings, count, depends, rest: None }
    }

    /// With what is left of the document without what is wrong with it.
    pub(crate) fn leaving(self, rest: Written) -> Self {
        Self { rest: Some(Box::new(rest)), ..self }
    }

    /// What is left of the document without what is wrong with it, for the next stage to find what
    /// is wrong with that; nothing is to run by it. None where too little is left.
    pub fn rest(&self) -> Option<&Written> {
        self.rest.as_deref()
    }

    /// With what another stage found.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.findings.extend(other.findings);
        self.count += other.count;
        self.findings.sort_by(|a, b| a.at.order().cmp(&b.at.order()));
        self
    }

    /// The problems, in the order of files and lines; of a great many the first 1,000. Never empty.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What the document depends on, as far as it could be found out: when one of these changes,
    /// reading it again may have another end.
    pub fn depends(&self) -> &[PathBuf] {
        &self.depends
    }

    /// The report as text, each problem with the line it is in; coloured for a terminal if
    /// `colours`.
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for finding in self.findings.iter().take(SHOWN_MAX) {
            out.push_str(&renderer.render(&[finding.group()]));
            out.push_str("\n\n");
        }
        match (self.count, self.count.saturating_sub(SHOWN_MAX)) {
            (1, _) => out.push_str("1 problem"),
            (all, 0) => out.push_str(&format!("{all} problems")),
            (all, more) => out.push_str(&format!("{all} problems, {more} of them not shown")),
        }
        out.push('\n');
        out
    }

    /// The report for machines: a list of objects with `file`, `line`, `column`, `what`, and if
    /// there are any, `hint` and `see` (`file`, `line`, `column`, `why`).
    pub fn to_json(&self) -> Value {
        self.findings.iter().map(Finding::to_json).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

impl Finding {
    fn group(&self) -> Group<'_> {
        let title = Level::ERROR.primary_title(self.what.as_str());
        let mut group = self.at.show(Group::with_title(title), AnnotationKind::Primary, None);
        if let Some((at, why)) = &self.see {
            group = at.show(group, AnnotationKind::Context, Some(why));
        }
        match &self.hint {
            Some(hint) => group.element(Level::HELP.message(hint.as_str())),
            None => group,
        }
    }

    fn to_json(&self) -> Value {
        let place = |at: &Position| json!({ "file": at.file.to_string_lossy(), "line": at.line, "column": at.column });
        let mut out = place(&self.at);
        out["what"] = self.what.as_str().into();
        if let Some(hint) = &self.hint {
            out["hint"] = hint.as_str().into();
        }
        if let Some((at, why)) = &self.see {
            out["see"] = place(at);
            out["see"]["why"] = why.as_str().into();
        }
        out
    }
}

/// `message`, cut if something in it is very long.
fn bounded(message: String) -> String {
    match message.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

impl Position {
    fn order(&self) -> (&PathBuf, usize, usize) {
        (&self.file, self.line, self.column)
    }

    fn of(place: Place, sources: &[Source], secrets: &Secrets) -> Self {
        let Some(source) = sources.get(place.file as usize) else {
            let (file, text) = (PathBuf::new(), String::new());
            return Self { file, line: 1, column: 1, text, mark: 0..0, is_cut: false };
        };
        let (start, end) = (place.start as usize, place.end as usize);
        let (line, range) = source.line(start);
        let start = start.clamp(range.start, range.end);
        let end = end.clamp(start, range.end);
        let whole = &source.text[range.clone()];
        let column = whole[..start - range.start].chars().count() + 1;
        let cut = start.saturating_sub(ASIDE_MAX).max(range.start)
            ..start.max(end.min(start + ASIDE_MAX)).saturating_add(ASIDE_MAX).min(range.end);
        let cut = source.text.floor_char_boundary(cut.start)
            ..source.text.ceil_char_boundary(cut.end).min(range.end);
        let mark = start - cut.start..end.min(cut.end) - cut.start;
        let is_cut = cut.start > range.start;
        let text = secrets.blot_line(place.file, cut.clone(), &source.text[cut]);
        Self { file: source.path.clone(), line, column, text, mark, is_cut }
    }

    /// Adds the line to `group`, with the place underlined.
    fn show<'a>(
        &'a self,
        group: Group<'a>,
        kind: AnnotationKind,
        label: Option<&'a str>,
    ) -> Group<'a> {
        let path = self.file.to_string_lossy();
        if self.text.is_empty() {
            let origin = Origin::path(path);
            return match self.line {
                // What is wrong is the file.
                1 => group.element(origin),
                line => group.element(origin.line(line).char_column(self.column)),
            };
        }
        let mark = kind.span(self.mark.clone()).label(label);
        let snippet = Snippet::source(self.text.as_str()).line_start(self.line).annotation(mark);
        if self.is_cut {
            // The renderer would count the column from where the text was cut.
            let origin = Origin::path(path).line(self.line).char_column(self.column);
            return group.element(origin).element(snippet);
        }
        group.element(snippet.path(path))
    }
}
