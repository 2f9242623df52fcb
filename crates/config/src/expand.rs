//! `${env:NAME}`, `${env:NAME:-default}`, `${file:path}` and `${vault:mount/path#field}` in any
//! text; `$${` stands for a plain `${`. Behind `|base64`, what it stands for is decoded.

use std::collections::{HashMap, HashSet};
use std::env::VarError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fault::{Fault, Faults};
use crate::source::{Source, Surroundings, Wanted};
use crate::tree::{Kind, Node, Origin, Place, Text};
use crate::v1::{Secrets, Vault};

/// Bytes of a file named by `${file:…}`.
const FILE_MAX: u64 = 1 << 20;
/// Bytes that all `${…}` of a document may put into it.
const TOTAL_MAX: usize = 64 << 20;

/// Puts in place of every `${…}` of `node` what it stands for.
pub(crate) struct Expander<'a> {
    around: &'a dyn Surroundings,
    folder: &'a Path,
    sources: &'a [Source],
    faults: &'a mut Faults,
    vault: Known,
    files: HashMap<PathBuf, Result<String, String>>,
    values: HashSet<String>,
    total: usize,
}

/// What is known of the document's vault.
enum Known {
    /// Its own settings are being read.
    NotYet,
    /// They are not what they should be, which is said elsewhere.
    Wrong,
    /// This.
    Vault(Box<Vault>),
}

impl<'a> Expander<'a> {
    pub fn new(
        around: &'a dyn Surroundings,
        folder: &'a Path,
        sources: &'a [Source],
        faults: &'a mut Faults,
    ) -> Self {
        let (files, values) = (HashMap::new(), HashSet::new());
        Self { around, folder, sources, faults, vault: Known::NotYet, files, values, total: 0 }
    }

    /// Every file that was asked for, whether it could be read or not; and every value put in.
    pub fn finish(self) -> (Vec<PathBuf>, HashSet<String>) {
        let mut files: Vec<_> = self.files.into_keys().collect();
        files.sort();
        (files, self.values)
    }

    /// All of a document: first its vault, then what may be in it. Nothing is expanded twice.
    pub fn document(&mut self, root: &mut Node) {
        let Kind::Map(entries) = &mut root.kind else { return self.node(root) };
        let (own, rest): (Vec<_>, Vec<_>) =
            entries.iter_mut().partition(|entry| entry.key == "secrets");
        let mut secrets = Ok(Secrets::default());
        for entry in own {
            self.node(&mut entry.value);
            secrets = serde_json::from_value(entry.value.value(&|_| None));
        }
        self.vault = secrets.map_or(Known::Wrong, |secrets| {
            Known::Vault(Box::new(secrets.vault.unwrap_or_default()))
        });
        rest.into_iter().for_each(|entry| self.node(&mut entry.value));
    }

    fn node(&mut self, node: &mut Node) {
        match &mut node.kind {
            _ if self.faults.is_full() => {}
            Kind::Text(text) if text.value.contains("${") => self.text(text, node.place),
            Kind::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Kind::Map(entries) => entries.iter_mut().for_each(|e| self.node(&mut e.value)),
            _ => {}
        }
    }

    fn text(&mut self, text: &mut Text, place: Place) {
        let mut out = String::new();
        let mut rest = text.value.as_str();
        let mut origin = Origin::Written;
        while let Some(at) = rest.find("${").filter(|_| !self.faults.is_full()) {
            if let Some(before) = rest[..at].strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let end = rest[at..].find('}').map_or(rest.len(), |close| at + close + 1);
            match self.reference(&rest[at..end], place) {
                Ok(value) => {
                    out.push_str(&value);
                    if origin == Origin::Written {
                        origin = Origin::Resolved;
                    }
                }
                Err(fault) => {
                    self.faults.push(fault);
                    origin = Origin::Failed;
                }
            }
            rest = &rest[end..];
        }
        out.push_str(rest);
        *text = Text { value: out, origin };
    }

