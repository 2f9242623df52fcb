use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// How a network is written, for the schema; in the types it is an [`ipnet::IpNet`].
pub(super) struct NetworkText;

impl JsonSchema for NetworkText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "gateward-network",
            "description": "A network: an address and the length of its prefix, as in 10.0.0.0/8 or fd00::/8."
        })
    }
}
