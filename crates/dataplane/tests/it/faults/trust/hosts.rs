//! D18, D21–D23: which host is meant.

use config::Memory;
use testkit::attack::oracle::Oracle;

use super::super::contract::{Bench, DOCUMENT};
use super::connections::{Tls, ask_over_tls};
use super::wire::{Ask, comes_to};

fn host(host: &str) -> Ask<'_> {
    Ask { method: "GET", host, target: "/a", fields: &[] }
}

/// A connection made to one host that asks for another: 421 if the caller showed a certificate,
/// which it showed to the first; and 421 in place of 404 where nothing answers for the other.
/// Seen to fail: with `is_elsewhere` always false.
#[tokio::test]
async fn fa_D18_D21_another_host_than_the_connections() {
    let tls = Tls::new(&["public.test", "inner.test", "*.wild.test"]);
    let document = "
version: 1
listeners:
  - { name: web, bind: '127.0.0.1:0', tls: { certificates: [ { cert: cert.pem, key: key.pem } ],
      client_certificates: { mode: request, ca: ca.pem } } }
upstreams: [ { name: up, endpoints: [ 'http://@UP@' ] } ]
apis:
  - { name: echo, hosts: [ public.test, inner.test, '*.wild.test' ], upstream: up }
";
    let oracle = Oracle::start().await;
    let bench = Bench::before(oracle, document, tls.files(Memory::default())).await;
    for (shown, name, host, status) in [
        (false, "public.test", "public.test", 200),
        (false, "public.test", "PUBLIC.test.", 200),
        (false, "public.test", "public.test:8443", 200),
        (false, "a.wild.test", "a.wild.test", 200),
        (false, "public.test", "inner.test", 200),
        (false, "public.test", "stranger.test", 421),
        (false, "stranger.test", "stranger.test", 404),
        (true, "public.test", "public.test", 200),
        (true, "public.test", "PUBLIC.TEST.:443", 200),
        (true, "public.test", "inner.test", 421),
        (true, "a.wild.test", "b.wild.test", 421),
        (true, "public.test", "stranger.test", 421),
    ] {
        let client = tls.client(shown);
        for alpn in ["http/1.1", "h2"] {
            let found = ask_over_tls(bench.address, client.clone(), alpn, name, host).await;
            assert_eq!(found, Ok(status), "{alpn}: {name} asked for {host}, certificate: {shown}");
        }
    }
    let seen = bench.oracle.take();
    assert!(seen.iter().all(|seen| seen.all("host") != ["stranger.test"]), "{seen:?}");
}

/// Internationalised names are compared as they are written on the wire; labels that stand for no
/// such name are refused.
/// Seen to fail: with `punycode::is_label` always true.
#[tokio::test]
async fn fa_D22_internationalised_names() {
    let document = DOCUMENT.replace("a.test", "xn--bcher-kva.test");
    let bench = Bench::new(&document).await;
    for (name, wanted) in [
        ("xn--bcher-kva.test", "GET /a"),
        ("XN--Bcher-KVA.test", "GET /a"),
        ("bcher.test", "route_not_found"),
        ("xn--fiqs8s", "route_not_found"),
        ("xn--example-.org", "host_invalid"),
        ("xn--.test", "host_invalid"),
        ("xn--a.test", "host_invalid"),
        ("xn--bcher-kv.test", "host_invalid"),
        ("a.xn--99999999.test", "host_invalid"),
        ("b\u{fc}cher.test", "host_invalid"),
    ] {
        comes_to(&bench, host(name), wanted).await;
    }
}

/// The more specific host wins: an exact one, then the longest wildcard, then any.
/// Seen to fail: with the shortest wildcard tried first.
#[tokio::test]
async fn fa_D23_a_which_host_wins() {
    let api = |name: &str, hosts: &str| {
        format!(
            "  - {{ name: {name}, {hosts} routes: [ {{ respond: {{ body: 'by {name}' }} }} ] }}\n"
        )
    };
    let document = format!(
        "version: 1\nlisteners: [ {{ name: web, bind: '127.0.0.1:0' }} ]\napis:\n{}{}{}{}{}",
        api("any", ""),
        api("short", "hosts: [ '*.c' ],"),
        api("long", "hosts: [ '*.b.c' ],"),
        api("exact", "hosts: [ a.b.c ],"),
        api("top", "hosts: [ b.c ],"),
    );
    let bench = Bench::new(&document).await;
    for (name, wanted) in [
        ("a.b.c", "by exact"),
        ("A.B.C.", "by exact"),
        ("a.b.c:80", "by exact"),
        ("x.b.c", "by long"),
        ("x.a.b.c", "by long"),
        ("b.c", "by top"),
        ("x.c", "by short"),
        ("x.y.c", "by short"),
        ("c", "by any"),
        ("a.b.c.d", "by any"),
        ("xb.c", "by short"),
    ] {
        for by in super::wire::BOTH {
            assert_eq!(super::wire::told(&bench, by, host(name)).await, wanted, "{by:?} {name}");
        }
    }
}

/// The router's choice of a host is that of a model that asks every rule, for 100,000 of them.
/// Seen to fail: with the shortest wildcard tried first.
#[test]
fn fa_D23_b_a_model_agrees() {
    let labels = ["a", "b", "c", "ab", "x-1"];
    let mut random = fastrand::Rng::with_seed(23);
    let mut name = |most: usize| {
        let count = random.usize(1..=most);
        (0..count).map(|_| labels[random.usize(..labels.len())]).collect::<Vec<_>>().join(".")
    };
    for _ in 0..100 {
        let mut hosts: Vec<String> = (0..12)
            .map(|number| if number % 2 == 0 { name(3) } else { format!("*.{}", name(3)) })
            .collect();
        hosts.sort();
        hosts.dedup();
        let mut document =
            "version: 1\nlisteners: [ { name: web, bind: '127.0.0.1:0' } ]\napis:\n".to_owned();
        for (number, host) in hosts.iter().enumerate() {
            document.push_str(&format!(
                "  - {{ name: n{number}, hosts: [ '{host}' ], routes: [ {{ respond: {{ }} }} ] }}\n"
            ));
        }
        let snapshot =
            crate::support::compiled(&document, &policy::Carry::default(), &Memory::default());
        for _ in 0..1000 {
            let asked = name(5);
            let paths = config::v1::Paths::default();
            let scheme = policy::message::Scheme::Http;
            let request = gateward_dataplane::canonical(
                policy::message::Method::Get,
                scheme,
                &asked,
                "/",
                &[],
                paths,
            );
            let request = request.expect("a good name");
            let mut params = policy::Values::new();
            let found = match snapshot.router.find(0, &request, &mut params) {
                snapshot::Found::Route(route) => Some(route.api.name.to_string()),
                _ => None,
            };
            let fits = |host: &&String| match host.strip_prefix('*') {
                Some(end) => asked.len() > end.len() && asked.ends_with(end),
                None => **host == asked,
            };
            let rank = |host: &&String| (!host.starts_with('*'), host.len());
            let best = hosts.iter().filter(fits).max_by_key(rank);
            let wanted = best.and_then(|best| hosts.iter().position(|host| host == best));
            assert_eq!(found, wanted.map(|number| format!("n{number}")), "{asked} among {hosts:?}");
        }
    }
}
