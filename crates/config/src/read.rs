//! The first stage of a configuration's life: read, parse, add up, expand, check.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base::{Pointer, Problem};
use serde::Deserialize;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::check::{self, Marks};
use crate::digest;
use crate::expand::Expander;
use crate::fault::{Fault, Faults};
use crate::format::Format;
use crate::merge;
use crate::report::Report;
use crate::salvage::{LeftOut, salvage};
use crate::schema::Schema;
use crate::secrets::{Secrets, masked};
use crate::source::{FILE_MAX, Memory, Source, Surroundings};
use crate::tree::{Node, Place};
use crate::v1::Document;

/// A document that is right by itself, and where everything in it was written.
#[derive(Clone)]
pub struct Written {
    /// The document.
    pub document: Document,
    /// The files it was read from.
    pub sources: Vec<Source>,
    /// What paths in the document are relative to.
    pub folder: PathBuf,
    /// What it depends on: its files, its directory, and the files of `${file:…}`. Whoever follows
    /// changes watches these.
    pub depends: Vec<PathBuf>,
    /// The SHA-256 of what it says, in hexadecimal: the same for the same document, however it is
    /// written and spread.
    pub digest: String,
    /// What was left out because it is wrong by itself; nothing, of a document that is right.
    pub left_out: Option<LeftOut>,
    marks: Marks,
    secrets: Secrets,
    root: Node,
}

/// Reads the document at `path`: a file, or a directory whose `.yaml`, `.yml`, `.json` and `.toml`
/// files add up.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(path: &Path, schema: &Schema, around: &dyn Surroundings) -> Result<Written, Report> {
    let mut reading = Reading::default();
    reading.depends.push(path.to_owned());
    reading.files(path, around);
    reading.finish(path, schema, around)
}

/// Reads a document from `text`; the format is told by the ending of `name`, relative paths in it
/// start where `name` is.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_text(
    name: &str,
    text: &str,
    schema: &Schema,
    around: &dyn Surroundings,
) -> Result<Written, Report> {
    let mut reading = Reading::default();
    let path = Path::new(name);
    reading.file(path, &Memory::default().file(path, text));
    reading.finish(path, schema, around)
}

/// A document on its way to being one.
#[derive(Default)]
struct Reading {
    sources: Vec<Source>,
    trees: Vec<Node>,
    faults: Faults,
    depends: Vec<PathBuf>,
    is_directory: bool,
}

impl Reading {
    fn files(&mut self, path: &Path, around: &dyn Surroundings) {
        let names = match around.list(path) {
            Ok(None) => return self.file(path, around),
            Ok(Some(names)) => names,
            Err(error) => return self.unreadable(path, &error),
        };
        self.is_directory = true;
        let mut names: Vec<String> = names
            .into_iter()
            .filter(|name| !name.starts_with('.') && Format::of(Path::new(name)).is_some())
            .collect();
        names.sort();
        if names.is_empty() {
            let place = self.source(path, String::new());
            self.faults.push(
                Fault::new(place, "the directory has no document in it")
                    .hint("put a .yaml, .json or .toml file there"),
            );
        }
        for name in names {
            let file = path.join(name);
            self.file(&file, around);
            self.depends.push(file);
        }
    }

    fn file(&mut self, path: &Path, around: &dyn Surroundings) {
        let bytes = match around.read(path, FILE_MAX) {
            Ok(bytes) => bytes,
            Err(error) => return self.unreadable(path, &error),
        };
        let Some(format) = Format::of(path) else {
            let place = self.source(path, String::new());
            let fault = Fault::new(place, "this file's name does not tell its format");
            return self.faults.push(fault.hint("name it .yaml, .yml, .json or .toml"));
        };
        let text = match decode(bytes) {
            Ok(text) => text,
            Err(what) => {
                let place = self.source(path, String::new());
                let hint = "a document is text in UTF-8";
                return self.faults.push(Fault::new(place, what).hint(hint));
            }
        };
        let file = self.source(path, text).file;
        let text = &self.sources[file as usize].text;
        if let Some((at, control)) = control_character(text) {
            let place = Place::new(file, at, at + control.len_utf8());
            let what = format!("a control character (U+{:04X}) stands here", u32::from(control));
            let hint = "remove it; in double quotes it may stand as an escape";
            return self.faults.push(Fault::new(place, what).hint(hint));
        }
        self.trees.extend(format.parse(file, text, &mut self.faults));
    }

