//! The files of a contract, and what `$ref` means in them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use base::{Pointer, Problem, percent_decoded};
use policy::{Carry, World};
use serde_json::Value;

use crate::place::Found;
use crate::{Place, swagger};

/// Bytes of one file.
const BYTES_MAX: u64 = 32 << 20;
/// Files of a contract.
const FILES_MAX: usize = 1000;
/// References that lead to references.
const LINKS_MAX: usize = 32;

/// The files of a contract: the one that is named, and those beside it that it refers to.
#[derive(Debug)]
pub struct Files {
    list: Vec<(String, Arc<Value>)>,
    /// Every file that is referred to, by its name: its number, or why it can't be used.
    known: HashMap<String, Result<usize, String>>,
    /// Files that stand for what is elsewhere, by its URI.
    elsewhere: BTreeMap<String, String>,
}

impl Files {
    /// Reads the file `name`, which stands at `at` of a document, and what it refers to.
    /// `elsewhere` has a file for each URI that may be referred to; no other is followed. What was
    /// read is in `carry` for whoever reads the same again soon.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn read(
        name: &str,
        elsewhere: &BTreeMap<String, String>,
        at: &Pointer,
        (world, carry): (&dyn World, &Carry),
    ) -> Result<Self, Problem> {
        let bytes = world.read(name, "OpenAPI document", BYTES_MAX, at)?;
        let root = parsed(name, bytes, carry).map_err(|what| {
            Problem::new(at, format!("`{name}`: {what}"))
                .hint("an OpenAPI document is YAML or JSON; correct it there")
        })?;
        let old = root.get("swagger").is_some();
        let root = if old { Arc::new(swagger::upgraded(&root)) } else { root };
        let name = normal(Path::new(name)).to_string_lossy().into_owned();
        let mut files = Self {
            list: vec![(name.clone(), root)],
            known: HashMap::from([(name, Ok(0))]),
            elsewhere: elsewhere.clone(),
        };
        let mut next = 0;
        while let Some((from, value)) = files.list.get(next).cloned() {
            let mut wanted = Vec::new();
            references(&value, &mut |reference| wanted.extend(files.file(&from, reference)));
            for name in wanted {
                files.add(name, at, world, carry);
            }
            next += 1;
        }
        Ok(files)
    }

    /// Reads a file that is referred to. One that can't be used is a fault only where it has to be.
    fn add(&mut self, name: String, at: &Pointer, world: &dyn World, carry: &Carry) {
        if self.known.contains_key(&name) {
            return;
        }
        let read = if self.list.len() == FILES_MAX {
            Err(format!("there are more than {FILES_MAX} files"))
        } else {
            let bytes = world.read(&name, "file", BYTES_MAX, at).map_err(|problem| problem.what);
            bytes.and_then(|bytes| parsed(&name, bytes, carry))
        };
        let number = read.map(|value| {
            self.list.push((name.clone(), value));
            self.list.len() - 1
        });
        self.known.insert(name, number);
    }

    /// The name of the file that `reference`, in the file `from`, leads to; none where that is the
    /// same one, or none that may be read.
    fn file(&self, from: &str, reference: &str) -> Option<String> {
        let uri = reference.split('#').next().filter(|uri| !uri.is_empty())?;
        match self.elsewhere.get(uri) {
            Some(file) => Some(file.clone()),
            None => beside(self.name(0), from, uri),
        }
    }

    /// What the file has that was named.
    pub(crate) fn root(&self) -> Option<Found<'_>> {
        let (_, value) = self.list.first()?;
        Some(Found { value, place: Place::default() })
    }

    /// What a file is called, by its number.
    pub fn name(&self, file: usize) -> &str {
        self.list.get(file).map_or("", |(name, _)| name)
    }

    /// What all of them are called, in the order of their numbers.
    pub(crate) fn names(&self) -> Vec<String> {
        self.list.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What stands at `place`.
    pub(crate) fn at(&self, place: &Place) -> Option<Found<'_>> {
        let (_, value) = self.list.get(place.file)?;
        let value = value.pointer(&place.pointer)?;
        Some(Found { value, place: place.clone() })
    }

    /// What `reference` leads to, written somewhere in the file number `from`.
    ///
    /// # Errors
    /// Why it leads nowhere.
    pub(crate) fn target(&self, from: usize, reference: &str) -> Result<Found<'_>, String> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let file = if uri.is_empty() {
            from
        } else {
            let Some(name) = self.file(self.name(from), uri) else {
                return Err(format!(
                    "`{reference}` is not beside the document, and nothing is fetched: name a file \
                     for `{uri}` in `references`"
                ));
            };
            match self.known.get(&name) {
                Some(Ok(number)) => *number,
                Some(Err(why)) => return Err(format!("`{reference}`: {why}")),
                None => return Err(format!("`{reference}` was not read")),
            }
        };
        let fragment = percent_decoded(fragment);
        let found = if fragment.is_empty() || fragment.starts_with('/') {
            self.at(&Place { file, pointer: fragment })
        } else {
            let (_, value) = self.list.get(file).ok_or("there is no such file")?;
            anchor(Found { value, place: Place { file, pointer: String::new() } }, &fragment)
        };
        found.ok_or_else(|| format!("`{reference}` leads nowhere"))
    }

    /// `found`, or what it refers to where it is a reference.
    ///
    /// # Errors
    /// Why it leads nowhere.
    pub(crate) fn follow<'f>(&'f self, mut found: Found<'f>) -> Result<Found<'f>, String> {
        for _ in 0..LINKS_MAX {
            let Some(reference) = found.text("$ref") else { return Ok(found) };
            found = self.target(found.place.file, reference)?;
        }
        Err("references lead to one another without an end".into())
    }
}

/// What a file holds.
fn parsed(name: &str, bytes: Vec<u8>, carry: &Carry) -> Result<Arc<Value>, String> {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let key = format!("contract {name} {:x}", hasher.finish());
    let kept = carry.keep(&key, || config::read_value(name, bytes).map(Arc::new));
    (*kept).clone()
}

/// Every reference in `value`.
fn references(value: &Value, each: &mut dyn FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, each)),
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                each(reference);
            }
            members.values().for_each(|value| references(value, each));
        }
        _ => {}
    }
}

/// The name of the file that `uri` means in the file `from`; none that is outside of the folder of
/// the file `root`: a contract may come from others, and has no business there.
fn beside(root: &str, from: &str, uri: &str) -> Option<String> {
    if uri.contains(':') {
        return None;
    }
    let folder = |name| Path::new(name).parent().unwrap_or(Path::new("")).to_owned();
    let path = normal(&folder(from).join(percent_decoded(uri)));
    let below = path.strip_prefix(normal(&folder(root))).ok()?;
    matches!(below.components().next(), Some(Component::Normal(_))).then_some(())?;
    path.to_str().map(str::to_owned)
}

/// `path` without steps that lead nowhere or back.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

/// The schema that calls itself `name` by `$anchor`.
fn anchor<'f>(found: Found<'f>, name: &str) -> Option<Found<'f>> {
    if found.text("$anchor") == Some(name) {
        return Some(found);
    }
    let below = found.members().find_map(|(_, member)| anchor(member, name));
    below.or_else(|| found.items().find_map(|item| anchor(item, name)))
}
