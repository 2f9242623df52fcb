//! Conditions: what they see, what is refused, what they may cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::message::{Body, Method};
use crate::{
    Application, Caller, ClientCertificate, Connection, Grant, RouteFacts, RouteNames, Tls,
};

fn exchange() -> Exchange {
    let certificate = ClientCertificate {
        subject: "CN=shop".into(),
        names: vec!["shop.example".into()],
        sha256: [0; 32],
        der: Vec::new(),
        field: String::new(),
    };
    let connection = Connection {
        listener: "secure".into(),
        peer: "192.0.2.7:4711".parse().ok(),
        local: None,
        tls: Some(Tls {
            version: "1.3",
            cipher: "x".into(),
            server_name: Some("api.example.com".into()),
            client: Some(Arc::new(certificate)),
        }),
    };
    let mut exchange = Exchange::new(Arc::new(connection), 0);
    exchange.request.method = Method::Get;
    exchange.request.target.authority.set("api.example.com", Some(8443));
    exchange.request.target.path = "/orders/42".into();
    exchange.request.target.query = Some("a=1&b=x%20y&a=2&flag&plus=x+y&broken=%zz".into());
    exchange.request.headers.append("X-Plan", "gold");
    exchange.request.headers.append("Accept", "a/b");
    exchange.request.headers.append("accept", "c/d");
    exchange.request.body = Body::from("12345");
    exchange.route = Some(RouteFacts {
        number: 0,
        names: Arc::new(RouteNames {
            api: "orders".into(),
            version: Some("v1".into()),
            route: "one".into(),
            params: ["id".into()].into(),
            operation: None,
        }),
        values: [(8, 10)].into_iter().collect(),
    });
    exchange
}

fn with_caller() -> Exchange {
    let mut exchange = exchange();
    exchange.caller = Some(Caller {
        application: Some(Arc::new(Application {
            name: "shop".into(),
            organization: Some("acme".into()),
            labels: BTreeMap::from([("tier".into(), "gold".into())]).into(),
            ..Application::default()
        })),
        credential: "key-1".into(),
        by: "api_key",
        grant: None,
    });
    exchange
}

fn with_claims(claims: serde_json::Value) -> Exchange {
    let mut exchange = with_caller();
    if let Some(caller) = &mut exchange.caller {
        caller.grant = Some(Arc::new(Grant {
            subject: Some("ann".into()),
            issuer: Some("https://id.example".into()),
            scopes: vec!["orders:read".into(), "orders:write".into()],
            groups: vec!["buyers".into()],
            claims: claims.as_object().cloned().unwrap_or_default(),
            expires: None,
        }));
    }
    exchange
}

fn holds(text: &str, exchange: &Exchange) -> Result<bool, String> {
    Condition::compile(text).unwrap_or_else(|bad| panic!("{text}: {bad}")).holds(exchange)
}

#[test]
fn every_variable_can_be_asked_for() {
    for text in [
        r#"request.method == "GET""#,
        r#"request.scheme == "http""#,
        r#"request.host == "api.example.com""#,
        r#"request.path.startsWith("/orders/")"#,
        r#"request.query["a"] == "1,2" && request.query.b == "x y" && request.query.flag == """#,
        r#"request.query.plus == "x y" && request.query.broken == "%zz""#,
        r#"request.headers["x-plan"] == "gold""#,
        r#"request.headers.accept == "a/b,c/d""#,
        r#""x-plan" in request.headers && !("x-other" in request.headers)"#,
        r#"has(request.headers.accept) && !has(request.headers.other)"#,
        r#"request.headers.exists(name, name == "x-plan")"#,
        r#"request.headers.exists(name, request.headers[name] == "gold")"#,
        r#"request.version == "1.1""#,
        r#"request.size == 5"#,
        r#"client.address == "192.0.2.7""#,
        r#"caller.application == "shop" && caller.organization == "acme""#,
        r#"caller.credential == "key-1" && caller.labels.tier == "gold""#,
        r#"has(caller.application) && has(caller.labels.tier) && !has(caller.labels.other)"#,
        r#"route.api == "orders" && route.version == "v1" && route.name == "one""#,
        r#"route.params.id == "42" && int(route.params["id"]) > 41"#,
        r#"connection.listener == "secure" && connection.tls == "1.3""#,
        r#"connection.server_name == "api.example.com""#,
        r#"connection.certificate_subject == "CN=shop""#,
        r#""shop.example" in connection.certificate_names"#,
        r#"request.path.matches("^/orders/[0-9]+$") && matches(request.host, "^api")"#,
        r#"request.headers["x-plan"].upperAscii() == "GOLD" && "A".lowerAscii() == "a""#,
        r#"request.method in ["GET", "HEAD"] ? true : false"#,
        r#"["a", "b"].all(x, x < "c") && [1, 2].exists_one(x, x == 2)"#,
        r#"size(request.headers) == 2 && request.path.size() == 10"#,
        r#"type(request.path) == string"#,
    ] {
        assert_eq!(holds(text, &with_caller()), Ok(true), "{text}");
    }
}

