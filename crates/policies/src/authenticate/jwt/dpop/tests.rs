//! Proofs as clients make them, and as thieves do.

use serde_json::{Map, json};

use super::*;
use crate::jose::SigningKey;

const NOW: Duration = Duration::from_secs(1_790_000_000);
const URL: &str = "https://api.example.com/orders/1";
const TOKEN: &str = "the.access.token";

struct Client {
    key: SigningKey,
}

impl Client {
    fn new() -> Self {
        Self { key: SigningKey::generate(Algorithm::ES256).unwrap() }
    }

    /// A proof with these changes; `null` takes a member away.
    fn proof(&self, header: Value, claims: Value) -> String {
        let right_header = json!({ "typ": "dpop+jwt", "jwk": self.key.jwk().public() });
        let right_claims = json!({
            "jti": "1",
            "htm": "GET",
            "htu": URL,
            "iat": NOW.as_secs(),
            "ath": jose::encode(digest(&SHA256, TOKEN.as_bytes())),
        });
        let with = |right: Value, changes: Value| {
            let mut members: Map<String, Value> = right.as_object().unwrap().clone();
            members.extend(changes.as_object().unwrap().clone());
            members.retain(|_, value| !value.is_null());
            members
        };
        self.key.sign_with(with(right_header, header), &with(right_claims, claims)).unwrap()
    }

    fn check(&self, proofs: &Proofs, proof: &str, now: Duration) -> Result<(), Bad> {
        let thumbprint = self.key.jwk().thumbprint();
        let asked = Asked { method: "GET", url: URL, token: TOKEN, thumbprint: &thumbprint, now };
        proofs.check(proof, &asked)
    }
}

#[test]
fn a_proof_is_taken_once() {
    let client = Client::new();
    let proofs = Proofs::new(Duration::from_secs(60), None);
    let proof = client.proof(json!({}), json!({}));
    assert_eq!(client.check(&proofs, &proof, NOW), Ok(()));
    let again = Err(Bad::Wrong("it was shown before"));
    assert_eq!(client.check(&proofs, &proof, NOW), again);
    assert_eq!(client.check(&proofs, &proof, NOW + Duration::from_secs(60)), again);
    let another = client.proof(json!({}), json!({ "jti": "2" }));
    assert_eq!(client.check(&proofs, &another, NOW), Ok(()));
    let theirs = Client::new();
    let theirs_proof = theirs.proof(json!({}), json!({}));
    assert_eq!(theirs.check(&proofs, &theirs_proof, NOW), Ok(()), "ids are each client's own");
    assert!(client.check(&proofs, &theirs_proof, NOW).is_err(), "another key's");
}

#[test]
fn a_proof_for_anything_else_is_none() {
    let client = Client::new();
    let proofs = Proofs::new(Duration::from_secs(60), None);
    let secret = SigningKey::from_secret(&[7; 32], Algorithm::HS256).unwrap();
    let private = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA" });
    for (header, claims) in [
        (json!({ "typ": "JWT" }), json!({})),
        (json!({ "typ": null }), json!({})),
        (json!({ "jwk": null }), json!({})),
        (json!({ "jwk": private }), json!({})),
        (json!({ "jwk": { "kty": "oct", "k": "AAAA" } }), json!({})),
        (json!({ "jwk": Client::new().key.jwk().public() }), json!({})),
        (json!({ "crit": ["jwk"] }), json!({})),
        (json!({}), json!({ "htm": "POST" })),
        (json!({}), json!({ "htm": "get" })),
        (json!({}), json!({ "htm": null })),
        (json!({}), json!({ "htu": "http://api.example.com/orders/1" })),
        (json!({}), json!({ "htu": "https://evil.example/orders/1" })),
        (json!({}), json!({ "htu": "https://api.example.com/orders/2" })),
        (json!({}), json!({ "htu": null })),
        (json!({}), json!({ "ath": null })),
        (json!({}), json!({ "ath": jose::encode([0; 32]) })),
        (json!({}), json!({ "jti": null })),
        (json!({}), json!({ "jti": "" })),
        (json!({}), json!({ "jti": "x".repeat(257) })),
        (json!({}), json!({ "iat": null })),
        (json!({}), json!({ "iat": NOW.as_secs() - 61 })),
        (json!({}), json!({ "iat": NOW.as_secs() + 31 })),
        (json!({}), json!({ "iat": NOW.as_secs().to_string() })),
    ] {
        let proof = client.proof(header.clone(), claims.clone());
        let found = client.check(&proofs, &proof, NOW);
        assert!(matches!(found, Err(Bad::Wrong(_))), "{header} {claims}: {found:?}");
    }
    let forged = secret.sign_with(Map::new(), &Map::new()).unwrap();
    assert!(client.check(&proofs, &forged, NOW).is_err());
    for (header, claims) in [
        (json!({}), json!({ "htu": "HTTPS://API.example.com:443/orders/1?a=b#c" })),
        (json!({ "typ": "application/dpop+jwt" }), json!({ "jti": "2" })),
        (json!({}), json!({ "iat": NOW.as_secs() - 60, "jti": "3" })),
        (json!({}), json!({ "iat": NOW.as_secs() + 30, "jti": "4" })),
    ] {
        let proof = client.proof(header, claims);
        assert_eq!(client.check(&proofs, &proof, NOW), Ok(()));
    }
}

#[test]
fn a_nonce_is_asked_for_and_taken_while_it_is_given_out() {
    let client = Client::new();
    let proofs = Proofs::new(Duration::from_secs(600), Some([7; 32]));
    let bare = client.proof(json!({}), json!({}));
    assert_eq!(client.check(&proofs, &bare, NOW), Err(Bad::Nonce));
    let nonce = proofs.nonce(NOW).unwrap();
    let proof =
        |id: &str, nonce: &str| client.proof(json!({}), json!({ "nonce": nonce, "jti": id }));
    assert_eq!(client.check(&proofs, &proof("1", &nonce), NOW), Ok(()));
    let later = NOW + Duration::from_secs(NONCE);
    assert_eq!(client.check(&proofs, &proof("2", &nonce), later), Ok(()));
    let long_after = NOW + Duration::from_secs(NONCE * 2);
    assert_eq!(client.check(&proofs, &proof("3", &nonce), long_after), Err(Bad::Nonce));
    let foreign = Proofs::new(Duration::from_secs(60), Some([8; 32])).nonce(NOW).unwrap();
    assert_eq!(client.check(&proofs, &proof("4", &foreign), NOW), Err(Bad::Nonce));
}

/// RFC 9449 §4.1: the proof of its example is one by its own key, method and URL.
#[test]
fn the_rfcs_example_is_a_proof() {
    let header = json!({
        "typ": "dpop+jwt", "alg": "ES256",
        "jwk": { "kty": "EC", "crv": "P-256",
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA" },
    });
    let jwk = Jwk::of(header["jwk"].as_object().unwrap()).unwrap();
    assert_eq!(jwk.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    // The hash of the token in §7.1's example.
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let hash = jose::encode(digest(&SHA256, token.as_bytes()));
    assert_eq!(hash, "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}
