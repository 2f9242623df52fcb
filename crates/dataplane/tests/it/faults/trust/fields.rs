//! D10–D17, D30: fields that callers may not send, and fields that came twice.

use config::Memory;
use testkit::attack::oracle::{Oracle, Seen};

use super::super::contract::{Bench, DOCUMENT, eventually};
use super::wire::{Ask, BOTH, By, comes_to, told};

fn with<'a>(fields: &'a [(&'a str, &'a [u8])]) -> Ask<'a> {
    Ask { method: "GET", host: "a.test", target: "/a", fields }
}

/// What the origin sees of a request with these fields that is let through.
async fn seen(bench: &Bench, by: By, fields: &[(&str, &[u8])]) -> Seen {
    let found = told(bench, by, with(fields)).await;
    assert_eq!(found, "GET /a", "{by:?} {fields:?}");
    bench.oracle.take().pop().expect("a request")
}

/// `Connection` takes out fields of the client's own, never those that say where it came from:
/// these are the gateway's. HTTP/2 has no such field. Seen to fail: with the fields that
/// `Connection` names left where they are. That the gateway's own survive is in the order of
/// things: they are written after, and can't be taken out.
#[tokio::test]
async fn fa_D10_fields_that_connection_names() {
    let bench = Bench::new(DOCUMENT).await;
    for names in ["X-Forwarded-For, X-Real-Ip, authorization", "x-FORWARDED-for,Forwarded,X-MINE"] {
        let fields: &[(&str, &[u8])] = &[
            ("connection", names.as_bytes()),
            ("x-forwarded-for", b"6.6.6.6"),
            ("x-real-ip", b"6.6.6.6"),
            ("x-mine", b"yes"),
        ];
        let seen = seen(&bench, By::Http1, fields).await;
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{names}");
        assert_eq!(seen.all("x-real-ip"), [""; 0], "{names}");
        let kept = usize::from(!names.contains("MINE"));
        assert_eq!(seen.all("x-mine").len(), kept, "{names}");
        assert_eq!(seen.all("connection"), [""; 0]);
    }
    let found = told(&bench, By::Http2, with(&[("connection", b"x-mine")])).await;
    assert_eq!(found, "reset", "RFC 9113 §8.2.2");
}

