//! The committed inputs of a target, and the words its inputs are made of.

use std::path::{Path, PathBuf};

/// An input, and the name of its file, which says what it is.
pub struct Seed {
    /// The name.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The folder of the fuzz targets.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The inputs of the target `name`, by name.
///
/// # Panics
/// They can't be read, or there is none.
pub fn seeds(name: &str) -> Vec<Seed> {
    let folder = folder().join("corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = files
        .map(|file| file.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no input", folder.display());
    let seed = |path: PathBuf| Seed {
        bytes: std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    paths.into_iter().map(seed).collect()
}

/// The words of `dictionaries/NAME.dict`, which is in libFuzzer's format; none where there is no
/// such file.
///
/// # Panics
/// A line is neither a word in quotes, a comment nor empty.
pub fn words(name: &str) -> Vec<Vec<u8>> {
    let path = folder().join("dictionaries").join(format!("{name}.dict"));
    let Ok(text) = std::fs::read_to_string(&path) else { return Vec::new() };
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let word = |line: &str| {
        let inner = line.strip_prefix('"').and_then(|line| line.strip_suffix('"'));
        inner.and_then(unescaped).unwrap_or_else(|| panic!("{}: {line}", path.display()))
    };
    lines.map(word).collect()
}

/// What a word stands for: `\\`, `\"` and `\xAB` are escapes.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            b'\\' | b'"' => out.push(*escape),
            b'x' => {
                let digits = str::from_utf8(rest.get(..2)?).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            _ => return None,
        }
    }
    Some(out)
}

/// A command that writes `bytes` to a file of the corpus of the target `name`, for a shell.
pub fn as_command(name: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'%' => text.push_str("%%"),
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b' '..=b'~' if !matches!(byte, b'\\' | b'\'') => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    format!("printf -- '{text}' >fuzz/corpus/{name}/WHAT-IT-IS")
}
