//! The vectors of the RFCs, and the known ways to get in without a key.

use serde_json::{Map, Value, json};

use super::{Algorithm, Bad, Jwk, Key, KeySet, SigningKey, Token, encode, jwks, object};

const A1: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkz\
    ODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOE\
    jXk";
const A1_KEY: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Y
j0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
const A2: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9le\
    GFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh\
    7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK\
    5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvh\
    J1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const A2_KEY: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8
W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzj
b_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9k
G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
const A3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9le\
    GFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlS\
    ApmWQxfKTUJqPP3-Kg6NU1Q";
const A3_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const A4: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaR\
    I1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8v\
    cnwNrmxYbSW9ERBXukOXolLzeO_Jn";
const A4_KEY: &str = r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpX
p5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDl
y79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#;
/// RFC 8037, appendix A.
const ED: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPO\
    t7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const ED_KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// RFC 7638 §3.1.
const THUMB_KEY: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAA
tVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4Q
yQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4
vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":
"RS256","kid":"2011-04-29"}"#;

fn jwk(text: &str) -> Jwk {
    Jwk::read(text.replace('\n', "").as_bytes()).unwrap()
}

fn keys(text: &str, allowed: &[Algorithm]) -> KeySet {
    KeySet::of([Key::new(&jwk(text), allowed).unwrap()]).unwrap()
}

fn verify(token: &str, keys: &KeySet) -> Result<(), Bad> {
    Token::read(token)?.verify(keys)
}