#[test]
fn what_is_not_there_is_null_and_can_be_compared() {
    let mut exchange = Exchange::new(exchange().connection.clone(), 0);
    exchange.route = None;
    for text in [
        r#"caller.application == null && !has(caller.application)"#,
        r#"!(caller.application == "shop")"#,
        r#"size(caller.labels) == 0 && size(route.params) == 0"#,
        r#"!has(route.api) && route.name == null"#,
        r#"request.host == "" && request.path == "" && size(request.query) == 0"#,
    ] {
        assert_eq!(holds(text, &exchange), Ok(true), "{text}");
    }
}

#[test]
fn what_a_credential_says_can_be_asked_for() {
    let exchange = with_claims(serde_json::json!({
        "role": "admin",
        "level": 3,
        "big": u64::MAX,
        "share": 0.5,
        "active": true,
        "nothing": null,
        "realm": { "roles": ["a", "b"], "deep": { "er": 1 } },
        "https://example.com/tenant": "acme",
    }));
    for text in [
        r#"caller.name == "ann" && caller.subject == "ann" && caller.by == "api_key""#,
        r#"caller.issuer == "https://id.example""#,
        r#""orders:read" in caller.scopes && !("admin" in caller.scopes)"#,
        r#"caller.groups.exists(g, g.startsWith("buy")) && size(caller.groups) == 1"#,
        r#"caller.claims.role == "admin" && caller.claims["level"] >= 3"#,
        r#"caller.claims.big > 9u && caller.claims.share < 0.6 && caller.claims.active"#,
        r#"caller.claims.nothing == null && has(caller.claims.nothing)"#,
        r#""b" in caller.claims.realm.roles && caller.claims.realm.deep.er == 1"#,
        r#"caller.claims["https://example.com/tenant"] == caller.organization"#,
        r#"!has(caller.claims.none) && !("none" in caller.claims) && "role" in caller.claims"#,
        r#"caller.claims.exists(name, name == "role") && size(caller.claims) == 8"#,
    ] {
        assert_eq!(holds(text, &exchange), Ok(true), "{text}");
    }
    for text in [
        r#"caller.claims.none == "x""#,
        r#"caller.claims.realm.none == "x""#,
        r#"caller.claims.role > 3"#,
        r#"caller.claims.level.startsWith("3")"#,
        "caller.claims.role",
    ] {
        assert!(holds(text, &exchange).is_err(), "{text}");
    }
    let text = r#"caller.name == "shop" && size(caller.claims) == 0 && caller.scopes == []"#;
    assert_eq!(holds(text, &with_caller()), Ok(true), "a key says nothing beside its application");
}

#[test]
fn a_credential_that_says_more_than_is_looked_at_is_an_error() {
    let many: Vec<u32> = (0..200).collect();
    let exchange = with_claims(serde_json::json!({ "few": [1], "many": many.clone() }));
    assert!(holds("1 in caller.claims.many", &exchange).is_err());
    assert_eq!(holds("1 in caller.claims.few", &exchange), Ok(true), "only what is named is taken");
    assert!(holds("caller.claims.exists(name, name == 'few')", &exchange).is_err());
    let rows: Vec<_> = (0..100).map(|_| (0..20).collect::<Vec<u32>>()).collect();
    let exchange = with_claims(serde_json::json!({ "rows": rows }));
    assert!(holds("size(caller.claims.rows) == 100", &exchange).is_err(), "2,000 values");
}

