//! Servers that decide who may call, that no one here wrote: an OpenID provider's introspection,
//! an authorizer by Envoy's own protocol files, rules in Rego.

use serde_json::{Value, json};

use crate::harness::{Gateway, Peer, curl, header_seen, status, until};

const SECRET: &str = "a-secret-for-tests-that-is-long-enough";

/// An opaque token of the provider at `port`.
fn token(port: u16) -> String {
    let answer = curl(&[
        "-u",
        &format!("machine:{SECRET}"),
        "-d",
        "grant_type=client_credentials&scope=orders:read",
        &format!("http://127.0.0.1:{port}/token"),
    ]);
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Asks for `path` with a bearer token: the status, and the code of a refusal.
fn ask(gateway: &Gateway, path: &str, token: &str) -> (String, String) {
    let bearer = format!("Authorization: Bearer {token}");
    let out = curl(&["-H", &bearer, "-w", "\n%{http_code}", &gateway.url(path)]);
    let (body, status) = out.rsplit_once('\n').unwrap();
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    (status.to_owned(), problem["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn tokens_are_introspected_at_a_certified_provider() {
    let provider = Peer::node("provider.mjs", &[]);
    let origin = Peer::origin("orders");
    let gateway = Gateway::start(&format!(
        "apis:\n  - name: orders\n    upstream: \"http://127.0.0.1:{}\"\n    policies:\n\
         \x20     - introspect:\n\
         \x20         issuer: \"http://127.0.0.1:{}\"\n\
         \x20         client: {{ id: resource, secret: \"{SECRET}\" }}\n\
         \x20         cache: {{ ttl: 2s, refused: 1s }}\n\
         \x20     - access_log: {{}}\n\
         applications: [ {{ name: machine }} ]\n",
        origin.port, provider.port
    ));
    let good = token(provider.port);
    assert_eq!(ask(&gateway, "/a", &good).0, "200");
    until("the access log names the application", || {
        gateway.access_log().contains(r#""application":"machine""#)
    });
    assert!(!gateway.access_log().contains(&good), "no token in the log");
    let refused = |token: &str| ask(&gateway, "/a", token);
    assert_eq!(refused("unknown"), ("401".into(), "token_inactive".into()));
    let revoke = format!("http://127.0.0.1:{}/token/revocation", provider.port);
    let client = format!("machine:{SECRET}");
    assert_eq!(status(&["-u", &client, "-d", &format!("token={good}"), &revoke]), "200");
    until("the withdrawn token is refused", || refused(&good).1 == "token_inactive");
    let (known, new) = (token(provider.port), token(provider.port));
    assert_eq!(ask(&gateway, "/a", &known).0, "200");
    drop(provider);
    assert_eq!(refused(&new), ("503".into(), "introspection_unavailable".into()));
    until("nobody is let in beyond what was remembered", || {
        refused(&known).1 == "introspection_unavailable"
    });
}

/// The document of a gateway before the authorizer at `port`.
fn guarded(origin: u16, authorizer: u16, more: &str) -> String {
    format!(
        "apis:\n  - name: orders\n    version: v1\n    upstream: \"http://127.0.0.1:{origin}\"\n\
         \x20   policies:\n\
         \x20     - external:\n\
         \x20         url: \"http://127.0.0.1:{authorizer}\"\n\
         \x20         protocol: grpc\n\
         \x20         request_headers: [x-a, x-kind]\n\
         \x20         upstream_headers: [x-seen]\n\
         \x20         client_headers: [x-decided, retry-after, location]\n\
         \x20         timeout: 1s\n{more}"
    )
}

#[test]
fn ext_authz_is_spoken_as_envoy_speaks_it() {
    let authorizer = Peer::python("ext_authz_peer.py", &[]);
    let origin = Peer::origin("orders");
    let more = "          answer: true\n          body: { max: 16 }\n";
    let gateway = Gateway::start(&guarded(origin.port, authorizer.port, more));
    let out = curl(&[
        "-i",
        "-d",
        "a=1",
        "-H",
        "X-Kind: allow",
        "-H",
        "X-A: one",
        "-H",
        "x-a: two",
        "-H",
        "X-Seen: forged",
        "-H",
        "X-Gone: 1",
        "-H",
        "x-unlisted: own",
        &gateway.url("/a/%2e%2e/echo/%62c?d=%41"),
    ]);
    assert!(out.contains("x-decided: yes"), "{out}");
    let body = out.split("\r\n\r\n").last().unwrap();
    let echo: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{out}"));
    let text = header_seen(&echo, "x-seen").unwrap_or_else(|| panic!("{echo}"));
    let seen: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(seen["path"], echo["target"], "the authorizer sees what the upstream sees");
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["headers"]["x-a"], "one,two");
    assert_eq!((&seen["body"], &seen["timed"]), (&json!("a=1"), &json!(true)));
    assert_eq!((&seen["scheme"], &seen["source"]), (&json!("http"), &json!("127.0.0.1")));
    assert_eq!(seen["context"], json!({ "api": "orders", "version": "v1", "route": "/*" }));
    assert_eq!(header_seen(&echo, "x-gone"), None, "{echo}");
    let own = header_seen(&echo, "x-unlisted");
    assert_eq!(own.as_deref(), Some("own"), "what is not listed passes neither way");
    let kind = |kind: &str| format!("X-Kind: {kind}");
    let denied = curl(&["-i", "-H", &kind("deny"), &gateway.url("/a")]);
    assert!(denied.starts_with("HTTP/1.1 429 ") && denied.contains("retry-after: 7"), "{denied}");
    assert!(denied.ends_with("not now"), "{denied}");
    let login = curl(&["-i", "-H", &kind("login"), &gateway.url("/a")]);
    assert!(login.starts_with("HTTP/1.1 302 ") && login.contains("location: /login"), "{login}");
    for (name, expected) in
        [("bare", "200"), ("broken", "503"), ("fails", "503"), ("slow", "503"), ("", "503")]
    {
        assert_eq!(status(&["-H", &kind(name), &gateway.url("/a")]), expected, "{name}");
    }
    let long = ["-H", &kind("bare"), "-d", "12345678901234567", &gateway.url("/a")];
    assert_eq!(status(&long), "413");
    drop(authorizer);
    assert_eq!(
        status(&["-H", &kind("allow"), &gateway.url("/a")]),
        "503",
        "nobody is let in while it is away"
    );
}

const RULES: &str = r#"package orders

import rego.v1

default allow := false

allow if {
  input.request.method == "GET"
  input.request.segments[0] == "orders"
  input.caller.application == "shop"
}

decision := {"allow": true, "headers": {"x-tenant": "7"}} if {
  input.request.query.as[_] == "tenant"
} else := {"allow": false, "status": 404, "reason": "hidden"}

sometimes if input.request.path == "/sometimes"
"#;

#[test]
fn rules_in_rego_decide() {
    let agent = Peer::python("opa_peer.py", &[]);
    let origin = Peer::origin("orders");
    let put = format!("http://127.0.0.1:{}/v1/policies/orders", agent.port);
    assert_eq!(status(&["-X", "PUT", "--data-binary", RULES, &put]), "200");
    let api = |name: &str, more: &str, decision: &str| {
        format!(
            "  - name: {name}\n    path: /{name}\n    upstream: \
             \"http://127.0.0.1:{}\"\n    policies:\n{more}      - opa: {{ url: \
             \"http://127.0.0.1:{}\", decision: {decision}, upstream_headers: [x-tenant] }}\n",
            origin.port, agent.port
        )
    };
    let key = "      - api_key: {}\n";
    let gateway = Gateway::start(&format!(
        "apis:\n{}{}{}{}\
         applications:\n  - name: shop\n    keys: [ {{ sha256: \
         1b4c9133da73a711322404314402765ab0d23fd362a167d6f0c65bb215113d94 }} ]\n  - name: lab\n    \
         keys: [ {{ sha256: 0467255695084cc12ffe0c55105907f74a9c189314b9fe87b878eb6fee787b99 }} ]\n",
        api("orders", key, "orders/allow"),
        api("tenants", "", "orders/decision"),
        api("sometimes", "", "orders/sometimes"),
        api("never", "", "no/such/rule"),
    ));
    let with = |key: &str, more: &[&str]| {
        let key = format!("X-Api-Key: {key}");
        status(&[&["-H", &key], more].concat())
    };
    let orders = gateway.url("/orders/1");
    assert_eq!(with("orange", &[&orders]), "200");
    assert_eq!(with("orange", &["-X", "DELETE", &orders]), "403");
    assert_eq!(with("plum", &[&orders]), "403", "another application");
    assert_eq!(status(&[&gateway.url("/sometimes")]), "200");
    assert_eq!(status(&[&gateway.url("/sometimes/not")]), "403", "undefined");
    assert_eq!(status(&[&gateway.url("/never")]), "403", "no such rule");
    assert_eq!(status(&[&gateway.url("/tenants/1")]), "404");
    let tenant = curl(&["-H", "X-Tenant: 8", &gateway.url("/tenants/echo?as=tenant")]);
    let echo: Value = serde_json::from_str(&tenant).unwrap_or_else(|_| panic!("{tenant}"));
    assert_eq!(header_seen(&echo, "x-tenant").as_deref(), Some("7"));
    drop(agent);
    assert_eq!(with("orange", &[&orders]), "503", "nobody is let in while it is away");
}