fn claims() -> Map<String, Value> {
    object(br#"{"iss":"joe","exp":1300819380}"#).unwrap()
}

#[test]
fn the_rfcs_examples_verify() {
    for (token, key, algorithm) in [
        (A1, A1_KEY, Algorithm::HS256),
        (A2, A2_KEY, Algorithm::RS256),
        (A3, A3_KEY, Algorithm::ES256),
        (A4, A4_KEY, Algorithm::ES512),
        (ED, ED_KEY, Algorithm::EdDSA),
    ] {
        assert_eq!(verify(token, &keys(key, &[algorithm])), Ok(()), "{algorithm:?}");
    }
    // Appendix A.5: no signature at all.
    let none = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGF\
        tcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert_eq!(verify(none, &keys(A3_KEY, Algorithm::ASYMMETRIC)), Err(Bad::Algorithm));
    assert_eq!(Token::read(A3).unwrap().unverified().unwrap()["iss"], "joe");
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    assert_eq!(jwk(THUMB_KEY).thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(jwk(ED_KEY).thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn what_each_algorithm_signs_verifies_with_the_published_key_and_no_other() {
    let mut tokens: Vec<(String, KeySet)> = Vec::new();
    for algorithm in Algorithm::ASYMMETRIC {
        let key = SigningKey::generate(*algorithm).unwrap();
        let pem = key.to_pem().unwrap();
        let again = SigningKey::from_pem(pem.as_bytes(), Some(*algorithm)).unwrap();
        assert_eq!((again.kid(), again.algorithm()), (key.kid(), *algorithm));
        let published = jwks([&key]).to_string();
        let set = KeySet::read(published.as_bytes(), Algorithm::ASYMMETRIC).unwrap();
        assert_eq!((set.keys().len(), set.skipped().len()), (1, 0), "{published}");
        assert!(!published.contains("\"d\""), "{published}");
        let token = again.sign("JWT", &claims()).unwrap();
        assert_eq!(verify(&token, &set), Ok(()), "{algorithm:?}");
        for (other, theirs) in &tokens {
            assert!(verify(other, &set).is_err() && verify(&token, theirs).is_err());
        }
        tokens.push((token, set));
    }
    let secret = SigningKey::from_secret(&[7; 32], Algorithm::HS256).unwrap();
    assert_eq!(jwks([&secret]), json!({ "keys": [] }), "a secret is never published");
    assert!(SigningKey::from_secret(&[7; 31], Algorithm::HS256).is_none());
}

#[test]
fn keys_in_pem_are_read() {
    let rcgen = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let certificate = Jwk::from_pem(rcgen.cert.pem().as_bytes()).unwrap();
    let private = SigningKey::from_pem(rcgen.signing_key.serialize_pem().as_bytes(), None).unwrap();
    let public = Jwk::from_pem(rcgen.signing_key.public_key_pem().as_bytes()).unwrap();
    assert_eq!(certificate, public);
    assert_eq!(public[0].thumbprint(), private.kid());
    assert_eq!(private.algorithm(), Algorithm::ES256);
    let set = KeySet::of([Key::new(&public[0], Algorithm::ASYMMETRIC).unwrap()]).unwrap();
    assert_eq!(verify(&private.sign("JWT", &claims()).unwrap(), &set), Ok(()));
    for bad in ["", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        assert!(Jwk::from_pem(bad.as_bytes()).is_err(), "{bad}");
    }
    let private = rcgen.signing_key.serialize_pem();
    assert!(Jwk::from_pem(private.as_bytes()).is_err(), "a private key is none to verify with");
    assert!(SigningKey::from_pem(private.as_bytes(), Some(Algorithm::EdDSA)).is_err());
}

/// The algorithm is the key's, whatever a token says: a public key is never taken for a secret.
#[test]
fn the_algorithm_is_fixed_before_a_token_is_looked_at() {
    let rsa = keys(A2_KEY, Algorithm::ASYMMETRIC);
    assert_eq!(rsa.keys()[0].algorithm(), Algorithm::RS256, "the first that fits");
    let payload = A2.split('.').nth(1).unwrap();
    for algorithm in ["none", "None", "nOnE", "", "HS256", "PS256", "RS384", "RS255", "rs256"] {
        let header = encode(json!({ "alg": algorithm }).to_string());
        for signature in ["", A2.rsplit('.').next().unwrap()] {
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(verify(&token, &rsa), Err(Bad::Algorithm), "{algorithm}");
        }
    }
    for header in [json!({}), json!({ "alg": null }), json!({ "alg": ["RS256"] })] {
        let token = format!("{}.{payload}.", encode(header.to_string()));
        assert_eq!(verify(&token, &rsa), Err(Bad::Algorithm), "{header}");
    }
    // CVE-2015-9235: the public key's text as a secret.
    let pem = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let forged = SigningKey::from_secret(pem.as_bytes(), Algorithm::HS256).unwrap();
    let public = Jwk::from_pem(pem.as_bytes()).unwrap();
    let set = KeySet::of([Key::new(&public[0], Algorithm::ASYMMETRIC).unwrap()]).unwrap();
    assert_eq!(verify(&forged.sign("JWT", &claims()).unwrap(), &set), Err(Bad::Algorithm));
    // A set of public keys takes no secret along, and none where only those are wanted.
    let mixed = format!("{{\"keys\":[{A1_KEY},{A3_KEY}]}}").replace('\n', "");
    let all = [Algorithm::ES256, Algorithm::HS256];
    assert!(KeySet::read(mixed.as_bytes(), &all).is_err());
    let secret = format!("{{\"keys\":[{A1_KEY}]}}").replace('\n', "");
    let set = KeySet::read(secret.as_bytes(), Algorithm::ASYMMETRIC).unwrap();
    assert_eq!((set.keys().len(), set.skipped().len()), (0, 1));
}

/// What a header says about keys is not listened to, and what it can't be understood without is
/// refused.
#[test]
fn nothing_in_a_header_brings_a_key() {
    let mine = SigningKey::generate(Algorithm::ES256).unwrap();
    let theirs = KeySet::of([Key::new(&jwk(A3_KEY), Algorithm::ASYMMETRIC).unwrap()]).unwrap();
    let header = |members: Value| members.as_object().unwrap().clone();
    for members in [
        json!({ "jwk": mine.jwk().public() }),
        json!({ "jku": "https://evil.example/jwks.json" }),
        json!({ "x5u": "https://evil.example/cert.pem" }),
        json!({ "x5c": ["MIIB"] }),
        json!({ "kid": mine.kid(), "jwk": mine.jwk().public() }),
        json!({ "kid": "../../../../dev/null" }),
        json!({ "kid": "' UNION SELECT 'secret" }),
    ] {
        let token = mine.sign_with(header(members.clone()), &claims()).unwrap();
        let found = verify(&token, &theirs);
        assert_eq!(found, Err(Bad::Signature), "{members}");
    }
    let set = KeySet::read(jwks([&mine]).to_string().as_bytes(), Algorithm::ASYMMETRIC).unwrap();
    for (members, bad) in [
        (json!({ "crit": ["exp"], "exp": 1 }), Bad::Critical),
        (json!({ "crit": [] }), Bad::Critical),
        (json!({ "b64": false }), Bad::Critical),
        (json!({ "kid": 1 }), Bad::Form),
        (json!({ "kid": "x".repeat(10_240) }), Bad::Form),
        (json!({ "kid": "another" }), Bad::UnknownKey),
    ] {
        let token = mine.sign_with(header(members.clone()), &claims()).unwrap();
        assert_eq!(verify(&token, &set), Err(bad), "{members}");
    }
    assert_eq!(verify(&mine.sign_with(Map::new(), &claims()).unwrap(), &set), Ok(()));
}

#[test]
fn tokens_in_another_form_are_not_read() {
    let set = keys(A3_KEY, Algorithm::ASYMMETRIC);
    let [header, payload, signature] = A3.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let zeros = encode([0; 64]);
    for (token, bad) in [
        (String::new(), Bad::Form),
        (format!("{header}.{payload}"), Bad::Form),
        (format!("{header}..{payload}.{signature}"), Bad::Form),
        (format!("{A3}."), Bad::Form),
        (format!("{A3}.."), Bad::Form),
        (format!("{A3}="), Bad::Form),
        (format!("{A3}\n"), Bad::Form),
        (format!(" {A3}"), Bad::Form),
        (format!("{header}=.{payload}.{signature}"), Bad::Form),
        // The last character's unused bits are set: another spelling of the same bytes.
        (A3.replace("U1Q", "U1R"), Bad::Form),
        (format!("{header}.{payload}.{zeros}"), Bad::Signature),
        (format!("{header}.{payload}."), Bad::Signature),
        (format!("{header}.{payload}.{}", encode([1; 64])), Bad::Signature),
        (format!("{header}.{payload}.{}", encode([1; 71])), Bad::Signature),
        (format!("{}.{payload}.{signature}", encode("[]")), Bad::Form),
        (
            format!("{}.{payload}.{signature}", encode(r#"{"alg":"ES256","alg":"ES256"}"#)),
            Bad::Form,
        ),
        ("a".repeat(64 << 10), Bad::TooLong),
        (format!("{header}.{}.{signature}", "e".repeat(16 << 10)), Bad::TooLong),
    ] {
        assert_eq!(verify(&token, &set), Err(bad), "{token:.80}");
    }
}

#[test]
fn sets_say_what_of_them_is_not_used() {
    let set = json!({ "keys": [
        { "kty": "RSA", "n": "AQAB", "e": "AQAB" },
        { "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" },
        { "kty": "OKP", "crv": "X25519", "x": "AA" },
        { "kty": "AKP" },
        "no key",
        { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    ] });
    let read = KeySet::read(set.to_string().as_bytes(), Algorithm::ASYMMETRIC).unwrap();
    assert_eq!((read.keys().len(), read.skipped().len()), (1, 5), "{:?}", read.skipped());
    let many = json!({ "keys": vec![json!({ "kty": "AKP" }); 101] });
    for bad in [many.to_string(), "{}".into(), "[]".into(), r#"{"keys":{}}"#.into(), "<".into()] {
        assert!(KeySet::read(bad.as_bytes(), Algorithm::ASYMMETRIC).is_err(), "{bad:.40}");
    }
}

#[test]
fn keys_show_nothing_of_themselves() {
    let key = SigningKey::from_secret(b"a secret that nobody should see ", Algorithm::HS256);
    let key = key.unwrap().named("k1");
    let jwk =
        Jwk::read(br#"{"kty":"oct","k":"YSBzZWNyZXQgdGhhdCBub2JvZHkgc2hvdWxkIHNlZSA","kid":"k1"}"#);
    let shown =
        format!("{key:?} {:?} {:?}", jwk, Key::new(&jwk.clone().unwrap(), &[Algorithm::HS256]));
    assert_eq!(shown, "SigningKey(HS256 \"k1\") Ok(Jwk(oct \"k1\")) Ok(Key(HS256 \"k1\"))");
}
