//! Logins that go well, and what is no login.

use super::*;

#[test]
fn a_login_ends_at_the_page_that_was_asked_for_and_the_user_is_known() {
    let world = World::new(json!({ "scopes": ["orders"], "parameters": { "prompt": "login" } }));
    let mut browser = Browser::default();
    browser.jar.insert("mine".into(), "1".into());
    let told = browser.begins(&world, "/page?a=b");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "web"),
        ("redirect_uri", "https://app.example/back"),
        ("scope", "openid orders"),
        ("prompt", "login"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(told[name], value);
    }
    assert_eq!(browser.comes_back(&world, &told, json!({})), End::To(format!("{ORIGIN}/page?a=b")));
    let call = world.idp.last();
    let form = parameters(std::str::from_utf8(&call.body).unwrap()).unwrap();
    assert_eq!((&*form["grant_type"], &*form["code"]), ("authorization_code", "a-code"));
    assert_eq!(encode(sha256(form["code_verifier"].as_bytes())), told["code_challenge"]);
    assert!(call.headers.contains(&("authorization".into(), b"Basic d2ViOmh1bnRlcjI=".to_vec())));
    assert!(!call.again, "a code is never sent twice");
    assert_eq!(browser.jar.keys().collect::<Vec<_>>(), ["gateward", "mine"], "the login is over");

    let request = browser.request(Method::Post, "/page");
    let (end, exchange) = browser.send(&world, request);
    assert_eq!(end, End::In);
    let caller = exchange.caller.unwrap();
    let grant = caller.grant.unwrap();
    assert_eq!((&*caller.credential, caller.by), (ISSUER, "oidc"));
    assert_eq!((grant.subject.as_deref(), grant.issuer.as_deref()), (Some("ann"), Some(ISSUER)));
    assert_eq!(grant.scopes, ["openid".into(), "orders".into()]);
    assert_eq!(grant.groups, ["staff".into()]);
    assert_eq!(exchange.request.headers.get(Known::Cookie), Some(&b"mine=1"[..]));
    assert!(!exchange.request.headers.has(Known::Authorization), "no token unless asked for");
}

#[test]
fn the_upstream_gets_the_access_token_where_it_should_and_no_other() {
    let world = World::new(json!({ "forward_access_token": true }));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({}));
    let mut request = browser.request(Method::Get, "/page");
    request.request.headers.append("authorization", "Bearer forged");
    let (end, exchange) = browser.send(&world, request);
    assert_eq!(end, End::In);
    let shown: Vec<_> = exchange.request.headers.all(Known::Authorization).collect();
    assert_eq!(shown, [b"Bearer an-access-token"]);
}

#[test]
fn a_public_client_and_one_that_posts_its_secret_say_who_they_are() {
    for (more, secret) in [
        (json!({ "client_auth": "post" }), Some("hunter2")),
        (json!({ "client_secret": "", "client_auth": "post" }), None),
    ] {
        let mut more = more;
        if secret.is_none() {
            more.as_object_mut().unwrap().remove("client_secret");
        }
        let world = match secret {
            Some(_) => World::new(more),
            None => public(),
        };
        Browser::default().logs_in(&world, json!({}));
        let call = world.idp.last();
        let form = parameters(std::str::from_utf8(&call.body).unwrap()).unwrap();
        assert_eq!(form["client_id"], "web");
        assert_eq!(form.get("client_secret").map(String::as_str), secret);
        assert!(call.headers.iter().all(|(name, _)| name != "authorization"));
    }
}

fn public() -> World {
    let idp = Arc::new(Idp::default());
    let mut bench = Bench::default();
    bench.world.remote = idp.clone();
    let settings = json!({
        "issuer": ISSUER, "client_id": "web", "redirect_uri": format!("{ORIGIN}/back"),
        "keys": [KEY],
    });
    let policy = bench.compile(&KIND, &settings).unwrap();
    World { idp, policy, _bench: bench }
}

