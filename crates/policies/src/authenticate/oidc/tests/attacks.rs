//! What section E of the list of faults asks of logins (E27).

use super::*;

/// A state counts in the browser that began the login, once, and for ten minutes. Seen to fail:
/// without the comparison with the cookie's state, another login's cookie was enough; without the
/// memory of those that came back, a kept cookie opened a second session.
#[test]
fn fa_E27_a_state_counts_once_and_in_its_own_browser() {
    let world = World::new(json!({}));
    let (mut victim, mut attacker) = (Browser::default(), Browser::default());
    let told = attacker.begins(&world, "/page");
    let refused = End::Refused("oidc_state");
    assert_eq!(victim.comes_back(&world, &told, json!({})), refused, "no login was begun");
    let own = victim.begins(&world, "/page");
    assert_eq!(victim.comes_back(&world, &told, json!({})), refused, "it began another");
    // The attacker's state by the name of the victim's cookie.
    let mut mixed = victim.clone();
    let cookie = mixed.jar.values().next().unwrap().clone();
    mixed.jar = BTreeMap::from([(format!("gateward_login_{}", &told["state"][..8]), cookie)]);
    assert_eq!(mixed.comes_back(&world, &told, json!({})), refused);
    assert_eq!(world.idp.asked(), 0, "the provider was never asked");

    let mut late = victim.clone();
    late.now += 600;
    assert_eq!(late.comes_back(&world, &own, json!({})), refused);
    let kept = victim.clone();
    assert_eq!(victim.comes_back(&world, &own, json!({})), End::To(format!("{ORIGIN}/page")));
    assert_eq!(kept.clone().comes_back(&world, &own, json!({})), refused, "twice");
    assert_eq!(victim.comes_back(&world, &own, json!({})), refused, "the cookie is gone");
    assert_eq!(world.idp.asked(), 1);
    for query in ["", "code=a", "state=", "state=a", "code=a&state=a&state=b"] {
        assert_eq!(kept.clone().opens(&world, &format!("/back?{query}")), refused, "{query}");
    }
}

/// The ID token of another login, client or key opens nothing. Seen to fail: without the look at
/// the nonce, the token of another login opened a session.
#[test]
fn fa_E27_an_id_token_counts_for_its_login_and_client() {
    let world = World::new(json!({}));
    let stranger = SigningKey::generate(Algorithm::ES256).unwrap();
    for (why, id) in [
        ("nonce", world.idp.id_token("another-login", json!({}))),
        ("aud", world.idp.id_token("@", json!({ "aud": "other" }))),
        ("iss", world.idp.id_token("@", json!({ "iss": "https://other.example" }))),
        ("expired", world.idp.id_token("@", json!({ "exp": NOW - 61 }))),
        ("at_hash", world.idp.id_token("@", json!({ "at_hash": "AAAA" }))),
        ("key", {
            let claims = json!({
                "iss": ISSUER, "aud": "web", "sub": "ann", "exp": NOW + 600, "iat": NOW,
                "nonce": "@",
            });
            stranger.sign("JWT", claims.as_object().unwrap()).unwrap()
        }),
        ("none", "eyJhbGciOiJub25lIn0.e30.".to_owned()),
    ] {
        let mut browser = Browser::default();
        let told = browser.begins(&world, "/page");
        // Those that are to fail for something else than the nonce get the right one.
        let id = match id.contains('.') && why != "nonce" && why != "none" && why != "key" {
            true => {
                let claims = crate::jose::Token::read(&id).unwrap().unverified().unwrap();
                let mut claims = claims;
                claims.insert("nonce".into(), told["nonce"].clone().into());
                world.idp.key.lock().unwrap().sign("JWT", &claims).unwrap()
            }
            false => id,
        };
        let end = browser.comes_back(&world, &told, json!({ "id_token": id }));
        assert_eq!(end, End::Refused("oidc_id_token"), "{why}");
        assert!(!browser.jar.contains_key("gateward"), "{why}");
    }
    let mut browser = Browser::default();
    let told = browser.begins(&world, "/page");
    assert_eq!(
        browser.comes_back(&world, &told, json!({ "id_token": null })),
        End::Refused("oidc_id_token")
    );
}

/// Every login has a challenge and a verifier of its own, and a code is shown with its verifier.
/// Seen to fail: with a fixed verifier.
#[test]
fn fa_E27_every_login_has_a_challenge_of_its_own() {
    let world = World::new(json!({}));
    let mut seen = std::collections::HashSet::new();
    let mut browser = Browser::default();
    for _ in 0..8 {
        let told = browser.begins(&world, "/page");
        assert_eq!(told["code_challenge_method"], "S256");
        for name in ["code_challenge", "state", "nonce"] {
            assert!(told[name].len() >= 43 && seen.insert(told[name].clone()), "{name}");
        }
        assert!(!told.contains_key("code_verifier"));
    }
}

