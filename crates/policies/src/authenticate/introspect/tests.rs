use std::sync::Arc;
use std::time::Duration;

use policy::{Answer, Application, Directory, Exchange, Flow, Policy, Tls};
use serde_json::{Value, json};
use testkit::Servers;

use super::*;
use crate::harness::{Bench, exchange, flow};

const NOW: Duration = Duration::from_secs(1_790_000_000);

/// A bench whose servers are at hand.
fn bench() -> (Bench, Servers) {
    let servers = Servers::default();
    let mut bench = Bench::default();
    bench.world.remote = Arc::new(servers.clone());
    let mut directory = Directory::new();
    let application = Application { name: "shop".into(), ..Application::default() };
    directory.add(application).unwrap();
    bench.directory = Arc::new(directory);
    (bench, servers)
}

fn policy(bench: &mut Bench, settings: Value) -> Arc<dyn Policy> {
    bench.compile(&KIND, &settings).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn showing(token: &str) -> Exchange {
    let mut x = exchange();
    x.wall = NOW;
    x.request.headers.append("authorization", format!("Bearer {token}"));
    x
}

fn says(body: &str) -> Option<Answer> {
    Some(Answer { status: 200, body: body.to_owned().into(), ..Answer::default() })
}

/// The code of a refusal; empty where the request goes on.
fn code(policy: &dyn Policy, x: &mut Exchange) -> &'static str {
    match flow(policy.on_request(x)) {
        Flow::Refuse(refusal) => refusal.code.name,
        Flow::Continue => "",
        Flow::Reply(_) => "reply",
    }
}