/// What a stranger says of where it came from is ignored: by limits, address lists, logs, and the
/// origin.
/// Seen to fail: with `Known::tells_where_from` always false and `Composed::forwarded` joining
/// whatever was sent.
#[tokio::test]
async fn fa_D11_a_strangers_word_on_its_address() {
    let document = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, policies: [ { ip: { deny: [ 6.6.6.6 ] } },
           { ip: { deny: [ 0.0.0.0/0 ] }, when: \"client.address != '127.0.0.1'\" } ] }",
    );
    let bench = Bench::new(&document).await;
    for by in BOTH {
        let fields: &[(&str, &[u8])] =
            &[("x-forwarded-for", b"6.6.6.6"), ("forwarded", b"for=6.6.6.6")];
        let seen = seen(&bench, by, fields).await;
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{by:?}");
        assert_eq!(seen.all("forwarded"), ["for=127.0.0.1;host=a.test;proto=http"], "{by:?}");
    }
}

/// Behind a trusted proxy: the n-th address from the right that is no proxy's; what can't be read
/// ends the walk.
/// Seen to fail: with `client_address::find` walking from the left.
#[tokio::test]
async fn fa_D12_addresses_behind_trusted_proxies() {
    let trusted = "client_address: { trusted: [ 127.0.0.0/8, 10.0.0.0/8 ] }, bind:";
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let policies = format!(
        "policies: [ access_log: {{ to: {{ file: '{}' }}, fields: [ client ] }} ]",
        log.display()
    );
    let document = format!("{}{policies}\n", DOCUMENT.replace("bind:", trusted));
    let bench = Bench::new(&document).await;
    let long = format!("1.1.1.1, {}", vec!["10.0.0.9"; 1000].join(", "));
    let table: &[(&str, &str)] = &[
        ("1.1.1.1", "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 10.0.0.2, 10.0.0.1", "1.1.1.1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("1.1.1.1:4711", "1.1.1.1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:1.1.1.1", "1.1.1.1"),
        ("fe80::1%eth0", "127.0.0.1"),
        ("6.6.6.6, garbage, 10.0.0.2", "10.0.0.2"),
        ("garbage", "127.0.0.1"),
        ("6.6.6.6, , 10.0.0.2", "10.0.0.2"),
        ("1.1.1.256", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("1.1.1.1, 10.0.0.2 ", "1.1.1.1"),
        (&long, "10.0.0.9"),
    ];
    for by in BOTH {
        for (chain, _) in table {
            let chain = if by == By::Http2 { chain.trim() } else { chain };
            seen(&bench, by, &[("x-forwarded-for", chain.as_bytes())]).await;
        }
    }
    let lines = async || {
        bench.handle.observer().flush(testkit::attack::raw::PATIENCE);
        std::fs::read_to_string(&log).expect("a log")
    };
    eventually("all lines", async || lines().await.lines().count() == 2 * table.len()).await;
    let lines = lines().await;
    let wanted = table.iter().chain(table);
    for (line, (chain, client)) in lines.lines().zip(wanted) {
        let short = chain.get(..40).unwrap_or(chain);
        assert_eq!(line, format!("{{\"client\":\"{client}\"}}"), "{short}");
    }
}

/// Fields by which proxies tell of a request, or by which a request asks to be taken for another
/// one, are removed from strangers' requests before policies look.
/// Seen to fail: with `names::is_proxys` always false.
#[tokio::test]
async fn fa_D13_fields_of_proxies_and_overrides() {
    let names = [
        "forwarded",
        "x-real-ip",
        "x-original-url",
        "x-original-host",
        "x-rewrite-url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-forwarded-prefix",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-scheme",
        "x-forwarded-client-cert",
        "x-client-ip",
        "true-client-ip",
        "x-accel-mapping",
    ];
    let bench = Bench::new(DOCUMENT).await;
    for by in BOTH {
        for name in names {
            let seen = seen(&bench, by, &[(name, b"canary-4711")]).await;
            let text = String::from_utf8_lossy(&seen.raw).into_owned();
            assert!(!text.contains("canary"), "{by:?}: {name} went on: {text}");
        }
    }
    let document = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, policies: [ { ip: { deny: [ 0.0.0.0/0 ] },
           when: \"'x-forwarded-proto' in request.headers\" } ] }",
    );
    let bench = Bench::new(&document).await;
    for by in BOTH {
        seen(&bench, by, &[("x-forwarded-proto", b"https")]).await;
    }
}

/// Names with `_` or `.`: refused where they could stand for a field the gateway reads or writes,
/// else left out and counted; a listener may keep or refuse them. Seen to fail: with
/// `Fields::judge` not looking for `_` and `.`, and with `judge_odd` never taking a name for
/// another.
#[tokio::test]
async fn fa_D14_names_that_stand_for_others() {
    let keyed = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, policies: [ { api_key: { identity: { application: X-Auth-User } } } ] }",
    );
    let keyed = format!("{keyed}{}", super::connections::APPLICATION);
    let bench = Bench::new(&keyed).await;
    let key: (&str, &[u8]) = ("x-api-key", b"test");
    for name in [
        "x_forwarded_for",
        "x.auth.user",
        "x-auth_user",
        "x_auth.user",
        "content_length",
        "transfer.encoding",
        "x_gateward_application",
        "client_cert",
        "x_original_url",
        "authorization_",
        "x-api_key",
    ] {
        let wanted = match name {
            "authorization_" | "x-api_key" => "GET /a",
            _ => "field_ambiguous",
        };
        comes_to(&bench, with(&[key, (name, b"admin")]), wanted).await;
    }
    let before = bench.metric("gateward_request_fields_dropped_total{kind=\"name\"}").await;
    for by in BOTH {
        let seen =
            seen(&bench, by, &[key, ("my_field", b"1"), ("a.b", b"2"), ("my-field", b"3")]).await;
        assert_eq!(seen.all("my_field").len() + seen.all("a.b").len(), 0, "{by:?}");
        assert_eq!(seen.all("my-field"), ["3"], "{by:?}");
    }
    let name = "gateward_request_fields_dropped_total{kind=\"name\"}";
    bench.metric_is(name, before + 4).await;
    for (odd, wanted) in [("keep", "GET /a"), ("refuse", "field_ambiguous")] {
        let document = DOCUMENT.replace("bind:", &format!("odd_field_names: {odd}, bind:"));
        let bench = Bench::new(&document).await;
        comes_to(&bench, with(&[("my_field", b"1")]), wanted).await;
        comes_to(&bench, with(&[("x_forwarded_for", b"1")]), "field_ambiguous").await;
    }
}

/// A field that only the gateway writes, sent twice or in another case: exactly one reaches the
/// origin, and it is the gateway's. Seen to fail: with `Fields::is_identity` always false; where
/// the policy runs it puts its own in place, which is the second defence.
#[tokio::test]
async fn fa_D15_identity_sent_twice() {
    let keyed = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, policies: [ { api_key: { identity: { application: X-User } } } ] },
         { name: open, hosts: [ a.test ], path: /open, upstream: up }",
    );
    let bench = Bench::new(&format!("{keyed}{}", super::connections::APPLICATION)).await;
    for by in BOTH {
        // HTTP/2 has no upper case (RFC 9113 §8.2).
        let first = if by == By::Http1 { "X-User" } else { "x-user" };
        let fields: &[(&str, &[u8])] =
            &[(first, b"a"), ("x-api-key", b"test"), ("x-user", b"admin")];
        assert_eq!(seen(&bench, by, fields).await.all("x-user"), ["shop"], "{by:?}");
        let found = told(&bench, by, Ask { target: "/open", ..with(fields) }).await;
        assert_eq!(found, "GET /", "{by:?}");
        assert_eq!(bench.oracle.take()[0].all("x-user"), [""; 0], "{by:?}: where nobody asks");
    }
}