/// A code that the provider does not take, or that another provider sends, opens nothing. Seen to
/// fail: without the look at `iss`, the other provider's code was shown to
/// this one.
#[test]
fn fa_E27_codes_that_are_used_or_anothers_open_nothing() {
    let world = World::new(json!({}));
    let mut browser = Browser::default();
    let told = browser.begins(&world, "/page");
    world.idp.refuse("invalid_grant");
    let back = |more: &str| format!("/back?code=a&state={}{more}", told["state"]);
    assert_eq!(browser.clone().opens(&world, &back("")), End::Refused("oidc_code"));

    world.idp.metadata.lock().unwrap()["authorization_response_iss_parameter_supported"] =
        json!(true);
    let world = World::with(world.idp.clone(), json!({}));
    let told = browser.begins(&world, "/page");
    let back = |more: &str| format!("/back?state={}{more}", told["state"]);
    let mut copy = browser.clone();
    assert_eq!(
        copy.opens(&world, &back("&code=a&iss=https://evil.example")),
        End::Refused("oidc_state")
    );
    let told = browser.begins(&world, "/page");
    let back = |more: &str| format!("/back?state={}{more}", told["state"]);
    assert_eq!(browser.opens(&world, &back("&code=a")), End::Refused("oidc_state"), "unnamed");
    let told = browser.begins(&world, "/page");
    let back = format!("/back?state={}&iss={ISSUER}&error=access_denied", told["state"]);
    assert_eq!(browser.opens(&world, &back), End::Refused("oidc_denied"));
}

/// No bit of a session's cookie can be changed, and none of its parts can be left out. Seen to
/// fail: with sessions that are encoded and not sealed.
#[test]
fn fa_E27_a_session_with_one_bit_changed_is_none() {
    let world = World::new(json!({}));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({}));
    let sealed = browser.jar["gateward"].clone();
    assert_eq!(browser.clone().asks(&world, "/page"), End::In);
    for at in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let mut thief = browser.clone();
        thief.jar.insert("gateward".into(), changed.clone());
        assert_eq!(thief.asks(&world, "/page"), End::Refused("oidc_session_over"), "at {at}");
        assert!(thief.jar.is_empty(), "it is ended");
    }
    for cut in [1, 20, sealed.len() - 1] {
        let mut thief = browser.clone();
        thief.jar.insert("gateward".into(), sealed[..cut].to_owned());
        assert_eq!(thief.asks(&world, "/page"), End::Refused("oidc_session_over"));
    }
}

/// A session of another client or issuer is none, though its key is the same; nor is a login one.
/// Seen to fail: without the owner in what the seal is bound to.
#[test]
fn fa_E27_a_session_of_another_client_is_none() {
    let world = World::new(json!({}));
    let other = World::with(world.idp.clone(), json!({ "client_id": "other" }));
    let key =
        World::with(world.idp.clone(), json!({ "keys": ["another key that is 32 bytes long"] }));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({}));
    for world in [&other, &key] {
        assert_eq!(browser.clone().asks(world, "/page"), End::Refused("oidc_session_over"));
    }
    let both = json!({ "keys": ["another key that is 32 bytes long", KEY] });
    assert_eq!(browser.clone().asks(&World::with(world.idp.clone(), both), "/page"), End::In);
    let mut thief = Browser::default();
    thief.begins(&world, "/page");
    let login = thief.jar.values().next().unwrap().clone();
    thief.jar = BTreeMap::from([("gateward".to_owned(), format!("1{login}"))]);
    assert_eq!(thief.asks(&world, "/page"), End::Refused("oidc_session_over"), "a login is none");
}

/// Browsers are sent back to this host alone, whatever was asked for. Seen to fail: without a bound
/// on what is come back to.
#[test]
fn fa_E27_nobody_is_sent_elsewhere() {
    let world = World::new(json!({}));
    for page in ["/page?next=https://evil.example", "/@evil.example", "/page?a=%0d%0aSet-Cookie:b"]
    {
        let mut browser = Browser::default();
        let told = browser.begins(&world, page);
        assert_eq!(told["redirect_uri"], "https://app.example/back");
        assert_eq!(
            browser.comes_back(&world, &told, json!({})),
            End::To(format!("{ORIGIN}{page}"))
        );
    }
    let mut browser = Browser::default();
    let told = browser.begins(&world, &format!("/page?{}", "x".repeat(2_000)));
    assert_eq!(browser.comes_back(&world, &told, json!({})), End::To(format!("{ORIGIN}/bye")));
}

/// Nothing that is shown of a policy has a secret, a token or a key in it. Seen to fail: without
/// `code` among the names that logs mask.
#[test]
fn fa_E27_no_secret_is_shown() {
    let world = World::new(json!({ "forward_access_token": true }));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({ "refresh_token": "a-refresh-token" }));
    let shown = format!("{:?}", world.policy);
    for secret in ["hunter2", KEY, "an-access-token", "a-refresh-token", "eyJ"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
        assert!(browser.jar.values().all(|value| !value.contains(secret)), "{secret}");
    }
    let names = SecretNames::of(&world._bench.carry);
    assert!(names.has("code") && names.has("state"), "the access log shows codes");
}
