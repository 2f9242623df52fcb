//! Tokens as forgers make them, and issuers whose keys come late.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use policy::{Answer, Call, Remote, Unanswered};
use serde_json::{Map, json};

use super::*;
use crate::harness::{self, Bench, refusal};
use crate::jose::{Algorithm, SigningKey, encode, jwks};

mod bound;

const NOW: u64 = 1_790_000_000;
const ISSUER: &str = "https://idp.example";

/// An issuer whose keys are asked for at a URL.
#[derive(Debug, Default)]
struct Idp {
    keys: Mutex<Option<String>>,
    calls: AtomicUsize,
}

impl Remote for Idp {
    fn call(&self, _: Call) -> Pin<Box<dyn Future<Output = Result<Answer, Unanswered>> + Send>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let keys = self.keys.lock().unwrap().clone();
        let answer =
            keys.map(|keys| Answer { status: 200, body: keys.into(), ..Answer::default() });
        Box::pin(std::future::ready(answer.ok_or(Unanswered::Late)))
    }
}

struct World {
    key: SigningKey,
    idp: Arc<Idp>,
    policy: Arc<dyn Policy>,
    bench: Bench,
}

impl World {
    /// A policy for an issuer with these settings beside the usual, whose key is an ES256 one.
    fn new(more: Value) -> Self {
        Self::with_key(SigningKey::generate(Algorithm::ES256).unwrap(), more)
    }

    fn with_key(key: SigningKey, more: Value) -> Self {
        let idp = Arc::new(Idp::default());
        *idp.keys.lock().unwrap() = Some(jwks([&key]).to_string());
        let mut bench = Bench::default();
        bench.world.remote = idp.clone();
        let mut issuer = json!({
            "issuer": ISSUER, "keys": { "url": "https://idp.example/keys" }, "audiences": ["api"],
        });
        let more = more.as_object().unwrap().clone();
        issuer.as_object_mut().unwrap().extend(more);
        let policy = bench.compile(&KIND, &json!({ "issuers": [issuer] })).unwrap();
        Self { key, idp, policy, bench }
    }

    fn claims(&self, changes: Value) -> Map<String, Value> {
        let mut claims = json!({ "iss": ISSUER, "aud": "api", "exp": NOW + 600, "sub": "ann" });
        let claims = claims.as_object_mut().unwrap();
        claims.extend(changes.as_object().unwrap().clone());
        std::mem::take(claims)
    }

    fn token(&self, changes: Value) -> String {
        self.key.sign("JWT", &self.claims(changes)).unwrap()
    }

    /// The code that `token` is refused with at a time; `let in` where it is not.
    fn at(&self, token: &str, now: Duration) -> &'static str {
        let mut exchange = harness::exchange();
        exchange.wall = now;
        exchange.request.headers.append("authorization", format!("Bearer {token}"));
        match refusal(self.policy.on_request(&mut exchange)) {
            Some(refusal) => {
                assert!(exchange.caller.is_none(), "refused, and let in");
                refusal.code.name
            }
            None => "let in",
        }
    }

    fn shows(&self, token: &str) -> &'static str {
        self.at(token, Duration::from_secs(NOW))
    }

    fn calls(&self) -> usize {
        self.idp.calls.load(Ordering::Relaxed)
    }
}

/// A token of these parts, unsigned.
fn raw(header: &str, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", encode(header), encode(claims))
}

/// A token without a signature is none, whatever it calls that. Seen to fail: with `none` among the
/// algorithms, verified by an empty signature, the first was let in.
#[test]
fn fa_E01_tokens_without_a_signature_are_refused() {
    let world = World::new(json!({}));
    assert_eq!(world.shows(&world.token(json!({}))), "let in");
    let claims = Value::Object(world.claims(json!({}))).to_string();
    let signed = world.token(json!({}));
    let signature = signed.rsplit('.').next().unwrap();
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"NONE","typ":"JWT"}"#,
        r#"{"alg":""}"#,
        r#"{"alg":null}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":["ES256"]}"#,
        r#"{"alg":"es256"}"#,
    ] {
        for signature in ["", signature] {
            assert_eq!(world.shows(&raw(header, &claims, signature)), "jwt_alg", "{header}");
        }
    }
    let kid = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, world.key.kid());
    assert_eq!(world.shows(&raw(&kid, &claims, "")), "jwt_signature");
}