#[test]
fn only_pages_are_sent_to_the_provider() {
    let world = World::new(json!({}));
    let html = ("accept", "text/html,*/*;q=0.8");
    for (method, fields, page) in [
        (Method::Get, vec![("sec-fetch-mode", "navigate")], true),
        (Method::Head, vec![("sec-fetch-mode", "navigate")], true),
        (Method::Get, vec![html], true),
        (Method::Get, vec![html, ("x-requested-with", "XMLHttpRequest")], false),
        (Method::Get, vec![html, ("sec-fetch-mode", "cors")], false),
        (Method::Get, vec![html, ("sec-fetch-mode", "no-cors")], false),
        (Method::Get, vec![("accept", "application/json")], false),
        (Method::Get, vec![], false),
        (Method::Post, vec![html, ("sec-fetch-mode", "navigate")], false),
        (Method::Options, vec![html], false),
    ] {
        let mut browser = Browser::default();
        let mut request = browser.request(method, "/page");
        for (name, value) in &fields {
            request.request.headers.append(name, value);
        }
        let (end, _) = browser.send(&world, request);
        match page {
            true => assert!(end.location().starts_with(ISSUER), "{method:?} {fields:?}"),
            false => assert_eq!(end, End::Refused("oidc_login_needed"), "{method:?} {fields:?}"),
        }
    }
    let mut browser = Browser::default();
    let mut socket = browser.request(Method::Get, "/page");
    socket.request.headers.append("accept", "text/html");
    socket.request.upgrade = Some("websocket".into());
    assert_eq!(browser.send(&world, socket).0, End::Refused("oidc_login_needed"));
}

#[test]
fn two_tabs_log_in_at_once_and_each_ends_at_its_page() {
    let world = World::new(json!({}));
    let mut browser = Browser::default();
    let one = browser.begins(&world, "/one");
    let two = browser.begins(&world, "/two");
    assert_eq!(browser.comes_back(&world, &one, json!({})), End::To(format!("{ORIGIN}/one")));
    assert_eq!(browser.comes_back(&world, &two, json!({})), End::To(format!("{ORIGIN}/two")));
    assert_eq!(browser.asks(&world, "/page"), End::In);
}

#[test]
fn logins_that_nobody_ends_do_not_pile_up_in_the_browser() {
    let world = World::new(json!({}));
    let mut browser = Browser::default();
    let mut last = BTreeMap::new();
    for number in 0..30 {
        browser.now += 1;
        last = browser.begins(&world, &format!("/{number}"));
        assert!(browser.jar.len() <= 8, "{number}: {}", browser.jar.len());
    }
    assert_eq!(browser.comes_back(&world, &last, json!({})), End::To(format!("{ORIGIN}/29")));
    browser.now += 601;
    browser.jar.remove("gateward");
    browser.begins(&world, "/again");
    assert_eq!(browser.jar.len(), 1, "those that took too long are ended");
}

#[test]
fn a_logout_ends_the_session_here_and_at_the_provider() {
    let world = World::new(json!({}));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({}));
    let location = browser.opens(&world, "/out").location();
    let told = parameters(location.strip_prefix("https://idp.example/end?").unwrap()).unwrap();
    assert_eq!(told["post_logout_redirect_uri"], format!("{ORIGIN}/bye"));
    assert!(told["id_token_hint"].starts_with("eyJ") && told["client_id"] == "web");
    assert!(browser.jar.is_empty(), "{:?}", browser.jar);
    assert_eq!(browser.asks(&world, "/page"), End::Refused("oidc_login_needed"));
    // A provider that has no such endpoint, or is away: it ends here at least.
    world.idp.metadata.lock().unwrap().as_object_mut().unwrap().remove("end_session_endpoint");
    let other = World::with(world.idp.clone(), json!({}));
    browser.logs_in(&other, json!({}));
    assert_eq!(browser.opens(&other, "/out"), End::To(format!("{ORIGIN}/bye")));
    assert!(browser.jar.is_empty());
}

#[test]
fn a_session_that_is_long_is_in_several_cookies_and_one_too_long_in_none() {
    let world = World::new(json!({ "forward_access_token": true }));
    let mut browser = Browser::default();
    browser.logs_in(&world, json!({ "access_token": "x".repeat(6_000) }));
    assert_eq!(browser.jar.len(), 3, "{:?}", browser.jar.keys());
    assert_eq!(browser.asks(&world, "/page"), End::In);
    let mut browser = Browser::default();
    let told = browser.begins(&world, "/page");
    let tokens = json!({ "access_token": "x".repeat(8_000), "refresh_token": "y".repeat(8_000) });
    let end = browser.comes_back(&world, &told, tokens);
    assert_eq!(end, End::Refused("oidc_session_too_large"));
}
