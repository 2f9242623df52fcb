//! What Open Policy Agent answers: a decision in `result` of its Data API.

use serde_json::{Map, Value};

use crate::jose;

/// A decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The request goes on, with these fields for the upstream and the client.
    Allowed { upstream: Vec<Field>, client: Vec<Field> },
    /// It does not.
    Denied {
        /// 401, 403, 404 or 429.
        status: u16,
        /// Why, for operators.
        reason: Option<String>,
    },
    /// The rule is undefined for this input, or does not exist.
    Undefined,
    /// There is none, for this reason.
    Nothing(String),
}

/// Name and value.
pub(super) type Field = (String, Vec<u8>);

/// Most characters of a reason that are kept.
const REASON: usize = 200;

/// The decision in the answer `body`.
pub(super) fn read(body: &[u8]) -> Decision {
    let Some(mut answer) = jose::object(body) else {
        return Decision::Nothing("its answer is no JSON object".into());
    };
    match answer.shift_remove("result") {
        None => Decision::Undefined,
        Some(Value::Bool(true)) => Decision::Allowed { upstream: Vec::new(), client: Vec::new() },
        Some(Value::Bool(false)) => Decision::Denied { status: 403, reason: None },
        Some(Value::Object(result)) => decide(&result).unwrap_or_else(Decision::Nothing),
        Some(_) => Decision::Nothing("its result is neither true, false nor an object".into()),
    }
}

/// The decision that an object is. Its `allow` may be called `allowed`, and its `status`
/// `http_status`, as OPA's plugin for Envoy has them.
fn decide(result: &Map<String, Value>) -> Result<Decision, String> {
    let allow = match (result.get("allow"), result.get("allowed")) {
        (Some(one), None) | (None, Some(one)) => one.as_bool(),
        _ => None,
    };
    match allow.ok_or("its result has no `allow` that is true or false")? {
        true => Ok(Decision::Allowed {
            upstream: fields(result, "headers")?,
            client: fields(result, "response_headers")?,
        }),
        false => Ok(Decision::Denied { status: status(result)?, reason: reason(result) }),
    }
}

fn status(result: &Map<String, Value>) -> Result<u16, String> {
    match result.get("status").or_else(|| result.get("http_status")) {
        None => Ok(403),
        Some(status) => match status.as_u64() {
            Some(status @ (401 | 403 | 404 | 429)) => Ok(status as u16),
            // A denial stays one, whatever it says besides.
            _ => Ok(403),
        },
    }
}

fn reason(result: &Map<String, Value>) -> Option<String> {
    let said = ["reason", "message"].iter().find_map(|name| result.get(*name));
    let text = said.and_then(Value::as_str)?;
    Some(text.chars().filter(|c| !c.is_control()).take(REASON).collect())
}

/// Fields as an object of texts, or of lists of texts.
fn fields(result: &Map<String, Value>, name: &str) -> Result<Vec<Field>, String> {
    let wrong = || format!("`{name}` of its result is no object of texts");
    let written = match result.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(written)) => written,
        Some(_) => return Err(wrong()),
    };
    let mut fields = Vec::with_capacity(written.len());
    for (name, value) in written {
        let mut add = |value: &Value| match value {
            Value::String(text) => {
                fields.push((name.clone(), text.clone().into_bytes()));
                Ok(())
            }
            _ => Err(wrong()),
        };
        match value {
            Value::Array(values) => values.iter().try_for_each(add)?,
            value => add(value)?,
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        let allowed = |body: &str| matches!(read(body.as_bytes()), Decision::Allowed { .. });
        assert!(allowed(r#"{"result":true}"#));
        assert!(allowed(r#"{"decision_id":"1","result":{"allow":true}}"#));
        assert!(allowed(r#"{"result":{"allowed":true,"reason":"x"}}"#));
        for body in [
            "{}",
            r#"{"result":false}"#,
            r#"{"result":"true"}"#,
            r#"{"result":1}"#,
            r#"{"result":[true]}"#,
            r#"{"result":null}"#,
            r#"{"result":{}}"#,
            r#"{"result":{"allow":"yes"}}"#,
            r#"{"result":{"allow":1}}"#,
            r#"{"result":{"allow":true,"allowed":false}}"#,
            r#"{"result":{"allow":false,"status":200}}"#,
            r#"{"result":{"allow":true,"headers":7}}"#,
            r#"{"result":{"allow":true,"headers":{"a":7}}}"#,
            r#"{"result":false,"result":true}"#,
            "true",
            "",
            "<html>",
        ] {
            assert!(!allowed(body), "{body}");
        }
        assert_eq!(read(b"{}"), Decision::Undefined);
    }

    #[test]
    fn an_object_says_more() {
        let body = br#"{"result":{"allow":true,"headers":{"x-a":["1","2"],"x-b":"3"},
            "response_headers":{"x-c":"4"}}}"#;
        let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let expected = Decision::Allowed {
            upstream: vec![field("x-a", "1"), field("x-a", "2"), field("x-b", "3")],
            client: vec![field("x-c", "4")],
        };
        assert_eq!(read(body), expected);
        for (body, status, reason) in [
            (r#"{"result":{"allow":false}}"#, 403, None),
            (r#"{"result":{"allowed":false,"http_status":401}}"#, 401, None),
            (r#"{"result":{"allow":false,"status":404,"reason":"no\nsuch"}}"#, 404, Some("nosuch")),
            (r#"{"result":{"allow":false,"status":500}}"#, 403, None),
            (r#"{"result":{"allow":false,"status":"401"}}"#, 403, None),
        ] {
            let denied = Decision::Denied { status, reason: reason.map(str::to_owned) };
            assert_eq!(read(body.as_bytes()), denied, "{body}");
        }
    }
}
