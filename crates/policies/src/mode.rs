//! Whether a policy refuses what it finds, or only says so.

use policy::{Exchange, Flow, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;

/// What becomes of a request that is not as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RefuseOrReport")]
pub(crate) enum Mode {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes; the access log's `note` says what is wrong with it.
    Report,
}

impl Mode {
    /// Refuses, or notes what would have been refused.
    pub(crate) fn settle(self, exchange: &mut Exchange, said: Result<(), Refusal>) -> Flow {
        match (said, self) {
            (Ok(()), _) => Flow::Continue,
            (Err(refusal), Self::Refuse) => Flow::Refuse(Box::new(refusal)),
            (Err(refusal), Self::Report) => {
                let why = refusal.note.or(refusal.detail).unwrap_or_default();
                exchange.note = Some(format!("reported: {}: {why}", refusal.code.name).into());
                Flow::Continue
            }
        }
    }
}