#[test]
fn an_active_token_makes_a_caller() {
    let (mut bench, servers) = bench();
    let policy = policy(&mut bench, json!({ "endpoint": "https://idp/i" }));
    servers.answer(says(r#"{"active":true,"sub":"ann","client_id":"shop","scope":"a b"}"#));
    let mut x = showing("abc");
    assert_eq!(code(&*policy, &mut x), "");
    let caller = x.caller.unwrap();
    assert_eq!((caller.name(), caller.application_name()), (Some("ann"), Some("shop")));
    assert_eq!((&*caller.credential, caller.by), ("shop", "introspect"));
    assert_eq!(caller.scopes().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(x.request.headers.len(), 1, "the upstream gets the token");
}

#[test]
fn the_token_is_kept_from_the_upstream_where_it_must_not_get_it() {
    let (mut bench, servers) = bench();
    let policy = policy(&mut bench, json!({ "endpoint": "https://idp/i", "forward": false }));
    servers.answer(says(r#"{"active":true}"#));
    let mut x = showing("abc");
    assert_eq!(code(&*policy, &mut x), "");
    assert!(x.request.headers.is_empty());
}

#[test]
fn the_client_proves_itself_as_it_should() {
    let key = SigningKeyFile::new();
    for (client, told) in [
        (json!({ "id": "g w", "secret": "s:é" }), "authorization: Basic ZyUyMHc6cyUzQSVDMyVBOQ=="),
        (json!({ "id": "gw", "secret": "s&x", "auth": "post" }), "client_secret=s%26x"),
        (
            json!({ "id": "gw", "auth": "private_key_jwt", "key": "client.pem" }),
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
        ),
    ] {
        let (mut bench, servers) = bench();
        bench.world.files.insert("client.pem".into(), key.0.clone());
        let settings = json!({ "endpoint": "https://idp/i", "client": client });
        let policy = policy(&mut bench, settings);
        servers.answer(says(r#"{"active":false}"#));
        assert_eq!(code(&*policy, &mut showing("a+b/c=")), "token_inactive");
        let call = servers.asked().pop().unwrap();
        let fields = call.headers.iter();
        let fields = fields.map(|(name, value)| format!("{name}: {}", value.escape_ascii()));
        let body = String::from_utf8(call.body.to_vec()).unwrap();
        assert!(body.starts_with("token=a%2Bb%2Fc%3D&token_type_hint=access_token"), "{body}");
        let all = format!("{}\n{body}", fields.collect::<Vec<_>>().join("\n"));
        assert!(all.contains(told), "{all}");
        if let Some((_, assertion)) = body.split_once("client_assertion=") {
            let token = crate::jose::Token::read(assertion).unwrap();
            let claims = token.unverified().unwrap();
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!("gw"), &json!("gw")));
            assert_eq!(claims["aud"], "https://idp/i");
            assert_eq!(claims["exp"], NOW.as_secs() + 60);
        }
        assert!(!format!("{policy:?}").contains("s&x"), "no secret is shown");
    }
}

/// A private key in PEM.
struct SigningKeyFile(Vec<u8>);

impl SigningKeyFile {
    fn new() -> Self {
        let key =
            crate::jose::SigningKey::generate(crate::jose::Algorithm::named("ES256").unwrap());
        Self(key.unwrap().to_pem().unwrap().into_bytes())
    }
}

/// A token that is withdrawn is let in for `ttl` at most, and never beyond its end; what lets
/// nobody in is bounded. Seen to fail: with answers kept for an hour whatever `ttl` says, the
/// withdrawn token was let in at the 60th second.
#[test]
#[expect(non_snake_case, reason = "the name of a fault")]
fn fa_E28_a_withdrawn_token_is_let_in_no_longer_than_said() {
    let (mut bench, servers) = bench();
    let settings =
        json!({ "endpoint": "https://idp/i", "cache": { "ttl": "60s", "refused": "10s" } });
    let policy = policy(&mut bench, settings);
    let at = |token: &str, seconds: u64| {
        let mut x = showing(token);
        x.wall += Duration::from_secs(seconds);
        code(&*policy, &mut x)
    };
    servers.answer(says(r#"{"active":true}"#));
    assert_eq!(at("abc", 0), "");
    servers.answer(says(r#"{"active":false}"#));
    assert_eq!(at("abc", 59), "");
    assert!(servers.asked().is_empty(), "it is remembered");
    assert_eq!(at("abc", 60), "token_inactive");
    servers.answer(says(r#"{"active":true,"exp":1790000100}"#));
    assert_eq!(at("abc", 69), "token_inactive");
    assert_eq!(at("abc", 70), "", "a refusal is remembered for 10 s");
    assert_eq!(at("abc", 99), "");
    servers.answer(None);
    assert_eq!(at("abc", 100), "introspection_unavailable", "it ended before `ttl` did");
}

/// Whatever the provider does, nobody gets in who should not, and who is known stays so. Seen to
/// fail: with the status not looked at, a 500 that says `active: true` let the caller in.
#[test]
#[expect(non_snake_case, reason = "the name of a fault")]
fn fa_E11_a_provider_that_is_away_or_lies_lets_nobody_in() {
    let (mut bench, servers) = bench();
    let policy = policy(&mut bench, json!({ "endpoint": "https://idp/i" }));
    servers.answer(says(r#"{"active":true}"#));
    assert_eq!(code(&*policy, &mut showing("known")), "");
    let status = |status: u16| {
        Some(Answer { status, body: r#"{"active":true}"#.into(), ..Answer::default() })
    };
    let large = format!(r#"{{"active":true,"pad":"{}"}}"#, "a".repeat(300 << 10));
    let answers = [
        None,
        status(500),
        status(302),
        status(401),
        status(204),
        says("<html>active</html>"),
        says(r#"{"active":"true"}"#),
        says(&large),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let shown = format!("{answer:?}");
        servers.answer(answer);
        let found = code(&*policy, &mut showing(&format!("new{number}")));
        assert_eq!(found, "introspection_unavailable", "{shown}");
        assert_eq!(code(&*policy, &mut showing("known")), "", "{shown}");
    }
    servers.answer(None);
    assert_eq!(code(&*policy, &mut showing("other")), "introspection_unavailable");
    assert_eq!(code(&*policy, &mut showing("other")), "introspection_unavailable");
    assert_eq!(servers.asked().len(), 1, "it is not asked again at once");
}

#[test]
fn what_can_be_no_token_is_shown_to_no_server() {
    let (mut bench, servers) = bench();
    let policy = policy(&mut bench, json!({ "endpoint": "https://idp/i" }));
    servers.answer(says(r#"{"active":true}"#));
    for bad in ["", "a b", "a&token=b", &"a".repeat(5000)] {
        assert_eq!(code(&*policy, &mut showing(bad)), "token_inactive", "{bad}");
    }
    let mut none = exchange();
    assert!(matches!(flow(policy.on_request(&mut none)), Flow::Refuse(it) if it.absent));
    assert!(servers.asked().is_empty());
}

#[test]
fn an_endpoint_is_found_by_the_issuers_metadata() {
    let (mut bench, servers) = bench();
    let policy = policy(&mut bench, json!({ "issuer": "https://idp/tenant/" }));
    servers.answer(None);
    let mut x = showing("abc");
    assert_eq!(code(&*policy, &mut x), "introspection_unavailable");
    let urls: Vec<_> = servers.asked().into_iter().map(|call| call.url).collect();
    let expected = [
        "https://idp/tenant/.well-known/openid-configuration",
        "https://idp/.well-known/oauth-authorization-server/tenant",
    ];
    assert_eq!(urls, expected);
    // One answer that is both: the metadata, and what is said of a token.
    servers.answer(says(
        r#"{"issuer":"https://idp/tenant","introspection_endpoint":"https://idp/i","active":true}"#,
    ));
    x.wall += Duration::from_secs(10);
    assert_eq!(code(&*policy, &mut x), "");
    let urls: Vec<_> = servers.asked().into_iter().map(|call| call.url).collect();
    assert_eq!(urls, [expected[0], "https://idp/i"]);
}

#[test]
fn a_token_bound_to_a_certificate_is_good_with_it_alone() {
    let (mut bench, servers) = bench();
    let policy = policy(&mut bench, json!({ "endpoint": "https://idp/i" }));
    let sha256 = crate::jose::encode([7; 32]);
    servers.answer(says(&format!(r#"{{"active":true,"cnf":{{"x5t#S256":"{sha256}"}}}}"#)));
    let with = |sha256: Option<u8>| {
        let mut x = showing("abc");
        let shown = sha256.map(|byte| policy::ClientCertificate {
            subject: "CN=shop".into(),
            names: Vec::new(),
            sha256: [byte; 32],
            der: Vec::new(),
            field: String::new(),
        });
        let client = shown.map(Arc::new);
        let tls = Tls { version: "1.3", cipher: "x".into(), server_name: None, client };
        let mut connection =
            policy::Connection { listener: "web".into(), peer: None, local: None, tls: None };
        connection.tls = Some(tls);
        x.connection = Arc::new(connection);
        code(&*policy, &mut x)
    };
    assert_eq!(with(Some(7)), "");
    assert_eq!(with(Some(8)), "token_inactive");
    assert_eq!(with(None), "token_inactive", "it is remembered, and still bound");
}

#[test]
fn other_settings_ask_anew() {
    let (mut bench, servers) = bench();
    let one = policy(&mut bench, json!({ "endpoint": "https://idp/i" }));
    servers.answer(says(r#"{"active":true}"#));
    assert_eq!(code(&*one, &mut showing("abc")), "");
    servers.answer(says(r#"{"active":false}"#));
    let same = policy(&mut bench, json!({ "endpoint": "https://idp/i" }));
    assert_eq!(code(&*same, &mut showing("abc")), "", "a reload forgets nothing");
    let other = json!({ "endpoint": "https://idp/i", "audiences": ["a"] });
    let other = policy(&mut bench, other);
    assert_eq!(code(&*other, &mut showing("abc")), "token_inactive");
}