#[test]
fn what_lets_through_holds_for_every_value_of_a_field() {
    let condition = Condition::compile(r#"request.headers["x-tier"] == "gold""#).unwrap();
    let with = |values: &[&str]| {
        let mut exchange = exchange();
        for value in values {
            exchange.request.headers.append("X-Tier", value);
        }
        condition.holds_for_all(&exchange)
    };
    assert_eq!(with(&["gold"]), Ok(true));
    assert_eq!(with(&["gold", "lead"]), Ok(false));
    assert_eq!(with(&["lead", "gold"]), Ok(false));
    assert!(with(&[]).is_err());
    let condition = Condition::compile(r#"request.headers["x-tier"].contains("gold")"#).unwrap();
    let mut exchange = exchange();
    exchange.request.headers.append("X-Tier", "gold");
    exchange.request.headers.append("X-Tier", "lead");
    assert_eq!(condition.holds_for_all(&exchange), Ok(false), "joined it does, alone not");
    assert_eq!(condition.holds(&exchange), Ok(true));
}

#[test]
fn a_field_that_came_twice_hides_nothing() {
    let text = r#"request.headers["x-internal"] == "true""#;
    let with = |values: &[&[u8]]| {
        let mut exchange = exchange();
        for value in values {
            exchange.request.headers.append("X-Internal", value);
        }
        holds(&format!("'x-internal' in request.headers && {text}"), &exchange)
    };
    assert_eq!(with(&[]), Ok(false));
    assert_eq!(with(&[b"true"]), Ok(true));
    assert_eq!(with(&[b"true", b"true"]), Ok(true));
    assert_eq!(with(&[b"x", b"true"]), Ok(true));
    assert_eq!(with(&[b"x", b"true", b"y"]), Ok(true));
    assert_eq!(with(&[b"x", b"y"]), Ok(false));
    assert!(with(&[&b"x"[..]; 17]).is_err(), "nobody sends that many in good faith");
    assert!(with(&[b"tru\xff"]).is_err(), "what is no text can't be compared");
}

#[test]
fn what_can_not_be_told_is_an_error_and_not_false() {
    for (text, says) in [
        (r#"request.headers["x-none"] == "a""#, "No such key"),
        (r#"caller.application.startsWith("a")"#, "overload"),
        (r#"int(request.path) > 1"#, "int"),
        (r#"1 / (request.size - 5) == 1"#, "zero"),
        (r#"dyn([1, "a"])[1]"#, "not a bool"),
    ] {
        let error = holds(text, &exchange()).expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn what_nobody_can_ask_for_is_refused_with_a_hint() {
    for (text, what, hint) in [
        ("", "is empty", "leave `when` out"),
        ("request.methd == 'GET'", "no `request.methd`", "`request.method`"),
        ("requst.method == 'GET'", "no `requst`", "`request`"),
        ("zebra == 'GET'", "no `zebra`", "there are request, client"),
        ("request == 'GET'", "`request` can't stand alone", "request.method"),
        ("request['method'] == 'GET'", "`request` can't stand alone", "request.method"),
        ("request.path.startWith('/a')", "no function `startWith`", "`startsWith`"),
        ("teapot(request.path)", "no function `teapot`", "there are size"),
        ("request.method", "gives a text", "compare it"),
        ("request.headers['a']", "gives a text", "compare it"),
        ("size(request.path)", "gives a number", "compare it"),
        ("request.method = 'GET'", "can't be read at character", "CEL"),
        ("request.headers['X-Plan'] == 'a'", "lower-case", "x-plan"),
        ("has(request.headers.Accept)", "lower-case", "accept"),
        ("request.headers['a b'] == 'a'", "can't be a header's name", ""),
        ("request.path.matches(request.host)", "must be a literal", "quotes"),
        ("request.path.matches('(')", "pattern of `matches` is wrong", "regex"),
        ("request.path.matches('(a{1000}){1000}')", "pattern of `matches` is wrong", ""),
        ("['a'].exists(request, request == 'a')", "has a meaning already", "another name"),
        ("request.path.exists(x, y)", "no `y`", ""),
        ("a.b{c: 1} == 1", "can't build messages", "map"),
        ("request.headers.?a == 'b'", "can't be read", ""),
        ("has(request.headers['x-a'])", "can't be read", "in request.headers"),
    ] {
        let bad = Condition::compile(text).expect_err(text);
        assert!(bad.what.contains(what), "{text}: {bad}");
        assert!(bad.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {bad}");
    }
}

#[test]
fn what_may_cost_much_is_refused() {
    let long = format!("request.path == '{}'", "a".repeat(TEXT_BYTES));
    let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
    let chain = format!("request.path == {}'a'", "'a'+".repeat(400));
    let loops = "request.headers.all(a, request.query.all(b, request.headers[a] == b))";
    for text in [&*long, &*deep, &*chain, loops] {
        assert!(Condition::compile(text).is_err(), "{text} was taken");
    }
    let fine = "request.headers.all(a, ['x', 'y'].exists(b, request.headers[a] != b))";
    assert_eq!(holds(fine, &exchange()), Ok(true));
}

#[test]
fn more_headers_than_a_condition_may_walk_are_an_error() {
    let mut exchange = exchange();
    for n in 0..200 {
        exchange.request.headers.append(format!("x-{n}"), "1");
    }
    assert!(holds("request.headers.exists(name, name == 'x-1')", &exchange).is_err());
    assert_eq!(holds("request.headers['x-150'] == '1'", &exchange), Ok(true), "one by name");
}

#[test]
fn only_what_is_named_is_looked_up() {
    let named = |text: &str| {
        let condition = Condition::compile(text).unwrap();
        let headers = condition.0.needs.headers.map(|names| names.len());
        (condition.0.needs.variables.len(), headers)
    };
    assert_eq!(named("request.method == 'GET' || request.method == 'PUT'"), (1, Some(0)));
    assert_eq!(named("request.headers['a'] == request.headers.b"), (1, Some(2)));
    assert_eq!(named("request.headers.exists(x, x == 'a')"), (1, None));
    assert_eq!(named("has(request.path)"), (0, Some(0)), "always there");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in r#"[a-z.()\[\]'"&|=! 0-9{}?:,<>+*/%-]{0,80}"#) {
        if let Ok(condition) = Condition::compile(&text) {
            let _ = condition.holds(&exchange());
        }
    }

    #[test]
    fn no_words_make_it_panic(words in proptest::collection::vec(word(), 0..12)) {
        if let Ok(condition) = Condition::compile(&words.join(" ")) {
            let _ = condition.holds(&exchange());
        }
    }
}

fn word() -> impl proptest::strategy::Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "request.path",
        "request.headers",
        "caller.labels",
        "caller.application",
        "caller.claims",
        "caller.scopes",
        "has",
        "(",
        ")",
        "[",
        "]",
        "==",
        "&&",
        "||",
        "!",
        "'a'",
        "1",
        "-",
        "+",
        "*",
        "/",
        "%",
        "in",
        "?",
        ":",
        ".all(x,",
        ".map(x,",
        "x",
        "true",
        "null",
        "{",
        "}",
        ",",
        ".matches('a')",
        ".startsWith('/')",
        "size(",
        "int(",
        "9223372036854775807",
        "0.5",
    ])
}

#[test]
fn what_tells_exchanges_apart_is_written_differently() {
    let exchange = with_caller();
    let written = |text: &str| {
        let mut out = Vec::new();
        let expression =
            Expression::compile_key(text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
        expression.write(&exchange, &mut out).map(|whole| whole.then_some(out))
    };
    let same = |a: &str, b: &str| written(a).unwrap() == written(b).unwrap();
    assert!(same("request.path", "'/orders/42'"));
    assert!(same("[caller.application, 1]", "['shop', 1]"));
    for (a, b) in [
        ("['ab', 'c']", "['a', 'bc']"),
        ("['a', 'b']", "'ab'"),
        ("[['a'], 'b']", "[['a', 'b']]"),
        ("'1'", "1"),
        ("1", "1u"),
        ("true", "1"),
        ("b'a'", "'a'"),
        ("[]", "''"),
    ] {
        assert!(!same(a, b), "{a} and {b}");
    }
    assert_eq!(written("caller.subject"), Ok(None), "nothing is no key");
    assert_eq!(written("[caller.application, caller.subject]"), Ok(None), "nor is half a key");
    assert!(written("int(request.path)").is_err());
    assert!(written("[{'a': 1}]").unwrap_err().contains("gives a map"));
    assert!(Expression::compile_key("caller.labels").is_err());
}

#[test]
fn numbers_are_whole_and_not_below_zero() {
    let exchange = with_caller();
    let number = |text: &str| {
        Expression::compile_number(text, When::Request).map_err(|bad| bad.what)?.number(&exchange)
    };
    assert_eq!(number("size(request.path) * 2"), Ok(20));
    assert_eq!(number("request.method == 'GET' ? 1 : 5"), Ok(1));
    assert_eq!(number("double(1) / 4.0"), Ok(1));
    assert_eq!(number("7u"), Ok(7));
    for text in ["0 - 1", "-0.5", "request.path", "int(request.path)", "dyn('a')"] {
        assert!(number(text).is_err(), "{text}");
    }
}

#[test]
fn the_response_can_be_asked_for_where_there_is_one() {
    let mut exchange = with_caller();
    exchange.response.status = crate::message::Status::OK;
    exchange.response.headers.append("X-Cost", "7");
    let number = |text: &str, when| {
        Expression::compile_number(text, when).map_err(|bad| bad.what)?.number(&exchange)
    };
    let text = r#"response.status == 200 && "x-cost" in response.headers ? int(response.headers["x-cost"]) : 1"#;
    assert_eq!(number(text, When::Response), Ok(7));
    let before = number(text, When::Request).unwrap_err();
    assert_eq!(before, "there is no response yet to ask for");
    let gone = number(r#"int(response.headers["x-none"])"#, When::Response);
    assert!(gone.is_err(), "{gone:?}");
}