/// A public key is never a secret: its algorithm is fixed before a token is looked at. Seen to
/// fail: with HMACs by the published modulus verified where a token asks for them, the forged one
/// was let in; without the look at the key's algorithm it was verified as RS256.
#[test]
fn fa_E02_a_public_key_is_not_taken_for_a_secret() {
    let key = SigningKey::generate(Algorithm::RS256).unwrap();
    let published = jwks([&key]).to_string();
    let kid = key.kid().to_owned();
    let world = World::with_key(key, json!({}));
    assert_eq!(world.shows(&world.token(json!({}))), "let in");
    let n = world.key.jwk().public().unwrap()["n"].as_str().unwrap().to_owned();
    for secret in [published.as_str(), &n] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let forged = SigningKey::from_secret(secret.as_bytes(), algorithm).unwrap();
            let token = forged.named(kid.clone()).sign("JWT", &world.claims(json!({}))).unwrap();
            assert_eq!(world.shows(&token), "jwt_alg", "{algorithm:?}");
        }
    }
    let pem = world.key.to_pem().unwrap();
    let other = SigningKey::from_pem(pem.as_bytes(), Some(Algorithm::PS256)).unwrap();
    let token = other.sign("JWT", &world.claims(json!({}))).unwrap();
    assert_eq!(world.shows(&token), "jwt_alg", "the key is for RS256 alone");
}

