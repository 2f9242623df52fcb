//! Tokens: one that was seen before, and new ones beside what the crypto library alone needs for
//! their signature.

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use policy::message::Known;
use serde_json::json;

use super::{Bench, ready, report, time_slow};

const CLAIMS: &str = r#"{"iss":"https://idp.example.com","aud":"orders","sub":"ann","exp":1790000600,
"iat":1790000000,"client_id":"shop","scope":"orders:read orders:write","jti":"f4c2a0c1"}"#;

/// A token, and what verifies it.
struct Made {
    algorithm: &'static str,
    token: String,
    pem: String,
    parsed: ParsedPublicKey,
    signature: Vec<u8>,
}

fn made(
    algorithm: &'static str,
    public: &[u8],
    head: &[u8],
    how: &'static dyn VerificationAlgorithm,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Made {
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "typ": "JWT" }).to_string());
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(CLAIMS));
    let signature = sign(message.as_bytes());
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(&signature));
    let der = STANDARD.encode([head, public].concat());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
    let parsed = ParsedPublicKey::new(how, public).unwrap_or_else(|bad| panic!("{bad:?}"));
    Made { algorithm, token, pem, parsed, signature }
}

/// What stands before the key in a SubjectPublicKeyInfo.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const RSA: &[u8] = &[
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
    0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00,
];

fn all() -> Option<[Made; 3]> {
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
    let es = made("ES256", ec.public_key().as_ref(), P256, &ECDSA_P256_SHA256_FIXED, |message| {
        ec.sign(&random, message).map(|it| it.as_ref().to_vec()).unwrap_or_default()
    });
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
    let how = &RSA_PKCS1_2048_8192_SHA256;
    let rs = made("RS256", pair.public_key().as_ref(), RSA, how, |message| {
        let mut signature = vec![0; pair.public_modulus_len()];
        let _ = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
        signature
    });
    let pair = Ed25519KeyPair::generate().ok()?;
    let ed = made("EdDSA", pair.public_key().as_ref(), ED, &ED25519, |message| {
        pair.sign(message).as_ref().to_vec()
    });
    Some([es, rs, ed])
}

/// Prints what tokens cost.
pub(super) fn report_all(base: f64) {
    let Some(all) = all() else { panic!("no keys") };
    for Made { algorithm, token, pem, parsed, signature } in &all {
        let field = format!("Bearer {token}");
        let cost = |cache: u32| {
            let settings = json!({ "cache": cache, "issuers": [{
                "issuer": "https://idp.example.com", "audiences": ["orders"],
                "keys": { "text": pem },
            }] });
            let bench = Bench::new("jwt", &settings);
            time_slow(|exchange| {
                ready(exchange);
                exchange.request.headers.append_known(Known::Authorization, &field);
                bench.run(exchange);
                assert!(exchange.caller.is_some(), "it was not let in");
            }) - base
        };
        report(&format!("jwt {algorithm}, seen before"), cost(100));
        report(&format!("jwt {algorithm}, new"), cost(0));
        let message = token.rsplit_once('.').map(|(message, _)| message).unwrap_or_default();
        let bare = time_slow(|exchange| {
            ready(exchange);
            let right = parsed.verify_sig(black_box(message.as_bytes()), signature);
            assert!(right.is_ok(), "the signature is not right");
        });
        report(&format!("  {algorithm}, its signature alone"), bare - base);
    }
}
