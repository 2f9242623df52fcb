//! Values in header fields, cookies and paths.

use base::percent_decoded;
use contract::{Parameter, Style};
use policy::message::{Headers, Known};
use serde_json::Value;

use super::form::Unread;
use super::text::Reader;
use crate::strict_json;

/// Deepest nesting of JSON in a field.
const JSON_DEPTH: u8 = 32;

/// The value of a header field. Several lines of one name are one value (RFC 9110 §5.3).
pub(super) fn header(
    headers: &Headers,
    parameter: &Parameter,
    reader: &mut Reader,
) -> Result<Value, Unread> {
    let name = parameter.field.as_ref().ok_or(Unread::Missing)?;
    let lines = headers.all(name);
    let lines: Option<Vec<&str>> = lines.map(|line| std::str::from_utf8(line).ok()).collect();
    let lines = lines.ok_or(Unread::Malformed)?;
    match lines.as_slice() {
        [] => Err(Unread::Missing),
        [only] => read(only.trim(), parameter, reader, plain),
        several => read(&several.join(","), parameter, reader, plain),
    }
}

/// The value of a cookie.
pub(super) fn cookie(
    headers: &Headers,
    parameter: &Parameter,
    reader: &mut Reader,
) -> Result<Value, Unread> {
    let mut found = None;
    for line in headers.all(Known::Cookie) {
        let line = std::str::from_utf8(line).map_err(|_| Unread::Malformed)?;
        let pairs = line.split(';').filter_map(|pair| pair.trim().split_once('='));
        for (_, value) in pairs.filter(|(name, _)| *name == parameter.name) {
            if found.replace(value).is_some() {
                return Err(Unread::Repeated);
            }
        }
    }
    read(found.ok_or(Unread::Missing)?, parameter, reader, percent_decoded)
}

/// The value of a part of the path, as it stands there.
pub(super) fn path(raw: &str, parameter: &Parameter, reader: &mut Reader) -> Result<Value, Unread> {
    let text = match parameter.style {
        Style::Label => raw.strip_prefix('.').ok_or(Unread::Malformed)?,
        Style::Matrix => {
            let named = raw.strip_prefix(';').and_then(|raw| raw.strip_prefix(&*parameter.name));
            named.and_then(|raw| raw.strip_prefix('=')).ok_or(Unread::Malformed)?
        }
        _ => raw,
    };
    read(text, parameter, reader, percent_decoded)
}

fn read(
    raw: &str,
    parameter: &Parameter,
    reader: &mut Reader,
    decoded: fn(&str) -> String,
) -> Result<Value, Unread> {
    if parameter.style == Style::Json {
        let text = decoded(raw);
        return strict_json::value(text.as_bytes(), JSON_DEPTH).map_err(|_| Unread::Malformed);
    }
    let written = (parameter.style, parameter.explode);
    reader.joined(raw, written, &parameter.shape, decoded).ok_or(Unread::Malformed)
}

/// A piece of a header field, which may have spaces around it.
fn plain(text: &str) -> String {
    text.trim_matches([' ', '\t']).to_owned()
}
