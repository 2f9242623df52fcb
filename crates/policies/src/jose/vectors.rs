//! Vectors of others, read where they lie: RFC 7520 (the JOSE cookbook) and Wycheproof.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Algorithm, Bad, Jwk, Key, KeySet, SigningKey, Token, encode};

/// Every algorithm: vectors have keys of all kinds.
fn all() -> Vec<Algorithm> {
    let symmetric = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    Algorithm::ASYMMETRIC.iter().copied().chain(symmetric).collect()
}

/// The folder of vectors `name`.
fn folder(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = here.ancestors().map(|above| above.join("shared/vectors").join(name));
    let found = places.into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("not run: no shared/vectors/{name} above {}", here.display());
    }
    found
}

fn file(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// The key of a vector, as a set; what is no set is made one.
fn set(key: &Value) -> Result<KeySet, &'static str> {
    if key.get("keys").is_some() {
        return KeySet::read(key.to_string().as_bytes(), &all());
    }
    KeySet::of([Key::new(&Jwk::read(key.to_string().as_bytes())?, &all())?])
}

fn verify(key: &Value, token: &str) -> Result<(), String> {
    let keys = set(key)?;
    let token = Token::read(token).map_err(|bad| bad.what())?;
    token.verify(&keys).map_err(|bad| bad.what())?;
    token.payload().map(|_| ()).ok_or_else(|| "the payload is no base64url".to_owned())
}

/// Vectors that this project reads differently on purpose.
const DIFFERENT: &[(&str, i64, &str)] = &[
    (SIGNATURES, 346, "the key is for PS256, the token says PS384"),
    (SIGNATURES, 350, "the key is for PS256, the token says PS384"),
    (SIGNATURES, 347, "the key is for `ES521`, which is not registered"),
    (SIGNATURES, 351, "the key is for `ES521`, which is not registered"),
    (SIGNATURES, 367, "the token is that of 357, which is valid"),
    (SIGNATURES, 370, "the token is that of 357, which is valid"),
    (SIGNATURES, 372, "a `?` stands in the header, which is no base64url"),
    (SIGNATURES, 373, "a `?` stands in the payload, which is no base64url"),
    (KEYS, 4, "the second key of the name is no base64url, so there is one"),
];

const SIGNATURES: &str = "json_web_signature_test.json";
const KEYS: &str = "json_web_key_test.json";

#[test]
fn wycheproofs_signatures_and_keys_are_taken_and_refused_as_it_says() {
    let Some(folder) = folder("wycheproof") else { return };
    let (mut run, mut wrong) = (0, Vec::new());
    for name in [SIGNATURES, KEYS] {
        for group in file(&folder, name)["testGroups"].as_array().unwrap() {
            let key = group.get("public").unwrap_or(&group["private"]);
            for test in group["tests"].as_array().unwrap() {
                let id = test["tcId"].as_i64().unwrap();
                // Where the token is JSON it is an object in some files and text in others.
                let token = test["jws"].as_str().map(str::to_owned);
                let token = token.unwrap_or_else(|| test["jws"].to_string());
                let found = verify(key, &token);
                let known =
                    DIFFERENT.iter().any(|(file, number, _)| (*file, *number) == (name, id));
                if (found.is_ok() != (test["result"] == "valid")) != known {
                    wrong.push(format!("{name} {id} {}: {found:?}", test["comment"]));
                }
                run += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run > 400, "only {run} vectors were read");
}

#[test]
fn the_cookbooks_signatures_verify_and_are_made_again() {
    let Some(folder) = folder("jose-cookbook/jws") else { return };
    for (name, algorithm) in [
        ("4_1.rsa_v15_signature.json", Algorithm::RS256),
        ("4_2.rsa-pss_signature.json", Algorithm::PS384),
        ("4_3.ecdsa_signature.json", Algorithm::ES512),
        ("4_4.hmac-sha2_integrity_protection.json", Algorithm::HS256),
    ] {
        let vector = file(&folder, name);
        let mut key = vector["input"]["key"].clone();
        // What the cookbook signs with an RSA key of two algorithms, one key has one of here.
        key["alg"] = algorithm.name().into();
        let token = vector["output"]["compact"].as_str().unwrap();
        assert_eq!(verify(&key, token), Ok(()), "{name}");
        let read = Token::read(token).unwrap();
        let payload = vector["input"]["payload"].as_str().unwrap();
        assert_eq!(read.payload().as_deref(), Some(payload.as_bytes()));
        assert_eq!(read.kid(), key["kid"].as_str());
        assert_eq!(read.algorithm(), algorithm);
        let mut changed = token.to_owned();
        changed.insert(token.find('.').unwrap() + 1, 'A');
        assert!(verify(&key, &changed).is_err(), "{name}");
    }
    let vector = file(&folder, "4_5.signature_with_detached_content.json");
    let detached = vector["output"]["compact"].as_str().unwrap();
    assert!(verify(&vector["input"]["key"], detached).is_err(), "the payload is elsewhere");
    let vector = file(&folder, "4_8.multiple_signatures.json");
    assert_eq!(Token::read(&vector["output"]["json"].to_string()).unwrap_err(), Bad::Form);
}

#[test]
fn the_cookbooks_keys_are_read() {
    let Some(folder) = folder("jose-cookbook/jwk") else { return };
    for (public, private) in [
        ("3_1.ec_public_key.json", "3_2.ec_private_key.json"),
        ("3_3.rsa_public_key.json", "3_4.rsa_private_key.json"),
    ] {
        let read = |name| Jwk::read(file(&folder, name).to_string().as_bytes()).unwrap();
        assert_eq!(read(public), read(private), "nothing private is taken");
        assert!(Key::new(&read(public), &all()).is_ok());
    }
    let mac = file(&folder, "3_5.symmetric_key_mac_computation.json");
    assert!(Jwk::read(mac.to_string().as_bytes()).unwrap().public().is_none());
    let secret = super::decode(mac["k"].as_str().unwrap()).unwrap();
    let key = SigningKey::from_secret(&secret, Algorithm::HS256).unwrap();
    let vector = file(&folder.join("../jws"), "4_4.hmac-sha2_integrity_protection.json");
    let token = vector["output"]["compact"].as_str().unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(encode(key.signature(message.as_bytes()).unwrap()), signature);
    let unused = file(&folder, "3_6.symmetric_key_encryption.json");
    assert!(Jwk::read(unused.to_string().as_bytes()).is_err(), "its use is to encrypt");
}
