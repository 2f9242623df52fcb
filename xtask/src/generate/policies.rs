//! `contracts/chain.txt` and `docs/manual/policies/`: the policies, in the order they run.

use std::fmt::Write;

use policy::{Phase, PolicyKind, Stage};
use serde_json::Value;

use super::{Generated, cell};
use crate::Result;

/// The phases, and in each the policies as the table has them.
pub fn chain(kinds: &[&PolicyKind]) -> Generated {
    let mut text = String::from(
        "# The order in which policies run on a request; on the response it is the other way round.\n\
         # Inside a phase: as written, the document's before the API's before the route's.\n\
         # Made by `cargo xtask generate`.\n",
    );
    for phase in Phase::ALL {
        let _ = writeln!(text, "{}", phase.word());
        for kind in kinds.iter().filter(|kind| kind.phase == phase) {
            let _ = writeln!(text, "  {}", kind.name);
        }
    }
    Generated { path: "contracts/chain.txt".into(), text }
}

/// The contents page and one page a policy.
pub fn manual(kinds: &[&PolicyKind]) -> Result<Vec<Generated>> {
    let mut pages = vec![contents(kinds)];
    for kind in kinds {
        let mut text = format!(
            "<!-- Made by `cargo xtask generate` from the policy's own folder. -->\n\n# {}\n\n{}\n",
            kind.name,
            kind.manual.trim()
        );
        let _ = write!(text, "\n## Settings\n\n{}", settings(kind)?);
        if !kind.codes.is_empty() {
            text.push_str("\n## Refusals\n\n");
            for code in kind.codes {
                let _ = writeln!(text, "- `{}`, {}: {}", code.name, code.status, code.title);
            }
            text.push_str("\nWhat to do about each: [refusals](../refusals.md).\n");
        }
        let _ = write!(text, "\n## Where it stands\n\n{}", standing(kind));
        pages.push(Generated { path: format!("docs/manual/policies/{}.md", kind.name), text });
    }
    Ok(pages)
}

fn contents(kinds: &[&PolicyKind]) -> Generated {
    let mut text = String::from(
        "<!-- Made by `cargo xtask generate`. -->\n\n# Policies\n\n\
         In the order they run. A phase without policies is left out.\n\n\
         | phase | policy | what it does |\n|---|---|---|\n",
    );
    for phase in Phase::ALL {
        for kind in kinds.iter().filter(|kind| kind.phase == phase) {
            let (name, summary) = (kind.name, cell(kind.summary()));
            let _ = writeln!(text, "| {phase} | [`{name}`]({name}.md) | {summary} |");
        }
    }
    Generated { path: "docs/manual/policies/README.md".into(), text }
}

fn standing(kind: &PolicyKind) -> String {
    let stage = match kind.stage {
        Stage::Stable => "Stable: settings and behaviour stay as they are within a major version.",
        Stage::Preview => "Preview: settings and behaviour may still change.",
    };
    let fit = |fit: bool| if fit { "fit" } else { "not fit" };
    format!(
        "Phase `{}`. {stage} It is {} for requests of strangers and {} for responses of strangers; it {} whole bodies.\n",
        kind.phase.word(),
        fit(kind.posture.untrusted_callers),
        fit(kind.posture.untrusted_upstreams),
        if kind.posture.buffers { "holds back" } else { "does not hold back" }
    )
}

/// A table of the settings, from their JSON Schema.
fn settings(kind: &PolicyKind) -> Result<String> {
    let schema = ::policies::schemas().into_iter().find(|(name, _)| *name == kind.name);
    let schema = schema.map(|(_, schema)| schema).unwrap_or_default();
    let mut text = String::new();
    tables(&schema, &schema["$defs"], &mut text);
    match text.is_empty() {
        true => Err(format!("the schema of `{}` shows no settings", kind.name)),
        false => Ok(text),
    }
}

