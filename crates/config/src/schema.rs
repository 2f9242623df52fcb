//! The JSON Schema of the document: what editors complete from, and what documents are checked
//! against.

use std::borrow::Cow;

use schemars::Schema as Generated;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Map, Value, json};

use crate::v1::Document;

/// Where the schema of a use of a policy stands.
pub(crate) const POLICY: &str = "#/$defs/Policy";
const DEFS: &str = "#/$defs/";

/// The schema of a document, with the policies that may be used in it.
#[derive(Clone, Debug)]
pub struct Schema {
    root: Value,
}

impl Schema {
    /// The schema of a document in which policies may have any name and settings.
    pub fn any_policy() -> Self {
        let settings = SchemaSettings::draft2020_12().with_transform(WithoutNull);
        let root = settings.into_generator().into_root_schema_for::<Document>();
        Self { root: in_reading_order(root.to_value()) }
    }

    /// The schema of a document in which exactly these policies may be used: each a name and the
    /// JSON Schema of its settings, as schemars makes it (`$defs` inside, draft 2020-12).
    pub fn with_policies<N: Into<String>>(policies: impl IntoIterator<Item = (N, Value)>) -> Self {
        let mut schema = Self::any_policy();
        let mut named = Vec::new();
        for (name, settings) in policies {
            let name = name.into();
            let key = format!("policy.{name}");
            let settings = schema.adopt(&name, settings);
            schema.define(&key, settings);
            named.push(name);
        }
        let Some(policy) = schema.root.pointer_mut("/$defs/Policy").and_then(Value::as_object_mut)
        else {
            return schema;
        };
        if let Some(Value::Object(fields)) = policy.get_mut("properties") {
            for name in &named {
                // `- api_key:` means `- api_key: {}`.
                let settings = json!({ "$ref": format!("{DEFS}policy.{name}") });
                fields.insert(name.clone(), json!({ "anyOf": [settings, { "type": "null" }] }));
            }
        }
        let one: Vec<Value> = named.iter().map(|name| json!({ "required": [name] })).collect();
        policy.insert("oneOf".into(), Value::Array(one));
        policy.insert("additionalProperties".into(), Value::Bool(false));
        Self { root: in_reading_order(schema.root) }
    }

    /// The schema as JSON, draft 2020-12.
    pub fn to_json(&self) -> &Value {
        &self.root
    }

    /// The names of the policies, if they are known.
    pub(crate) fn policies(&self) -> Option<impl Iterator<Item = &str>> {
        let policy = self.root.pointer("/$defs/Policy")?;
        policy.get("oneOf")?;
        let fields = policy.get("properties")?.as_object()?;
        Some(fields.keys().map(String::as_str).filter(|name| *name != "when" && *name != "id"))
    }

    /// What `reference` (`#/$defs/…`) names.
    pub(crate) fn definition(&self, reference: &str) -> Option<&Value> {
        self.root.get("$defs")?.get(reference.strip_prefix(DEFS)?)
    }

    fn define(&mut self, name: &str, schema: Value) {
        if let Some(Value::Object(defs)) = self.root.get_mut("$defs") {
            defs.insert(name.to_owned(), schema);
        }
    }

    /// Moves the definitions inside a policy's schema to the document's, under names that clash
    /// with none.
    fn adopt(&mut self, policy: &str, mut settings: Value) -> Value {
        if let Ok(schema) = <&mut Generated>::try_from(&mut settings) {
            WithoutNull.transform(schema);
        }
        let Some(fields) = settings.as_object_mut() else { return settings };
        fields.remove("$schema");
        let Some(Value::Object(own)) = fields.remove("$defs") else { return settings };
        let renamed: Map<String, Value> = own
            .iter()
            .map(|(name, schema)| {
                let taken = self.definition(&format!("{DEFS}{name}"));
                let free = taken.is_none_or(|known| known == schema);
                let new = if free { name.clone() } else { format!("policy.{policy}.{name}") };
                (name.clone(), Value::String(new))
            })
            .collect();
        for (name, mut schema) in own {
            rename(&mut schema, &renamed);
            if let Some(Value::String(new)) = renamed.get(&name) {
                self.define(new, schema);
            }
        }
        rename(&mut settings, &renamed);
        settings
    }
}

/// The same with every schema's keywords in the order people read them: title, description, type …
fn in_reading_order(schema: Value) -> Value {
    // How schemars serialises; its values are in the order they were made.
    Generated::try_from(schema.clone())
        .ok()
        .and_then(|schema| serde_json::to_value(schema).ok())
        .unwrap_or(schema)
}

/// Gives the references in `schema` their new names.
fn rename(schema: &mut Value, names: &Map<String, Value>) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), &mut *value) {
                    ("$ref", Value::String(reference)) => {
                        let old = reference.strip_prefix(DEFS).unwrap_or_default();
                        if let Some(Value::String(new)) = names.get(old) {
                            *reference = format!("{DEFS}{new}");
                        }
                    }
                    _ => rename(value, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

/// Takes `null` out: a field is written or left out. `tls:` with nothing behind it must not mean
/// "no TLS".
#[derive(Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Generated) {
        transform_subschemas(self, schema);
        let Some(fields) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = fields.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                fields.insert("type".into(), only);
            }
        }
        if fields.get("default") == Some(&Value::Null) {
            fields.remove("default");
        }
        let Some(Value::Array(forms)) = fields.get_mut("anyOf") else { return };
        forms.retain(|form| form.get("type") != Some(&json!("null")));
        if let [Value::Object(only)] = forms.as_slice() {
            let only = only.clone();
            fields.remove("anyOf");
            for (key, value) in only {
                fields.entry(key).or_insert(value);
            }
        }
    }
}

/// The text of a schema's keyword.
pub(crate) fn text<'s>(schema: &'s Value, keyword: &str) -> Option<&'s str> {
    schema.get(keyword)?.as_str()
}

/// The first sentence of a schema's description.
pub(crate) fn summary(schema: &Value) -> Option<Cow<'_, str>> {
    let description = text(schema, "description")?.split("\n\n").next()?;
    let sentence = description.split(". ").next().unwrap_or(description);
    Some(sentence.trim_end_matches('.').replace('\n', " ").into())
}
