//! Tokens end to end: a certified provider on loopback, and libraries of others that sign.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use serde_json::{Value, json};

use crate::certificates::Authority;
use crate::harness::{Gateway, Peer, curl, node, python, status, text};

/// What clients of the provider have as their secret.
const SECRET: &str = "a-secret-for-tests-that-is-long-enough";

/// A certified provider.
pub struct Provider(Peer);

impl Provider {
    /// Starts one.
    pub fn start() -> Self {
        Self(Peer::node("provider.mjs", &[]))
    }

    /// What its tokens say of who made them.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// A token for a machine, by client credentials.
    pub fn token(&self, more: &[&str]) -> String {
        let user = format!("machine:{SECRET}");
        let url = format!("{}/token", self.issuer());
        let usual = ["-u", &user, "-d", "grant_type=client_credentials", &url];
        let said: Value = serde_json::from_str(&curl(&[&usual, more].concat())).unwrap();
        said["access_token"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    fn tell(&self, what: &str) {
        curl(&["-X", "POST", &format!("{}/test/{what}", self.issuer())]);
    }

    fn asked(&self, path: &str) -> u64 {
        let said = curl(&[&format!("{}/test/asked", self.issuer())]);
        serde_json::from_str::<Value>(&said).unwrap()[path].as_u64().unwrap_or(0)
    }
}

fn document(origin: &Peer, policy: &Value) -> String {
    let port = origin.port;
    format!(
        "apis: [ {{ name: all, upstream: \"http://127.0.0.1:{port}\", policies: [ {policy} ] }} ]\n\
         applications: [ {{ name: machine }} ]\n"
    )
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn shows(gateway: &Gateway, headers: &[&str]) -> (String, Value) {
    let flags: Vec<&str> = headers.iter().flat_map(|header| ["-H", *header]).collect();
    let (url, out) = (gateway.url("/echo"), ["-w", "\n%{http_code}"]);
    let said = curl(&[&flags[..], &out, &[&url]].concat());
    let (body, code) = said.rsplit_once('\n').unwrap();
    (code.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn code(gateway: &Gateway, token: &str) -> (String, String) {
    let (status, body) = shows(gateway, &[&bearer(token)]);
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_certified_providers_tokens_open_what_they_are_for_through_rotation_and_illness() {
    let (provider, origin) = (Provider::start(), Peer::origin("one"));
    let policy = json!({ "jwt": {
        "issuers": [{
            "issuer": provider.issuer(), "audiences": ["urn:orders"], "type": "access_token",
            "application": "client_id",
        }],
        "headers": { "X-Client": "client_id", "X-Scope": "scope" },
    } });
    let gateway = Gateway::start(&document(&origin, &policy));
    let orders = ["-d", "resource=urn:orders", "-d", "scope=orders:read"];
    let token = provider.token(&orders);
    let (status, said) = shows(&gateway, &[&bearer(&token), "X-Client: forged"]);
    assert_eq!(status, "200", "{said}");
    let headers = said["headers"].as_array().unwrap();
    let has = |name: &str, value: &str| {
        let is_it = |pair: &&Value| pair[0].as_str().unwrap().eq_ignore_ascii_case(name);
        let found: Vec<_> = headers.iter().filter(is_it).map(|pair| &pair[1]).collect();
        assert_eq!(found, [value], "{name}");
    };
    has("x-client", "machine");
    has("x-scope", "orders:read");
    assert!(!said.to_string().contains(&token), "the upstream got the token");

    let stock = provider.token(&["-d", "resource=urn:stock"]);
    assert_eq!(code(&gateway, &stock), ("401".into(), "jwt_audience".into()));
    let opaque = provider.token(&[]);
    assert_eq!(code(&gateway, &opaque), ("401".into(), "jwt_malformed".into()));

    // What the provider does to its keys' address is not noticed.
    for ill in ["broken", "html", "long", "moved", "slow"] {
        provider.tell(&format!("answer/{ill}"));
        let another = provider.token(&orders);
        assert_eq!(code(&gateway, &another), ("200".into(), String::new()), "{ill}");
    }
    provider.tell("answer/right");
    provider.tell("rotate");
    let before = provider.asked("/jwks");
    let new = provider.token(&orders);
    assert_eq!(code(&gateway, &new), ("200".into(), String::new()), "the new key is asked for");
    assert_eq!(code(&gateway, &token), ("401".into(), "jwt_key_unknown".into()), "the old one");
    provider.tell("rotate");
    let newer = provider.token(&orders);
    assert_eq!(code(&gateway, &newer), ("401".into(), "jwt_key_unknown".into()), "not again yet");
    assert_eq!(provider.asked("/jwks") - before, 1);
}

#[test]
fn a_provider_that_is_away_when_the_gateway_starts_is_no_way_in() {
    let origin = Peer::origin("one");
    let (issuer, token) = {
        let provider = Provider::start();
        (provider.issuer(), provider.token(&["-d", "resource=urn:orders"]))
    };
    let policy =
        json!({ "jwt": { "issuers": [{ "issuer": issuer, "audiences": ["urn:orders"] }] } });
    let gateway = Gateway::start(&document(&origin, &policy));
    assert_eq!(code(&gateway, &token), ("503".into(), "jwks_unavailable".into()));
}

#[test]
fn tokens_that_pyjwt_signs_verify_with_every_algorithm() {
    let origin = Peer::origin("one");
    let (status, out, err) = text(&mut python("tokens.py", &["https://py.example", "api"]));
    assert_eq!(status, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let policy = json!({ "jwt": { "issuers": [{
        "issuer": "https://py.example", "audiences": ["api"], "keys": { "file": "keys.json" },
    }] } });
    let gateway = Gateway::start_with(&document(&origin, &policy), &[], |dir| {
        std::fs::write(dir.join("keys.json"), made["jwks"].to_string()).unwrap();
    });
    let tokens = made["tokens"].as_object().unwrap();
    assert_eq!(tokens.len(), 10);
    for (algorithm, token) in tokens {
        let token = token.as_str().unwrap();
        assert_eq!(code(&gateway, token), ("200".into(), String::new()), "{algorithm}");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{message}.{flipped}{}", &signature[1..]);
        assert_eq!(code(&gateway, &forged), ("401".into(), "jwt_signature".into()), "{algorithm}");
    }
}

#[test]
fn proofs_that_jose_makes_are_taken_once() {
    let origin = Peer::origin("one");
    let args = ["https://js.example", "api", "GET", "https://api.example.com/echo"];
    let (status, out, err) = text(&mut node("dpop.mjs", &args));
    assert_eq!(status, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let policy = json!({ "jwt": {
        "issuers": [{
            "issuer": "https://js.example", "audiences": ["api"],
            "keys": { "text": made["jwks"].to_string() },
        }],
        "dpop": { "origin": "https://api.example.com" },
    } });
    let gateway = Gateway::start(&document(&origin, &policy));
    let token = format!("Authorization: DPoP {}", made["token"].as_str().unwrap());
    let proof = |name: &str| format!("DPoP: {}", made["proofs"][name].as_str().unwrap());
    let tried = |headers: &[&str]| {
        let (status, said) = shows(&gateway, headers);
        (status, said["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |code: &str| ("401".to_owned(), code.to_owned());
    assert_eq!(tried(&[&token]), refused("dpop_proof_invalid"));
    assert_eq!(tried(&[&token, &proof("stranger")]), refused("dpop_proof_invalid"));
    assert_eq!(tried(&[&token, &proof("elsewhere")]), refused("dpop_proof_invalid"));
    assert_eq!(tried(&[&token, &proof("right")]), ("200".to_owned(), String::new()));
    assert_eq!(tried(&[&token, &proof("right")]), refused("dpop_proof_invalid"), "twice");
    assert_eq!(tried(&[&token, &proof("another")]), ("200".to_owned(), String::new()));
    let as_bearer = bearer(made["token"].as_str().unwrap());
    assert_eq!(tried(&[&as_bearer, &proof("another")]), refused("jwt_binding"));
}

const TLS: &str = r#"
listeners:
  - name: web
    bind: "127.0.0.1:@WEB@"
    tls:
      certificates: [ { cert: server.pem, key: server.key } ]
      client_certificates: { mode: request, ca: ca.pem }
"#;

/// Of callers with certificates, only those of the authority that have a name the policy knows get
/// in; an authority that is missing, empty or broken refuses the document and what ran goes on.
/// Seen to fail: with the system's authorities in place of a file that holds none, the document was
/// taken.
#[test]
fn fa_E18_callers_are_known_by_certificates_and_a_missing_authority_is_refused() {
    let origin = Peer::origin("one");
    let policy =
        json!({ "mtls": { "callers": [{ "san": "dns:caller.test", "application": "machine" }] } });
    let document = format!("{TLS}{}", document(&origin, &policy));
    let gateway = Gateway::start_with(&document, &[], |dir| {
        let ca = Authority::new(dir, "ca");
        ca.sign(dir, "server", &["api.test"]);
        ca.sign(dir, "caller", &["caller.test"]);
        ca.sign(dir, "other", &["other.test"]);
        Authority::new(dir, "stranger").sign(dir, "impostor", &["caller.test"]);
    });
    let url = format!("https://api.test:{}/name", gateway.port);
    let resolve = format!("api.test:{}:127.0.0.1", gateway.port);
    let file = |name: &str| gateway.dir().join(name).display().to_string();
    std::fs::copy(file("ca.pem"), file("trusted.pem")).unwrap();
    let trusted = file("trusted.pem");
    let usual = ["--resolve", &resolve, "--cacert", &trusted, &url];
    let with = |name: &str| {
        let (cert, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
        status(&[&["--cert", &cert, "--key", &key], &usual[..]].concat())
    };
    assert_eq!(status(&usual), "403", "without one");
    assert_eq!(with("caller"), "200");
    assert_eq!(with("other"), "403");
    for broken in ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        std::fs::write(file("ca.pem"), broken).unwrap();
        let (code, said) = gateway.reload();
        assert_ne!(code, "200", "{broken:?}: {said}");
        assert_eq!(with("caller"), "200", "what runs goes on");
    }
    std::fs::remove_file(file("ca.pem")).unwrap();
    let (code, said) = gateway.reload();
    assert_ne!(code, "200", "no file: {said}");
    assert_eq!(with("caller"), "200", "what runs goes on");
}
