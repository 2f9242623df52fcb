//! What a schema wants and what was found, in words.

use serde_json::Value;

use crate::schema::{summary, text};
use crate::tree::{Kind, Node};

/// The names of the types that `schema` takes; none: any.
pub(super) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => return vec![name],
        Some(Value::Array(names)) => return names.iter().filter_map(Value::as_str).collect(),
        _ => {}
    }
    let values = allowed(schema);
    if values.is_empty() && schema.get("properties").is_some() {
        return vec!["object"];
    }
    values.into_iter().map(type_of).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The only values that `schema` takes, if it names them.
pub(super) fn allowed(schema: &Value) -> Vec<&Value> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(only), _) => vec![only],
        (_, Some(Value::Array(values))) => values.iter().collect(),
        _ => Vec::new(),
    }
}

/// What a reader may write for any of `forms`: "a duration, as in 30s", "text or a list".
pub(super) fn wanted(forms: &[&Value]) -> String {
    let mut words = Vec::new();
    let values: Vec<&Value> = forms.iter().flat_map(|form| allowed(form)).collect();
    if !values.is_empty() {
        words.push(one_of(&values));
    }
    for form in forms.iter().filter(|form| allowed(form).is_empty()) {
        for word in wanted_by(form) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words.join(" or ")
}

fn wanted_by(schema: &Value) -> Vec<String> {
    match text(schema, "format") {
        Some("gateward-duration") => return vec!["a duration, as in 30s".into()],
        Some("gateward-size") => return vec!["a size, as in 64KiB".into()],
        Some("gateward-network") => return vec!["a network, as in 10.0.0.0/8".into()],
        _ => {}
    }
    let word = |name: &str| match name {
        "string" => "text".to_owned(),
        "integer" => "a whole number".into(),
        "number" => "a number".into(),
        "boolean" => "true or false".into(),
        "array" => "a list".into(),
        "object" => match required(schema).as_slice() {
            [] => "a map".into(),
            fields => format!("a map with {}", quoted(fields)),
        },
        other => other.into(),
    };
    types(schema).into_iter().map(word).collect()
}

/// The fields that `schema` says must be there.
pub(super) fn required(schema: &Value) -> Vec<&str> {
    let fields = schema.get("required").and_then(Value::as_array);
    fields.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// "`a`, `b` or `c`" of JSON values.
pub(super) fn one_of(values: &[&Value]) -> String {
    let words: Vec<String> = values
        .iter()
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.split_last() {
        Some((last, [])) => format!("`{last}`"),
        Some((last, rest)) => format!("{} or `{last}`", quoted(rest)),
        None => "nothing".into(),
    }
}

/// "`a`, `b`, `c`".
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What stands there.
pub(super) fn found(node: &Node, written: &str) -> String {
    match &node.kind {
        Kind::Null => "nothing".into(),
        Kind::Bool(value) => format!("`{value}`"),
        Kind::Number(_) => format!("the number {}", short(written)),
        Kind::Text(text) => format!("the text `{}`", short(&text.value)),
        Kind::List(_) => "a list".into(),
        Kind::Map(_) => "a map".into(),
    }
}

/// `text`, cut where it gets too long for a message.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(MAX).collect();
    if cut.len() < text.trim_end().len() { format!("{cut}…") } else { cut }
}

/// What to write where `node` is of the wrong type for `forms`.
pub(super) fn instead(node: &Node, written: &str, forms: &[&Value]) -> Option<String> {
    let takes = |name: &str| forms.iter().any(|form| types(form).contains(&name));
    let value = node.as_text().unwrap_or_default();
    let timed = forms.iter().any(|form| text(form, "format") == Some("gateward-duration"));
    match &node.kind {
        Kind::Number(_) if timed => Some(format!("write the unit, too: {}s", short(written))),
        Kind::Null => Some("write the value, or remove the key".into()),
        Kind::Text(_) if takes("boolean") => match value.to_lowercase().as_str() {
            "yes" | "on" | "y" | "true" => Some("write true, without quotes".into()),
            "no" | "off" | "n" | "false" => Some("write false, without quotes".into()),
            _ => None,
        },
        Kind::Text(_) if takes("integer") || takes("number") => {
            let digits = value.parse::<f64>().is_ok_and(f64::is_finite);
            digits.then(|| format!("remove the quotes: {}", value.trim()))
        }
        Kind::Number(_) | Kind::Bool(_) if takes("string") && is_plain(forms) => {
            Some(format!("put it in quotes: \"{}\"", short(written)))
        }
        Kind::Text(_) | Kind::Number(_) if takes("array") => {
            Some(format!("write a list: [{}]", short(written)))
        }
        Kind::Map(_) if takes("array") => {
            Some("write a list, each item of it starting with `- `".into())
        }
        Kind::List(_) if takes("object") => Some("write its fields without `- `".into()),
        _ => None,
    }
    .or_else(|| forms.first().and_then(|form| summary(form)).map(Into::into))
}

/// True where any text will do: a number in quotes is no duration.
fn is_plain(forms: &[&Value]) -> bool {
    forms.iter().all(|form| text(form, "format").is_none() || is_secret(form))
}

/// True where what is written must never be shown.
pub(super) fn is_secret(schema: &Value) -> bool {
    text(schema, "format") == Some("gateward-secret")
}
