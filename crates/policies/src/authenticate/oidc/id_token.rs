//! What an ID token has to say (OpenID Connect Core §3.1.3.7). Knows no HTTP and no keys.

use std::time::Duration;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use serde_json::{Map, Value};

use crate::jose::{Algorithm, Token, encode};

/// What is asked of it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// The one of the login; none where tokens were refreshed.
    pub(super) nonce: Option<&'a str>,
    pub(super) access_token: &'a str,
    pub(super) leeway: Duration,
}

/// Whether `claims`, of `token`, are what is asked for at `now`.
///
/// # Errors
/// What is wrong with them.
pub(super) fn check(
    token: &Token<'_>,
    claims: &Map<String, Value>,
    asked: &Asked<'_>,
    now: Duration,
) -> Result<(), &'static str> {
    if !matches!(token.kind().as_deref(), None | Some("jwt")) {
        return Err("its `typ` is another kind's");
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(asked.issuer) {
        return Err("its `iss` is another one");
    }
    audience(claims, asked.client_id)?;
    if text("sub").is_none_or(str::is_empty) {
        return Err("it has no `sub`");
    }
    let time = |name: &str| claims.get(name).and_then(Value::as_u64).map(Duration::from_secs);
    let expires = time("exp").ok_or("it has no `exp`")?;
    if now >= expires.saturating_add(asked.leeway) {
        return Err("it has expired");
    }
    let issued = time("iat").ok_or("it has no `iat`")?;
    let begins = match claims.contains_key("nbf") {
        true => time("nbf").ok_or("its `nbf` is no time")?,
        false => issued,
    };
    if now.saturating_add(asked.leeway) < issued.max(begins) {
        return Err("it is not valid yet");
    }
    if let Some(nonce) = asked.nonce {
        let shown = text("nonce").ok_or("it has no `nonce`")?;
        constant_time::verify_slices_are_equal(shown.as_bytes(), nonce.as_bytes())
            .map_err(|_| "its `nonce` is that of another login")?;
    }
    match claims.get("at_hash") {
        None => Ok(()),
        Some(hash) if *hash == half(token.algorithm(), asked.access_token) => Ok(()),
        Some(_) => Err("its `at_hash` is that of another access token"),
    }
}

/// Whether it is for this client, and for it alone or by its order.
fn audience(claims: &Map<String, Value>, client: &str) -> Result<(), &'static str> {
    let several = match claims.get("aud") {
        Some(Value::String(one)) if one == client => false,
        Some(Value::Array(all)) if all.iter().any(|one| one == client) => all.len() > 1,
        _ => return Err("its `aud` is another client"),
    };
    match claims.get("azp") {
        None if !several => Ok(()),
        None => Err("it is for several and has no `azp`"),
        Some(azp) if azp == client => Ok(()),
        Some(_) => Err("its `azp` is another client"),
    }
}

/// The left half of the hash of an access token, by the hash of the ID token's algorithm.
fn half(algorithm: Algorithm, token: &str) -> String {
    use Algorithm::{ES256, ES384, ES512, EdDSA, HS256, HS384, HS512};
    use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    let by = match algorithm {
        RS256 | PS256 | ES256 | HS256 => &SHA256,
        RS384 | PS384 | ES384 | HS384 => &SHA384,
        RS512 | PS512 | ES512 | HS512 | EdDSA => &SHA512,
    };
    let hash = digest(by, token.as_bytes());
    let hash = hash.as_ref();
    encode(hash.get(..hash.len() / 2).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::SigningKey;

    const NOW: u64 = 1_790_000_000;

    fn checked(kind: &str, change: Value) -> Result<(), &'static str> {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let mut claims = json!({
            "iss": "https://idp.example", "aud": "web", "sub": "ann", "exp": NOW + 60, "iat": NOW,
            "nonce": "n-1", "at_hash": half(Algorithm::ES256, "access"),
        });
        let claims = claims.as_object_mut().unwrap();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.remove(name)),
                value => drop(claims.insert(name.clone(), value.clone())),
            }
        }
        let token = key.sign(kind, claims).unwrap();
        let token = Token::read(&token).unwrap();
        let asked = Asked {
            issuer: "https://idp.example",
            client_id: "web",
            nonce: Some("n-1"),
            access_token: "access",
            leeway: Duration::from_secs(10),
        };
        check(&token, claims, &asked, Duration::from_secs(NOW))
    }

    #[test]
    fn what_is_for_this_client_and_login_is_taken() {
        for change in [
            json!({}),
            json!({ "aud": ["web"] }),
            json!({ "aud": ["api", "web"], "azp": "web" }),
            json!({ "azp": "web" }),
            json!({ "at_hash": null }),
            json!({ "exp": NOW - 9 }),
            json!({ "iat": NOW + 10 }),
        ] {
            assert_eq!(checked("JWT", change.clone()), Ok(()), "{change}");
        }
    }

    #[test]
    fn what_is_for_another_is_not() {
        for (change, why) in [
            (json!({ "iss": "https://idp.example/" }), "`iss`"),
            (json!({ "aud": "api" }), "`aud`"),
            (json!({ "aud": ["api"] }), "`aud`"),
            (json!({ "aud": null }), "`aud`"),
            (json!({ "aud": ["api", "web"] }), "`azp`"),
            (json!({ "aud": ["api", "web"], "azp": "api" }), "`azp`"),
            (json!({ "azp": "api" }), "`azp`"),
            (json!({ "sub": "" }), "`sub`"),
            (json!({ "sub": 7 }), "`sub`"),
            (json!({ "exp": NOW - 10 }), "expired"),
            (json!({ "exp": "soon" }), "`exp`"),
            (json!({ "iat": null }), "`iat`"),
            (json!({ "iat": NOW + 11 }), "yet"),
            (json!({ "nbf": NOW + 11 }), "yet"),
            (json!({ "nbf": "now" }), "`nbf`"),
            (json!({ "nonce": "n-2" }), "`nonce`"),
            (json!({ "nonce": null }), "`nonce`"),
            (json!({ "at_hash": half(Algorithm::ES256, "other") }), "`at_hash`"),
            (json!({ "at_hash": half(Algorithm::ES512, "access") }), "`at_hash`"),
        ] {
            let said = checked("JWT", change.clone()).unwrap_err();
            assert!(said.contains(why), "{change}: {said}");
        }
        assert!(checked("at+jwt", json!({})).is_err(), "an access token");
        assert!(checked("logout+jwt", json!({})).is_err());
    }
}
