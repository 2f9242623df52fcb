use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A use of a policy: `- name: {its settings}`, with an optional `when` and `id` beside the name.
///
/// The settings are raw here: their type is known to the policy's own folder alone.
#[derive(Clone, Debug)]
pub struct PolicyUse {
    /// The policy's name.
    pub name: String,
    /// Its settings; `{}` where nothing was written.
    pub settings: Value,
    /// A CEL expression; the policy runs where it is true.
    pub when: Option<String>,
    /// What this use is called in logs, in metrics and by state that outlives a reload.
    pub id: Option<String>,
}

impl<'de> Deserialize<'de> for PolicyUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Uses;

        impl<'de> Visitor<'de> for Uses {
            type Value = PolicyUse;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "a policy: its name and its settings, as in `rate: { limit: 10, window: 1s }`",
                )
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PolicyUse, A::Error> {
                let (mut named, mut when, mut id) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "when" => when = Some(map.next_value()?),
                        "id" => id = Some(map.next_value()?),
                        _ if named.is_none() => named = Some((key, map.next_value::<Value>()?)),
                        _ => {
                            return Err(de::Error::custom(format!(
                                "`{key}` is a second policy in one list item; give it an item of its own"
                            )));
                        }
                    }
                }
                let (name, settings) = named.ok_or_else(|| {
                    de::Error::custom("no policy is named here; write `- name: {settings}`")
                })?;
                let settings =
                    if settings.is_null() { Value::Object(Default::default()) } else { settings };
                Ok(PolicyUse { name, settings, when, id })
            }
        }

        deserializer.deserialize_map(Uses)
    }
}

impl Serialize for PolicyUse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(&self.name, &self.settings)?;
        if let Some(when) = &self.when {
            map.serialize_entry("when", when)?;
        }
        if let Some(id) = &self.id {
            map.serialize_entry("id", id)?;
        }
        map.end()
    }
}

impl JsonSchema for PolicyUse {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policy".into()
    }

    /// The name's own settings are added by whoever knows the table of policies.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A use of a policy: its name with its settings, and optionally `when` and `id`.",
            "properties": {
                "when": { "type": "string", "description": "A CEL expression; the policy runs where it is true." },
                "id": { "type": "string", "description": "A name for this use." }
            }
        })
    }
}
