//! `contracts/config.v1.schema.json`: the document, every policy included.

use super::Generated;
use crate::Result;

pub fn generate() -> Result<Generated> {
    let schema = config::Schema::with_policies(::policies::schemas());
    let json = serde_json::to_string_pretty(schema.to_json()).map_err(|e| e.to_string())?;
    Ok(Generated { path: "contracts/config.v1.schema.json".into(), text: json + "\n" })
}