    /// What `${…}` stands for.
    fn reference(&mut self, written: &str, place: Place) -> Result<String, Fault> {
        let sources = self.sources;
        let wrong = |what: String| Fault::new(place_of(sources, written, place), what);
        let usage = "write ${env:NAME}, ${env:NAME:-default}, ${file:path} or \
                     ${vault:mount/path#field}; `$${` stands for a plain `${`";
        let Some(inside) = written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
        else {
            return Err(wrong(format!("`{written}` is not closed")).hint(usage));
        };
        let (inside, encoded) = match inside.strip_suffix("|base64") {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let value = match inside.split_once(':') {
            Some(("env", inside)) if !inside.is_empty() => {
                let (name, otherwise) = match inside.split_once(":-") {
                    Some((name, otherwise)) => (name, Some(otherwise)),
                    None => (inside, None),
                };
                match (self.around.variable(name), otherwise) {
                    (Ok(value), _) => value,
                    (Err(VarError::NotPresent), Some(otherwise)) => otherwise.to_owned(),
                    (Err(VarError::NotPresent), None) => {
                        let what = format!("the environment variable `{name}` is not set");
                        let hint = format!("set it, or say what stands for it: ${{env:{name}:-…}}");
                        return Err(wrong(what).hint(hint));
                    }
                    (Err(VarError::NotUnicode(_)), _) => {
                        let what = format!("the environment variable `{name}` is not UTF-8 text");
                        return Err(wrong(what));
                    }
                }
            }
            Some(("file", name)) if !name.is_empty() => {
                self.file(Path::new(name), place).map_err(wrong)?
            }
            Some(("vault", inside)) => self.secret(inside).map_err(|(what, hint)| {
                let fault = wrong(format!("`{written}`: {what}"));
                match hint {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                }
            })?,
            _ => {
                return Err(wrong(format!("`{written}` is not something a document can refer to"))
                    .hint(usage));
            }
        };
        let value = match encoded {
            true => decoded(&value).map_err(|what| wrong(format!("`{written}` {what}")))?,
            false => value,
        };
        self.total += value.len();
        if self.total > TOTAL_MAX {
            return Err(wrong("what `${…}` puts into this document is more than 64 MiB".into()));
        }
        self.values.insert(value.clone());
        Ok(value)
    }

    /// What a vault holds under `inside`.
    fn secret(&mut self, inside: &str) -> Result<String, (String, Option<&'static str>)> {
        const USAGE: &str = "write mount, path and field, as in ${vault:secret/orders#api_key}";
        let vault = match &self.vault {
            Known::Vault(vault) => vault,
            Known::NotYet => {
                let hint = "write ${env:NAME} or ${file:path} there";
                return Err(("the vault's own settings can't be in it".into(), Some(hint)));
            }
            Known::Wrong => return Err(("`secrets` is not what it should be".into(), None)),
        };
        let (path, field) = inside.split_once('#').unwrap_or((inside, ""));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~@".contains(&b);
        let good = |part: &str| !part.is_empty() && part != "." && part != "..";
        let parts = path.split('/').collect::<Vec<_>>();
        let is_path =
            parts.len() > 1 && parts.iter().all(|part| good(part) && part.bytes().all(plain));
        if !is_path || field.is_empty() {
            return Err(("it names no field of a secret".into(), Some(USAGE)));
        }
        let wanted = Wanted { vault, folder: self.folder, path, field };
        let hint = "see `secrets.vault`, and whether its token may read this";
        self.around.secret(&wanted).map_err(|what| (what, Some(hint)))
    }

    fn file(&mut self, name: &Path, place: Place) -> Result<String, String> {
        let path = match self.sources.get(place.file as usize).and_then(|s| s.path.parent()) {
            Some(folder) => folder.join(name),
            None => name.to_owned(),
        };
        if let Some(known) = self.files.get(&path) {
            return known.clone();
        }
        let read = read(self.around, &path);
        self.files.insert(path, read.clone());
        read
    }
}

/// The text that `encoded` is the base64 of.
fn decoded(encoded: &str) -> Result<String, &'static str> {
    let packed: String = encoded.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(packed).map_err(|_| "is not base64")?;
    String::from_utf8(bytes).map_err(|_| "is the base64 of what is no text")
}

/// Where `written` stands in the text at `place`; all of that where escapes hide it.
fn place_of(sources: &[Source], written: &str, place: Place) -> Place {
    let (start, end) = (place.start as usize, place.end as usize);
    sources
        .get(place.file as usize)
        .and_then(|source| source.text.get(start..end)?.find(written))
        .map_or(place, |at| Place::new(place.file, start + at, start + at + written.len()))
}

/// The text in the file at `path`, without its last line break.
fn read(around: &dyn Surroundings, path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = around.read(path, FILE_MAX).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => format!("the file `{shown}` has more than 1 MiB"),
        _ => format!("the file `{shown}` can't be read: {error}"),
    })?;
    let mut text =
        String::from_utf8(bytes).map_err(|_| format!("the file `{shown}` is not UTF-8 text"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