/// A claim of a wrong type is not a missing one.
/// Seen to fail: with what is no number taken for missing, `nbf` in the far future was let in.
#[test]
fn fa_E03_claims_of_a_wrong_type_are_refused() {
    let world = World::new(json!({ "require_expiry": false }));
    let values =
        ["\"99\"", "\"9999999999\"", "[]", "{}", "null", "-1", "1.5", "1790000600.0", "true"];
    for name in ["exp", "nbf", "iat"] {
        for value in values.iter().copied().chain(["18446744073709551616", "99999999999999"]) {
            let claims = format!(r#"{{"iss":"{ISSUER}","aud":"api","{name}":{value}}}"#);
            let claims = crate::jose::object(claims.as_bytes()).unwrap();
            let token = world.key.sign("JWT", &claims).unwrap();
            assert_eq!(world.shows(&token), "jwt_claim_type", "{name}: {value}");
        }
        let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, world.key.kid());
        let claims = format!(r#"{{"iss":"{ISSUER}","aud":"api","{name}":1e400}}"#);
        assert_eq!(world.shows(&raw(&header, &claims, "AA")), "jwt_malformed", "{name}: 1e400");
    }
    for changes in [
        json!({ "aud": 1 }),
        json!({ "aud": ["api", 1] }),
        json!({ "aud": { "api": 1 } }),
        json!({ "sub": 1 }),
        json!({ "sub": ["ann"] }),
        json!({ "iss": 1 }),
        json!({ "iss": [ISSUER] }),
        json!({ "jti": {} }),
    ] {
        assert_eq!(world.shows(&world.token(changes.clone())), "jwt_claim_type", "{changes}");
    }
}

/// What a token must say it must say, and to the letter. Seen to fail: with the issuer left
/// unlooked at, tokens of others with the same key were let in; with an absent audience taken for
/// any, the token without one was.
#[test]
fn fa_E04_tokens_for_others_of_others_and_without_an_end_are_refused() {
    let world = World::new(json!({}));
    for (changes, code) in [
        (json!({ "aud": "other" }), "jwt_audience"),
        (json!({ "aud": [] }), "jwt_audience"),
        (json!({ "aud": ["other", "API", "api/"] }), "jwt_audience"),
        (json!({ "aud": ["other", "api"] }), "let in"),
        (json!({ "iss": "https://idp.example/" }), "jwt_issuer"),
        (json!({ "iss": "https://IDP.example" }), "jwt_issuer"),
        (json!({ "iss": "https://idp.example.evil.example" }), "jwt_issuer"),
        (json!({ "iss": "" }), "jwt_issuer"),
    ] {
        assert_eq!(world.shows(&world.token(changes.clone())), code, "{changes}");
    }
    for (name, code) in [("aud", "jwt_audience"), ("iss", "jwt_issuer"), ("exp", "jwt_claim")] {
        let mut claims = world.claims(json!({}));
        claims.remove(name);
        assert_eq!(world.shows(&world.key.sign("JWT", &claims).unwrap()), code, "{name}");
    }
    let all = World::new(json!({ "audiences": ["api", "b"], "all_audiences": true }));
    assert_eq!(all.shows(&all.token(json!({}))), "jwt_audience");
    assert_eq!(all.shows(&all.token(json!({ "aud": ["b", "c", "api"] }))), "let in");
    let free =
        World::new(json!({ "audiences": [], "any_audience": true, "require_expiry": false }));
    let mut claims = free.claims(json!({}));
    claims.retain(|name, _| name == "iss");
    assert_eq!(free.shows(&free.key.sign("JWT", &claims).unwrap()), "let in");
}

/// What is written in a key's name opens nothing and brings no load.
/// Seen to fail: without the look at the last question there were 10,005 in place of one.
#[test]
fn fa_E05_made_up_key_names_are_refused_and_ask_once() {
    let world = World::new(json!({}));
    assert_eq!(world.shows(&world.token(json!({}))), "let in");
    let before = world.calls();
    let header = |kid: Value| json!({ "typ": "JWT", "kid": kid }).as_object().unwrap().clone();
    for kid in ["../../dev/null", "' OR 1=1 --", "x\0y", "|id", ""] {
        let token = world.key.sign_with(header(json!(kid)), &world.claims(json!({}))).unwrap();
        assert_eq!(world.shows(&token), "jwt_key_unknown", "{kid}");
    }
    for kid in [json!("x".repeat(10_240)), json!(["a"]), json!(1)] {
        let token = world.key.sign_with(header(kid), &world.claims(json!({}))).unwrap();
        assert_eq!(world.shows(&token), "jwt_malformed");
    }
    let twice = format!(r#"{{"alg":"ES256","kid":"{0}","kid":"{0}"}}"#, world.key.kid());
    assert_eq!(world.shows(&raw(&twice, "{}", "AA")), "jwt_malformed");
    for number in 0..10_000 {
        let kid = json!(format!("k{number}"));
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        let claims = json!({ "iss": ISSUER, "aud": "api" }).to_string();
        assert_eq!(world.shows(&raw(&header, &claims, "AA")), "jwt_key_unknown");
    }
    assert_eq!(world.calls() - before, 1);
}

/// Keys and their addresses in a token's header are not looked at. Seen to fail: with `jwk` taken
/// for the key where there is one, the first was let in.
#[test]
fn fa_E06_a_token_brings_no_key_of_its_own() {
    let world = World::new(json!({}));
    let mine = SigningKey::generate(Algorithm::ES256).unwrap();
    assert_eq!(world.shows(&world.token(json!({}))), "let in");
    let before = world.calls();
    for header in [
        json!({ "jwk": mine.jwk().public(), "kid": world.key.kid() }),
        json!({ "jku": "https://evil.example/keys", "kid": world.key.kid() }),
        json!({ "x5u": "https://evil.example/cert", "kid": world.key.kid() }),
        json!({ "x5c": ["MIIB"], "kid": world.key.kid() }),
        json!({ "jwk": mine.jwk().public() }),
    ] {
        let header = header.as_object().unwrap().clone();
        let token = mine.sign_with(header.clone(), &world.claims(json!({}))).unwrap();
        assert_eq!(world.shows(&token), "jwt_signature", "{header:?}");
    }
    assert_eq!(world.calls(), before, "nobody was asked");
}

/// What could be read in two ways, or costs much to read, is not read. Seen to fail: with the last
/// of several members taken, the token with two `sub` was let in; without the bound on depth, the
/// one beyond it was; without the look at `crit`, the first; without the look at the length, the
/// one of 64 KiB.
#[test]
fn fa_E07_tokens_that_can_be_read_in_two_ways_or_are_too_much_are_refused() {
    let world = World::new(json!({}));
    let sign = |header: Value, claims: Value| {
        let header = header.as_object().unwrap().clone();
        world.key.sign_with(header, &world.claims(claims)).unwrap()
    };
    for header in [json!({ "crit": ["exp"] }), json!({ "crit": ["b64"], "b64": false })] {
        assert_eq!(world.shows(&sign(header, json!({}))), "jwt_malformed");
    }
    let kid = world.key.kid();
    let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
    let signed = |header: &str, claims: &str| {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = world.key.signature(message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature))
    };
    let usual = format!(r#""iss":"{ISSUER}","aud":"api","exp":{}"#, NOW + 600);
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for (claims, code) in [
        (format!(r#"{{{usual},"sub":"ann"}}"#), "let in"),
        (format!(r#"{{{usual},"sub":"ann","sub":"root"}}"#), "jwt_malformed"),
        (format!(r#"{{{usual},"sub":"ann","s\u0075b":"root"}}"#), "jwt_malformed"),
        (format!(r#"{{{usual},"a":{{"b":1,"b":2}}}}"#), "jwt_malformed"),
        (format!(r#"{{{usual},"a":{}}}"#, nested(15)), "let in"),
        (format!(r#"{{{usual},"a":{}}}"#, nested(16)), "jwt_malformed"),
        (format!(r#"{{{usual},"a":{}}}"#, nested(1000)), "jwt_malformed"),
        (format!(r#"{{{usual}}}x"#), "jwt_malformed"),
        (format!(r#"[{{{usual}}}]"#), "jwt_malformed"),
    ] {
        assert_eq!(world.shows(&signed(&header, &claims)), code, "{claims:.150}");
    }
    let twice = format!(r#"{{"alg":"ES256","kid":"{kid}","kid":"{kid}"}}"#);
    assert_eq!(world.shows(&signed(&twice, &format!("{{{usual}}}"))), "jwt_malformed");
    let long = sign(json!({}), json!({ "pad": "x".repeat(64 << 10) }));
    assert_eq!(world.shows(&long), "jwt_malformed");
}

/// A signature has one form, and zeros are none. Seen to fail: with a decoder that forgives padding
/// and spare bits, `==` behind the signature was let in.
#[test]
fn fa_E08_signatures_in_another_form_are_refused() {
    let world = World::new(json!({}));
    let token = world.token(json!({}));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let der = crate::jose::decode(signature).unwrap();
    let (r, s) = der.split_at(32);
    let der = [&[0x30, 0x44, 2, 32][..], r, &[2, 32], s].concat();
    for (signature, code) in [
        (encode([0; 64]), "jwt_signature"),
        (encode([0; 132]), "jwt_signature"),
        (encode([[0; 32], [1; 32]].concat()), "jwt_signature"),
        (encode(der), "jwt_signature"),
        // 65 bytes.
        (format!("{signature}A"), "jwt_signature"),
        (format!("{signature}AA"), "jwt_signature"),
        (format!("{signature}=="), "jwt_malformed"),
        (format!("{signature}="), "jwt_malformed"),
        (format!("{signature}%"), "jwt_malformed"),
        (format!(" {signature}"), "jwt_malformed"),
        (format!("{} {}", &signature[..40], &signature[40..]), "jwt_malformed"),
        (format!("+{}", &signature[1..]), "jwt_malformed"),
        (format!("/{}", &signature[1..]), "jwt_malformed"),
        // Bits of the last letter that no byte has.
        (format!("{}B", &signature[..85]), "jwt_malformed"),
    ] {
        let token = format!("{message}.{signature}");
        assert_eq!(world.shows(&token), code, "{signature:?}");
    }
    assert_eq!(world.shows(&token), "let in");
}

/// Encrypted tokens are not opened, whatever work they ask for. No code decrypts tokens, so there
/// is nothing to take away; the test keeps it so. Seen to fail: with a key derived in as many
/// rounds as `p2c` says, before the algorithm was looked at, it did not end within a minute.
#[test]
fn fa_E09_encrypted_tokens_are_refused_before_any_work() {
    let world = World::new(json!({}));
    for header in [
        json!({ "alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 1_000_000_000, "p2s": "AA" }),
        json!({ "alg": "dir", "enc": "A256GCM", "zip": "DEF" }),
        json!({ "alg": "RSA-OAEP", "enc": "A256GCM" }),
    ] {
        let five = format!("{}.AA.AA.AA.AA", encode(header.to_string()));
        assert_eq!(world.shows(&five), "jwt_malformed", "{header}");
        let three = raw(&header.to_string(), "{}", "AA");
        assert_eq!(world.shows(&three), "jwt_alg", "{header}");
    }
    assert_eq!(world.calls(), 0);
}

/// Clocks may differ by the leeway, and not by a second more. Seen to fail: with the leeway of
/// `exp` left out, or taken twice, or that of `nbf` and `iat` taken twice.
#[test]
fn fa_E12_clocks_may_differ_by_the_leeway_exactly() {
    for leeway in [60, 5, 0] {
        let world = World::new(json!({ "leeway": format!("{leeway}s") }));
        let expires = world.token(json!({ "exp": NOW }));
        let begins = world.token(json!({ "nbf": NOW, "exp": NOW + 3600 }));
        let issued = world.token(json!({ "iat": NOW, "exp": NOW + 3600 }));
        let millis = |seconds: u64, millis: i64| {
            Duration::from_millis((seconds * 1000).checked_add_signed(millis).unwrap())
        };
        for (token, at, code) in [
            (&expires, millis(NOW + leeway, -1), "let in"),
            (&expires, millis(NOW + leeway, 0), "jwt_expired"),
            (&expires, millis(NOW + leeway + 1, 0), "jwt_expired"),
            // Set back, a clock lets in what is kept only as it would anew.
            (&expires, millis(NOW, 0), if leeway > 0 { "let in" } else { "jwt_expired" }),
            (&begins, millis(NOW - leeway, 0), "let in"),
            (&begins, millis(NOW - leeway, -1), "jwt_not_yet_valid"),
            (&issued, millis(NOW - leeway, 0), "let in"),
            (&issued, millis(NOW - leeway, -1), "jwt_not_yet_valid"),
        ] {
            assert_eq!(world.at(token, at), code, "{leeway}: {at:?}");
        }
    }
    let aged = World::new(json!({ "max_age": "100s", "leeway": "10s" }));
    let token = aged.token(json!({ "iat": NOW, "exp": NOW + 3600 }));
    assert_eq!(aged.at(&token, Duration::from_secs(NOW + 109)), "let in");
    assert_eq!(aged.at(&token, Duration::from_secs(NOW + 111)), "jwt_expired");
    assert_eq!(aged.shows(&aged.token(json!({}))), "jwt_claim", "it says not when it was issued");
}

#[test]
fn a_new_key_is_asked_for_and_an_old_one_ends_with_its_set() {
    let mut world = World::new(json!({}));
    let old = world.token(json!({}));
    assert_eq!(world.shows(&old), "let in");
    let new = SigningKey::generate(Algorithm::ES256).unwrap();
    *world.idp.keys.lock().unwrap() = Some(jwks([&new]).to_string());
    assert_eq!(world.shows(&old), "let in", "nobody knows better yet");
    world.key = new;
    let later = Duration::from_secs(NOW + 31);
    assert_eq!(world.at(&world.token(json!({})), later), "let in", "it was asked for");
    assert_eq!(world.at(&old, later), "jwt_key_unknown", "what was verified with it is forgotten");
}

#[test]
fn without_keys_nobody_gets_in_and_it_is_nobodys_fault_who_calls() {
    let world = World::new(json!({}));
    *world.idp.keys.lock().unwrap() = None;
    let token = world.token(json!({}));
    assert_eq!(world.shows(&token), "jwks_unavailable");
    assert_eq!(world.shows(&token), "jwks_unavailable");
    assert_eq!(world.calls(), 1, "not asked again at once");
    *world.idp.keys.lock().unwrap() = Some(jwks([&world.key]).to_string());
    let later = |seconds: u64| Duration::from_secs(NOW + seconds);
    assert_eq!(world.at(&token, later(5)), "let in");
    *world.idp.keys.lock().unwrap() = None;
    let long = world.token(json!({ "exp": NOW + 100_000 }));
    assert_eq!(world.at(&long, later(3605)), "let in", "the last keys are good for an hour");
    assert_eq!(world.at(&long, later(3606)), "jwks_unavailable", "though it was verified");
    assert_eq!(
        world.at(&world.token(json!({ "exp": NOW + 9999 })), later(3700)),
        "jwks_unavailable"
    );
}
