//! Whether values fit a contract: its one schema, asked about one request or response at a time.

use base::{Pointer, Problems};
use config::v1::{Contract as Settings, HardPatterns};
use contract::{Contract, Direction, Origins};
use policy::Violation;
use serde_json::{Map, Value};

use crate::protect::validator::{References, Validator, without_hard_patterns};

/// The schema of a contract, ready, for one direction.
#[derive(Debug)]
pub(super) struct Judge {
    validator: Validator,
    origins: Origins,
}

impl Judge {
    /// Makes the schema ready of what goes in `direction`.
    ///
    /// # Errors
    /// What is wrong with the contract, which is named at `at`.
    pub fn new(
        contract: &Contract,
        direction: Direction,
        settings: &Settings,
        at: &Pointer,
    ) -> Result<Self, Problems> {
        let (mut schema, origins) = contract.schema(direction, at)?;
        if settings.hard_patterns == HardPatterns::Ignore {
            without_hard_patterns(&mut schema);
        }
        match Validator::new(&schema, References::default(), settings.formats) {
            Ok(validator) => Ok(Self { validator, origins }),
            Err(wrong) => Err(vec![wrong.of_contract(&origins, at)]),
        }
    }

    /// What is wrong with `parts` by what the schema has under `path`, at most `most` of it.
    pub fn judge(&self, path: &[usize], parts: Map<String, Value>, most: usize) -> Vec<Violation> {
        let wrapped = path.iter().rev().fold(Value::Object(parts), |inner, step| {
            Value::Object(Map::from_iter([(step.to_string(), inner)]))
        });
        let violations = self.validator.judge(&wrapped, most);
        let told = violations.into_iter().map(|violation| Violation {
            pointer: pointer(&violation.pointer, path.len()).into(),
            rule: self.origins.of(&violation.rule).into(),
            what: violation.what,
        });
        told.collect()
    }
}

/// The pointer into a request or a response: without the steps that led to its operation, and
/// without the number of a body's type.
fn pointer(inner: &str, steps: usize) -> String {
    let skipped = inner.splitn(steps + 2, '/').nth(steps + 1).unwrap_or_default();
    let (part, rest) = skipped.find('/').map_or((skipped, ""), |at| skipped.split_at(at));
    let part = part.split(':').next().unwrap_or_default();
    format!("/{part}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_into_the_request() {
        assert_eq!(pointer("/12/query/limit", 1), "/query/limit");
        assert_eq!(pointer("/12/body:0/lines/0", 1), "/body/lines/0");
        assert_eq!(pointer("/12/3/body:1", 2), "/body");
    }
}
