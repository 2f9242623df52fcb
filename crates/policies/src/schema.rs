//! The JSON Schema of every policy's settings, for the schema of the whole document.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::REGISTRY;

/// The name of every policy with the JSON Schema (draft 2020-12) of its settings, definitions
/// inside; what the document's schema is made with.
pub fn schemas() -> Vec<(&'static str, Value)> {
    REGISTRY
        .kinds()
        .iter()
        .map(|kind| {
            let mut generator = SchemaSettings::draft2020_12().into_generator();
            let root = (kind.schema)(&mut generator).to_value();
            let mut definitions = generator.take_definitions(false);
            // The settings' own schema stands at the root, so that nobody has to follow a
            // reference.
            let own = root.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next());
            let mut schema = own.and_then(|name| definitions.remove(name)).unwrap_or(root);
            if let Some(fields) = schema.as_object_mut() {
                fields.insert("description".into(), json!(kind.summary()));
                if !definitions.is_empty() {
                    fields.insert("$defs".into(), Value::Object(definitions));
                }
            }
            (kind.name, schema)
        })
        .collect()
}
