//! Sessions as time passes, and as the provider comes and goes.

use super::*;

fn tokens(refresh: &str) -> Value {
    json!({ "refresh_token": refresh, "expires_in": 100 })
}

#[test]
fn a_session_ends_without_requests_and_by_its_age() {
    let world = World::new(json!({ "idle": "10m", "lifetime": "1h" }));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({}));
    let left = browser.clone();
    for _ in 0..11 {
        browser.now += 300;
        assert_eq!(browser.asks(&world, "/page"), End::In, "at {}", browser.now - NOW);
    }
    browser.now = NOW + 3_600;
    assert_eq!(browser.asks(&world, "/page"), End::Refused("oidc_session_over"), "by its age");
    let mut left = left;
    left.now = NOW + 600;
    assert!(left.clone().opens(&world, "/page").location().starts_with(ISSUER));
    assert_eq!(left.asks(&world, "/page"), End::Refused("oidc_session_over"), "idle");
}

#[test]
fn a_session_that_is_used_all_the_time_is_not_sealed_each_time() {
    let world = World::new(json!({ "idle": "10m" }));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({}));
    let first = browser.jar["gateward"].clone();
    browser.now += 74;
    assert_eq!(browser.asks(&world, "/page"), End::In);
    assert_eq!(browser.jar["gateward"], first);
    browser.now += 1;
    let request = browser.request(Method::Get, "/page");
    let (_, exchange) = browser.send(&world, request);
    assert_ne!(browser.jar["gateward"], first);
    let said = exchange.response.headers.get(Known::CacheControl);
    assert_eq!(said, Some(&b"no-cache=\"Set-Cookie\""[..]));
}

#[test]
fn tokens_are_renewed_before_they_end_once_for_all_who_wait() {
    let world = World::new(json!({ "forward_access_token": true }));
    let mut browser = Browser::default();
    browser.logs_in(&world, tokens("first"));
    browser.now += 79;
    assert_eq!(browser.asks(&world, "/page"), End::In);
    assert_eq!(world.idp.asked(), 1, "not yet");
    browser.now += 1;
    // Two requests wait for one answer.
    *world.idp.tokens.lock().unwrap() = None;
    let old = browser.clone();
    let mut one = browser.request(Method::Get, "/page");
    let mut two = browser.request(Method::Get, "/page");
    let mut cx = Context::from_waker(Waker::noop());
    let (Step::Wait(mut one), Step::Wait(mut two)) =
        (world.policy.on_request(&mut one), world.policy.on_request(&mut two))
    else {
        panic!("they do not wait");
    };
    assert!(one.as_mut().poll(&mut cx).is_pending() && two.as_mut().poll(&mut cx).is_pending());
    assert_eq!(world.idp.asked(), 2, "asked once for both");
    drop((one, two));

    world.idp.give(json!({ "access_token": "new", "refresh_token": "second", "expires_in": 100 }));
    let request = browser.request(Method::Get, "/page");
    let (end, exchange) = browser.send(&world, request);
    assert_eq!(end, End::In);
    assert_eq!(exchange.request.headers.get(Known::Authorization), Some(&b"Bearer new"[..]));
    let form = world.idp.last().body;
    assert_eq!(&form[..], b"grant_type=refresh_token&refresh_token=first");
    // A tab that still has the old cookie gets the same tokens: the old one counts once.
    let asked = world.idp.asked();
    let mut tab = old;
    assert_eq!(tab.asks(&world, "/page"), End::In);
    assert_eq!(world.idp.asked(), asked);
    browser.now += 10;
    assert_eq!(browser.asks(&world, "/page"), End::In);
    assert_eq!(world.idp.asked(), asked, "not due again");
}

#[test]
fn a_session_whose_refresh_token_is_not_taken_is_over() {
    let world = World::new(json!({}));
    let mut browser = Browser::default();
    browser.logs_in(&world, tokens("first"));
    browser.now += 80;
    world.idp.refuse("invalid_grant");
    assert!(browser.clone().opens(&world, "/page").location().starts_with(ISSUER));
    assert_eq!(browser.asks(&world, "/page"), End::Refused("oidc_session_over"));
    assert!(browser.jar.is_empty());
}

#[test]
fn a_refresh_can_not_make_a_session_anothers() {
    let world = World::new(json!({}));
    for (change, end) in [
        (json!({}), End::In),
        (json!({ "sub": "bob" }), End::Refused("oidc_id_token")),
        (json!({ "aud": "other" }), End::Refused("oidc_id_token")),
    ] {
        let mut browser = Browser::default();
        let refresh = format!("for {change}").replace([' ', '"'], "-");
        browser.logs_in(&world, tokens(&refresh));
        browser.now += 80;
        let id = world.idp.id_token("none of ours", change.clone());
        world.idp.give(json!({ "id_token": id, "expires_in": 100 }));
        assert_eq!(browser.asks(&world, "/page"), end, "{change}");
    }
}

#[test]
fn while_the_provider_is_away_sessions_go_on_and_logins_do_not_begin() {
    let world = World::new(json!({}));
    let mut browser = Browser::default();
    world.idp.go(true);
    assert_eq!(browser.opens(&world, "/page"), End::Refused("oidc_provider_unavailable"));
    world.idp.go(false);
    assert_eq!(
        browser.opens(&world, "/page"),
        End::Refused("oidc_provider_unavailable"),
        "a pause"
    );
    browser.now += 5;
    browser.logs_in(&world, tokens("first"));
    world.idp.go(true);
    for later in [80, 1_000, 3_000] {
        browser.now = NOW + later;
        assert_eq!(browser.asks(&world, "/page"), End::In, "after {later} s");
    }
    // What was known of the provider is used on; the code can't be exchanged.
    let mut other = Browser { now: NOW + 7_200, ..Browser::default() };
    let told = other.begins(&world, "/page");
    let end = other.comes_back(&world, &told, json!({}));
    assert_eq!(end, End::Refused("oidc_provider_unavailable"));
}

#[test]
fn a_new_key_of_the_provider_is_asked_for() {
    let world = World::new(json!({}));
    Browser::default().logs_in(&world, json!({}));
    *world.idp.key.lock().unwrap() = SigningKey::generate(Algorithm::ES256).unwrap();
    Browser::default().logs_in(&world, json!({}));
}

/// Without a way to have another one, the upstream is not shown a token that ended.
#[test]
fn a_token_that_ended_is_not_passed_on() {
    let world = World::new(json!({ "forward_access_token": true }));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({ "expires_in": 100 }));
    browser.now += 80;
    assert_eq!(browser.asks(&world, "/page"), End::Refused("oidc_session_over"));
    let world = World::new(json!({}));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({ "expires_in": 100 }));
    browser.now += 80;
    assert_eq!(browser.asks(&world, "/page"), End::In, "where it is not passed on, it may end");
}