/// A table for every form of these settings.
fn tables(schema: &Value, definitions: &Value, text: &mut String) {
    let schema = resolved(schema, definitions);
    for form in forms(schema) {
        tables(form, definitions, text);
    }
    if schema["properties"].is_object() {
        let or = if text.is_empty() { "" } else { "\nOr:\n\n" };
        let _ = write!(text, "{or}| setting | type | default | meaning |\n|---|---|---|---|\n");
        rows(schema, "", definitions, text);
    }
}

/// A row for every setting, those inside of others after them: `request`, `request.set`.
fn rows(schema: &Value, within: &str, definitions: &Value, text: &mut String) {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let default = match &field["default"] {
            Value::Null if required.iter().any(|needed| needed == name) => "required".to_owned(),
            Value::Null => String::new(),
            default => format!("`{default}`"),
        };
        let name = format!("{within}{name}");
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {} |",
            cell(&kind_of(field, definitions)),
            cell(&default),
            cell(&description(field, definitions))
        );
        for object in objects(field, definitions) {
            rows(object, &format!("{name}."), definitions, text);
        }
    }
}

/// The objects with named fields that a setting may be, and the items of a list of such.
fn objects<'a>(schema: &'a Value, definitions: &'a Value) -> Vec<&'a Value> {
    let schema = resolved(schema, definitions);
    let inside = forms(schema).chain(schema.get("items"));
    let mut objects: Vec<&Value> = inside.flat_map(|form| objects(form, definitions)).collect();
    if schema["properties"].is_object() {
        objects.push(schema);
    }
    objects
}

/// The schemas of which one holds.
fn forms(schema: &Value) -> impl Iterator<Item = &Value> {
    let forms = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array());
    forms.flatten().filter(|form| form["type"] != "null")
}

fn description(field: &Value, definitions: &Value) -> String {
    let own = field["description"].as_str();
    own.or_else(|| resolved(field, definitions)["description"].as_str()).unwrap_or("").into()
}

/// What a value of this schema looks like, in a few words.
fn kind_of(schema: &Value, definitions: &Value) -> String {
    let schema = resolved(schema, definitions);
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    }
    let mut words: Vec<String> = forms(schema).map(|form| kind_of(form, definitions)).collect();
    if words.is_empty() {
        let names = match &schema["type"] {
            Value::Array(names) => names.as_slice(),
            name => std::slice::from_ref(name),
        };
        let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
        words = names.map(|name| word(name, schema, definitions)).collect();
    }
    words.dedup();
    if words.is_empty() { "anything".into() } else { words.join(" or ") }
}

fn word(name: &str, schema: &Value, definitions: &Value) -> String {
    match name {
        "array" => format!("list of {}", kind_of(&schema["items"], definitions)),
        "object" if schema["additionalProperties"].is_object() => {
            format!("name: {}", kind_of(&schema["additionalProperties"], definitions))
        }
        name => name.into(),
    }
}

/// The schema, or the one it refers to.
fn resolved<'a>(schema: &'a Value, definitions: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    name.and_then(|name| definitions.get(name)).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_become_a_table_with_types_defaults_and_meanings() {
        let schema = json!({
            "type": "object",
            "required": ["limit"],
            "properties": {
                "limit": {"type": "integer", "description": "How many."},
                "by": {"$ref": "#/$defs/By"},
                "names": {"type": ["array", "null"], "items": {"type": "string"}, "default": ["a"]},
                "request": {"anyOf": [{"$ref": "#/$defs/Change"}, {"type": "null"}]},
            },
        });
        let set = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let definitions = json!({
            "By": {"enum": ["route", "client"], "description": "Per what."},
            "Change": {"type": "object", "properties": {"set": set}},
        });
        let mut text = String::new();
        tables(&schema, &definitions, &mut text);
        assert_eq!(
            text.lines().skip(2).collect::<Vec<_>>(),
            [
                "| `limit` | integer | required | How many. |",
                "| `by` | `\"route\"`, `\"client\"` |  | Per what. |",
                "| `names` | list of string | `[\"a\"]` |  |",
                "| `request` | object |  |  |",
                "| `request.set` | name: string |  |  |",
            ]
        );
    }
}