/// A condition on a field that came twice holds if it does for one of the values.
/// Seen to fail: with `Condition::holds` evaluating the joined values alone.
#[tokio::test]
async fn fa_D16_a_condition_on_a_field_sent_twice() {
    let document = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, policies: [ { ip: { deny: [ 0.0.0.0/0 ] },
           when: \"'internal' in request.headers && request.headers['internal'] == 'true'\" } ] }",
    );
    let bench = Bench::new(&document).await;
    let field = |value: &'static [u8]| ("internal", value);
    for values in
        [&[field(b"true")][..], &[field(b"true"), field(b"true")], &[field(b"x"), field(b"true")]]
    {
        comes_to(&bench, with(values), "address_denied").await;
    }
    comes_to(&bench, with(&[field(b"x"), field(b"y")]), "GET /a").await;
}

/// A value that is no text: a condition that asks for it can't be told and denies; routes compare
/// bytes.
/// Seen to fail: with `facts::headers` putting other characters in place of such bytes.
#[tokio::test]
async fn fa_D17_values_that_are_no_text() {
    let document = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, policies: [ { ip: { deny: [ 0.0.0.0/0 ] },
           when: \"'x-tag' in request.headers && !request.headers['x-tag'].matches('^safe')\" } ],
           routes: [ { match: { headers: { x-kind: { regex: 'a.*' } }, path: /a },
             respond: { status: 200, body: 'GET regex' } }, {} ] }",
    );
    let bench = Bench::new(&document).await;
    comes_to(&bench, with(&[("x-tag", b"safe")]), "GET /a").await;
    comes_to(&bench, with(&[("x-tag", b"evil")]), "address_denied").await;
    comes_to(&bench, with(&[("x-tag", b"safe\xff")]), "condition_failed").await;
    comes_to(&bench, with(&[("x-tag", b"\xff")]), "condition_failed").await;
    comes_to(&bench, with(&[("x-other", b"\xff")]), "GET /a").await;
    for by in BOTH {
        for (value, wanted) in [(&b"ab"[..], "GET regex"), (b"\xffab", "GET /a")] {
            assert_eq!(told(&bench, by, with(&[("x-kind", value)])).await, wanted, "{by:?}");
        }
        bench.oracle.take();
    }
}

/// NTLM and Negotiate authenticate connections, and those to origins are shared: refused.
/// Seen to fail: with `names::is_connection_bound` always false.
#[tokio::test]
async fn fa_D30_authentication_of_connections() {
    let bench = Bench::before(Oracle::start().await, DOCUMENT, Memory::default()).await;
    for value in [&b"NTLM TlRMTVNTUAABAAAA"[..], b"ntlm x", b"Negotiate YIIB", b"negotiate"] {
        comes_to(&bench, with(&[("authorization", value)]), "connection_authentication").await;
        let twice = [("authorization", &b"Basic eDp5"[..]), ("authorization", value)];
        comes_to(&bench, with(&twice), "connection_authentication").await;
    }
    comes_to(&bench, with(&[("authorization", b"Basic bnRsbTp4")]), "GET /a").await;
}
