//! GraphQL as it comes by HTTP (GraphQL over HTTP, 2025): where query, variables and the name of
//! the operation stand.

use base::form_decoded;
use policy::message::{Known, Method, Request};
use serde_json::{Map, Value};

use crate::protect::body::Format;
use crate::strict_json;

/// Deepest nesting of a body.
const DEPTH: u8 = 64;

/// One operation that is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The document; none where it is named by its hash.
    pub query: Option<String>,
    /// Which of its operations.
    pub operation: Option<String>,
    /// The variables; null where there are none.
    pub variables: Value,
    /// The document's SHA-256 in hexadecimal digits, as Apollo's persisted queries have it.
    pub hash: Option<String>,
}

/// How a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By its query.
    Get,
    /// By a body in JSON.
    Json,
    /// By a body that is the document.
    Plain,
}

/// How `request` asks; none where it is no GraphQL.
pub(super) fn form(request: &Request) -> Option<Form> {
    match &request.method {
        Method::Get if request.upgrade.is_none() => {
            let query = request.target.query.as_deref().unwrap_or_default();
            let asks = |pair: &str| matches!(pair.split('=').next(), Some("query" | "extensions"));
            query.split('&').any(asks).then_some(Form::Get)
        }
        Method::Post if Format::Json.is_that_of(request) => Some(Form::Json),
        Method::Post => {
            let mut types = request.headers.all(Known::ContentType);
            let (Some(only), None) = (types.next(), types.next()) else { return None };
            let kind = only.split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"application/graphql").then_some(Form::Plain)
        }
        _ => None,
    }
}

/// What a query asks for.
pub(super) fn of_query(query: &str) -> Result<Vec<Asked>, &'static str> {
    let mut members = Map::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !matches!(name, "query" | "variables" | "operationName" | "extensions") {
            continue;
        }
        let text = form_decoded(value);
        let value = match name {
            "variables" | "extensions" => strict_json::value(text.as_bytes(), DEPTH)
                .map_err(|_| "variables or extensions are no JSON")?,
            _ => Value::String(text),
        };
        if members.insert(name.to_owned(), value).is_some() {
            return Err("a parameter stands twice");
        }
    }
    one(members).map(|asked| vec![asked])
}

/// What a body in JSON asks for: one operation, or a list of them.
pub(super) fn of_json(body: &[u8]) -> Result<Vec<Asked>, &'static str> {
    let value = strict_json::value(body, DEPTH).map_err(|_| "it is no JSON, or in two ways")?;
    let of = |value: Value| match value {
        Value::Object(members) => one(members),
        _ => Err("an operation is no map"),
    };
    match value {
        Value::Array(list) if list.is_empty() => Err("there is no operation"),
        Value::Array(list) => list.into_iter().map(of).collect(),
        value => of(value).map(|asked| vec![asked]),
    }
}

fn one(mut members: Map<String, Value>) -> Result<Asked, &'static str> {
    let mut text = |name: &str| match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("`query` or `operationName` is no text"),
    };
    let (query, operation) = (text("query")?, text("operationName")?);
    let variables = members.remove("variables").unwrap_or_default();
    if !variables.is_object() && !variables.is_null() {
        return Err("`variables` is no map");
    }
    let persisted = members.get("extensions").and_then(|it| it.get("persistedQuery"));
    let hash = persisted.and_then(|it| it.get("sha256Hash")?.as_str()).map(str::to_lowercase);
    let query = query.filter(|text| !text.is_empty());
    if query.is_none() && hash.is_none() {
        return Err("there is no `query`");
    }
    Ok(Asked { query, operation, variables, hash })
}
