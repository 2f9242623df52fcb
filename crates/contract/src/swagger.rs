//! OpenAPI 2.0 as 3.0 has it: the same paths and schemas, where they stand, with bodies, parameters
//! and responses as the later version writes them.

use serde_json::{Map, Value, json};

/// What a parameter says of its value beside its own fields: in 3.0 it stands in a schema.
const OF_VALUES: &[&str] = &[
    "type",
    "format",
    "items",
    "default",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "enum",
    "multipleOf",
    "x-nullable",
];
/// Methods that a path may have.
const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";
const JSON: &str = "application/json";

/// `old`, in the form of 3.0.
pub(crate) fn upgraded(old: &Value) -> Value {
    let mut new = old.clone();
    for (key, make) in
        [("parameters", parameter as fn(&Value) -> Value), ("responses", |it| it.clone())]
    {
        if let Some(Value::Object(shared)) = new.get_mut(key) {
            shared.values_mut().for_each(|value| *value = make(value));
        }
    }
    if let Some(Value::Object(shared)) = new.get_mut("responses") {
        let produced = types(old, "produces");
        shared.values_mut().for_each(|value| response(value, &produced));
    }
    if let Some(Value::Object(paths)) = new.get_mut("paths") {
        paths.values_mut().for_each(|item| path(item, old));
    }
    new
}

/// A path with its methods.
fn path(item: &mut Value, old: &Value) {
    let Value::Object(members) = item else { return };
    let shared = members.remove("parameters");
    let (shared, body) = split(shared.as_ref(), old, old);
    members.insert("parameters".into(), shared.into());
    for method in METHODS {
        let Some(operation) = members.get_mut(*method) else { continue };
        let (own, own_body) = split(operation.get("parameters"), old, operation);
        let produced = either(operation, old, "produces");
        let Value::Object(operation) = operation else { continue };
        operation.insert("parameters".into(), own.into());
        if let Some(body) = own_body.or_else(|| body.clone()) {
            operation.insert("requestBody".into(), body);
        }
        if let Some(Value::Object(responses)) = operation.get_mut("responses") {
            responses.values_mut().for_each(|value| response(value, &produced));
        }
    }
}

/// The parameters of `list` that are some in 3.0, and the body that the others make.
fn split(list: Option<&Value>, old: &Value, operation: &Value) -> (Vec<Value>, Option<Value>) {
    let (mut kept, mut form, mut body) = (Vec::new(), Vec::new(), None);
    for one in list.and_then(Value::as_array).into_iter().flatten() {
        let shared = one.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix('#'));
        let meant = shared.and_then(|at| old.pointer(at)).unwrap_or(one);
        match meant.get("in").and_then(Value::as_str) {
            Some("body") => body = Some(whole(meant, &consumed(operation, old, &[JSON]))),
            Some("formData") => form.push(meant),
            _ if shared.is_some() => kept.push(one.clone()),
            _ => kept.push(parameter(one)),
        }
    }
    if body.is_none() && !form.is_empty() {
        let file = form.iter().any(|one| one.get("type") == Some(&json!("file")));
        let usual = if file { MULTIPART } else { FORM };
        body = Some(fields(&form, &consumed(operation, old, &[usual])));
    }
    (kept, body)
}

/// A body that is one value.
fn whole(parameter: &Value, types: &[String]) -> Value {
    let schema = parameter.get("schema").cloned().unwrap_or_else(|| json!({}));
    let required = parameter.get("required").cloned().unwrap_or(Value::Bool(false));
    json!({ "required": required, "content": contents(&schema, types) })
}

/// A body that is a form.
fn fields(form: &[&Value], types: &[String]) -> Value {
    let (mut properties, mut required, mut encoding) = (Map::new(), Vec::new(), Map::new());
    for field in form {
        let Some(name) = field.get("name").and_then(Value::as_str) else { continue };
        let (style, explode) = style(field);
        encoding.insert(name.into(), json!({ "style": style, "explode": explode }));
        properties.insert(name.into(), of_value(field));
        if field.get("required") == Some(&Value::Bool(true)) {
            required.push(name);
        }
    }
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let mut contents = contents(&schema, types);
    for content in contents.values_mut() {
        if let Value::Object(content) = content {
            content.insert("encoding".into(), encoding.clone().into());
        }
    }
    json!({ "required": !required.is_empty(), "content": contents })
}

/// A parameter with its schema beside it.
fn parameter(old: &Value) -> Value {
    let Value::Object(members) = old else { return old.clone() };
    let mut new = members.clone();
    new.retain(|key, _| !OF_VALUES.contains(&key.as_str()) && key != "collectionFormat");
    let (style, explode) = style(old);
    new.insert("style".into(), style.into());
    new.insert("explode".into(), explode.into());
    new.insert("schema".into(), of_value(old));
    new.into()
}

/// The schema of a value.
fn of_value(old: &Value) -> Value {
    let members =
        OF_VALUES.iter().filter_map(|key| Some(((*key).to_owned(), old.get(*key)?.clone())));
    members.collect::<Map<_, _>>().into()
}

/// What `collectionFormat` means.
fn style(old: &Value) -> (&'static str, bool) {
    let place = old.get("in").and_then(Value::as_str).unwrap_or_default();
    let usual = if matches!(place, "path" | "header") { "simple" } else { "form" };
    match old.get("collectionFormat").and_then(Value::as_str) {
        Some("multi") => ("form", true),
        Some("ssv") => ("spaceDelimited", false),
        Some("tsv") => ("tabDelimited", false),
        Some("pipes") => ("pipeDelimited", false),
        _ => (usual, false),
    }
}

/// A response with its schema by media type.
fn response(value: &mut Value, produced: &[String]) {
    let Value::Object(members) = value else { return };
    if let Some(schema) = members.remove("schema") {
        let json = [JSON.to_owned()];
        let types = if produced.is_empty() { json.as_slice() } else { produced };
        members.insert("content".into(), contents(&schema, types).into());
    }
    if let Some(Value::Object(headers)) = members.get_mut("headers") {
        for header in headers.values_mut() {
            *header = json!({ "schema": of_value(header) });
        }
    }
}

fn contents(schema: &Value, types: &[String]) -> Map<String, Value> {
    types.iter().map(|kind| (kind.clone(), json!({ "schema": schema }))).collect()
}

/// The types of bodies that `operation` takes.
fn consumed(operation: &Value, old: &Value, usual: &[&str]) -> Vec<String> {
    let types = either(operation, old, "consumes");
    let form = usual.iter().all(|kind| *kind != JSON);
    let fit = |kind: &String| !form || kind == FORM || kind == MULTIPART;
    let types: Vec<String> = types.into_iter().filter(fit).collect();
    if types.is_empty() { usual.iter().map(|kind| (*kind).to_owned()).collect() } else { types }
}

/// The media types under `key` of `operation`, or else of the document.
fn either(operation: &Value, old: &Value, key: &str) -> Vec<String> {
    if operation.get(key).is_some() { types(operation, key) } else { types(old, key) }
}

fn types(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}