    /// Takes in a file; the place of its start.
    fn source(&mut self, path: &Path, text: String) -> Place {
        self.sources.push(Source::new(path.to_owned(), text));
        Place::new(self.sources.len() as u32 - 1, 0, 0)
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        let place = self.source(path, String::new());
        let fault = match error.kind() {
            ErrorKind::FileTooLarge => Fault::new(
                place,
                "the file is larger than 16 MiB, which is the most a document's may be",
            )
            .hint("split the document into several files and name their directory"),
            ErrorKind::NotFound => Fault::new(place, "there is no such file or directory")
                .hint("check the path; `gateward demo` writes a document to start from"),
            _ => Fault::new(place, format!("it can't be read: {error}")),
        };
        self.faults.push(fault);
    }

    fn finish(
        mut self,
        path: &Path,
        schema: &Schema,
        around: &dyn Surroundings,
    ) -> Result<Written, Report> {
        let whole = self.faults.is_empty() || self.trees.len() == self.sources.len();
        let trees = std::mem::take(&mut self.trees);
        let root = merge::merge(trees, &mut self.faults);
        // Without one of its files, most of what would be found wrong is not.
        let Some(mut root) = root.filter(|_| whole) else {
            return Err(self.report(&Secrets::default()));
        };
        let folder = self.folder(path).to_owned();
        let mut expander = Expander::new(around, &folder, &self.sources, &mut self.faults);
        expander.document(&mut root);
        let (files, values) = expander.finish();
        self.depends.extend(files);
        let marks = check::check(&root, schema, &self.sources, &mut self.faults);
        merge::names(&root, &mut self.faults);
        let secrets = Secrets::of(&root, &marks, values);
        if self.faults.is_empty() {
            match typed(&root, &marks) {
                Ok(document) => {
                    return Ok(self.written(path, document, None, root, marks, secrets));
                }
                Err(fault) => self.faults.push(fault),
            }
        }
        let rest = salvage(root, &self.faults, &marks);
        let report = Report::new(
            std::mem::take(&mut self.faults),
            &self.sources,
            &secrets,
            self.depends.clone(),
        );
        Err(match rest {
            Some((root, document, left_out)) => {
                report.leaving(self.written(path, document, Some(left_out), root, marks, secrets))
            }
            None => report,
        })
    }

    /// Where paths in the document start.
    fn folder<'p>(&self, path: &'p Path) -> &'p Path {
        let folder = if self.is_directory { Some(path) } else { path.parent() };
        folder.unwrap_or(Path::new(""))
    }

    fn report(self, secrets: &Secrets) -> Report {
        Report::new(self.faults, &self.sources, secrets, self.depends)
    }

    fn written(
        self,
        path: &Path,
        document: Document,
        left_out: Option<LeftOut>,
        root: Node,
        marks: Marks,
        secrets: Secrets,
    ) -> Written {
        Written {
            document,
            folder: self.folder(path).to_owned(),
            depends: self.depends,
            digest: digest::of(&root),
            left_out,
            marks,
            secrets,
            root,
            sources: self.sources,
        }
    }
}

/// Shows no value of the document: it may hold secrets.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.sources.iter().map(|source| &source.path).collect();
        f.debug_struct("Written")
            .field("files", &files)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Written {
    /// The document as it was written, its files added up, with `***` for every value that is a
    /// secret or came from `${…}`.
    pub fn masked(&self) -> Value {
        masked(&self.root, &self.marks)
    }

    /// The problems that a later stage found, each where it stands in the files.
    pub fn report(&self, problems: &[Problem]) -> Report {
        let locate = |at: &Pointer, key| self.root.locate(at.steps(), key);
        let located = problems.iter().map(|problem| Fault {
            place: locate(&problem.at, problem.at_key),
            what: problem.what.clone(),
            hint: problem.hint.clone(),
            see: problem.see.as_deref().map(|(at, why)| (locate(at, false), why.clone())),
        });
        let faults = located.collect();
        Report::new(faults, &self.sources, &self.secrets, self.depends.clone())
    }
}

/// The text of a file; what is wrong if it is none.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.contains(&0) {
        return Err("this is a binary file".into());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(format!("line {line} is not UTF-8 text"))
        }
    }
}

/// The first control character that none of the formats allows as it is.
fn control_character(text: &str) -> Option<(usize, char)> {
    text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}'))
}

/// The document that the tree is; the schema has passed it, so what is wrong now is what no schema
/// can say.
pub(crate) fn typed(root: &Node, marks: &Marks) -> Result<Document, Fault> {
    let value = root.value(&|node| marks.converted.get(&node.place).cloned());
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(value, &mut track);
    Document::deserialize(reader).map_err(|error| {
        let steps: Vec<String> = track.path().iter().filter_map(step).collect();
        let message = error.to_string();
        let (what, hint) = message.split_once("; ").unwrap_or((&message, ""));
        Fault::new(root.locate(&steps, false), what).hint(hint)
    })
}

fn step(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}
