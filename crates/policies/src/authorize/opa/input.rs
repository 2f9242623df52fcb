//! What Open Policy Agent is told: `input` of its Data API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::message::{Held, Name};
use policy::{Caller, Exchange};
use serde_json::{Map, Value, json};

/// The input that tells of `x`: the header fields `told`, and the beginning of its body where that
/// is told too.
pub(super) fn input(x: &Exchange, told: &[Name], body: Option<&Held>) -> Value {
    let target = &x.request.target;
    let mut request = json!({
        "method": x.request.method.as_str(),
        "scheme": target.scheme.text(),
        "host": target.authority.host(),
        "path": target.path,
        "segments": segments(&target.path),
        "query": query(target.query.as_deref().unwrap_or_default()),
        "headers": headers(x, told),
        "version": x.request.version.text(),
        "client": x.client.to_string(),
    });
    if let (Some(held), Some(request)) = (body, request.as_object_mut()) {
        request.insert("body".into(), written(held));
    }
    let route = x.route.as_ref();
    json!({
        "request": request,
        "caller": x.caller.as_ref().map(caller),
        "api": route.map(|route| route.api()),
        "version": route.and_then(|route| route.version()),
        "route": route.map(|route| route.route()),
        "params": params(x),
    })
}

/// The path's segments, escapes as they are: two readings of one path would be a way around rules.
fn segments(path: &str) -> Vec<&str> {
    path.strip_prefix('/').unwrap_or(path).split('/').collect()
}

/// The values of each parameter, as written.
fn query(text: &str) -> Map<String, Value> {
    let mut query = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        add(&mut query, name, value);
    }
    query
}

/// All values of each field, in a list: one reading of a field that came twice is a way around
/// rules too. What is no text stands in base64 behind `base64:`.
fn headers(x: &Exchange, told: &[Name]) -> Map<String, Value> {
    let mut headers = Map::new();
    for name in told {
        for value in x.request.headers.all(name) {
            match std::str::from_utf8(value) {
                Ok(text) => add(&mut headers, name.as_str(), text),
                Err(_) => {
                    let text = format!("base64:{}", STANDARD.encode(value));
                    add(&mut headers, name.as_str(), &text);
                }
            }
        }
    }
    headers
}

fn add(to: &mut Map<String, Value>, name: &str, value: &str) {
    let list = to.entry(name).or_insert_with(|| json!([]));
    if let Value::Array(values) = list {
        values.push(value.into());
    }
}

fn params(x: &Exchange) -> Map<String, Value> {
    let Some(route) = &x.route else { return Map::new() };
    let params = route.params(&x.request.target.path);
    params.map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// A body: JSON where it is, else text; in base64 behind `base64:` where it is neither.
fn written(held: &Held) -> Value {
    let json = held.whole.then(|| crate::jose::object(&held.bytes)).flatten();
    let value = match (json, std::str::from_utf8(&held.bytes)) {
        (Some(object), _) => Value::Object(object),
        (None, Ok(text)) => text.into(),
        (None, Err(_)) => format!("base64:{}", STANDARD.encode(&held.bytes)).into(),
    };
    json!({ "value": value, "whole": held.whole })
}

fn caller(caller: &Caller) -> Value {
    let grant = caller.grant.as_ref();
    let labels = caller.application.as_ref().map(|application| &*application.labels);
    json!({
        "name": caller.name(),
        "application": caller.application_name(),
        "organization": caller.organization(),
        "credential": &*caller.credential,
        "by": caller.by,
        "subject": grant.and_then(|grant| grant.subject.as_deref()),
        "issuer": grant.and_then(|grant| grant.issuer.as_deref()),
        "scopes": caller.scopes().collect::<Vec<_>>(),
        "groups": caller.groups().collect::<Vec<_>>(),
        "labels": labels,
        "claims": grant.map(|grant| &grant.claims),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::Grant;
    use policy::message::Method;

    use super::*;
    use crate::harness::exchange;

    #[test]
    fn a_request_is_told_as_the_gateway_understands_it() {
        let mut x = exchange();
        x.request.method = Method::Post;
        x.request.target.path = "/a/%2Fb/".into();
        x.request.target.query = Some("x=1&y&x=%20".into());
        x.request.target.authority.set("api.example.com", Some(8080));
        x.request.headers.append("X-A", "1");
        x.request.headers.append("x-a", b"\xff");
        x.request.headers.append("x-secret", "not listed");
        let held = Held { bytes: "{\"n\":1}".into(), whole: true };
        let told = [Name::new("x-a").unwrap(), Name::new("x-none").unwrap()];
        let input = input(&x, &told, Some(&held));
        let expected = json!({
            "request": {
                "method": "POST", "scheme": "http", "host": "api.example.com", "path": "/a/%2Fb/",
                "segments": ["a", "%2Fb", ""],
                "query": { "x": ["1", "%20"], "y": [""] },
                "headers": { "x-a": ["1", "base64:/w=="] },
                "version": "1.1", "client": "192.0.2.7",
                "body": { "value": { "n": 1 }, "whole": true },
            },
            "caller": null, "api": null, "version": null, "route": null, "params": {},
        });
        assert_eq!(input, expected);
    }

    #[test]
    fn a_body_is_json_only_where_all_of_it_is_there() {
        let of = |bytes: &'static [u8], whole| written(&Held { bytes: bytes.into(), whole });
        assert_eq!(of(b"{\"a\":1}", false), json!({ "value": "{\"a\":1}", "whole": false }));
        assert_eq!(of(b"{\"a\":1,\"a\":2}", true)["value"], "{\"a\":1,\"a\":2}");
        assert_eq!(of(b"\xff", true)["value"], "base64:/w==");
    }

    #[test]
    fn the_caller_is_told_with_all_that_its_credential_says() {
        let mut x = exchange();
        let mut grant = Grant { subject: Some("ann".into()), ..Grant::default() };
        grant.scopes = vec!["read".into()];
        grant.claims.insert("tenant".into(), json!(7));
        let grant = Some(Arc::new(grant));
        x.caller = Some(Caller { application: None, credential: "c".into(), by: "jwt", grant });
        let told = &input(&x, &[], None)["caller"];
        assert_eq!((&told["subject"], &told["by"]), (&json!("ann"), &json!("jwt")));
        assert_eq!((&told["scopes"], &told["claims"]["tenant"]), (&json!(["read"]), &json!(7)));
        assert_eq!(told["application"], Value::Null);
    }
}
