//! What rules of forwarding, redirecting and splitting come to.

use gateward_snapshot::{Action, Found, Route, Snapshot, UnsafePath};
use policy::Values;
use policy::message::Scheme;

use crate::support::{compile, compile_apis, request};

/// The route of a request, with its parameters.
fn route<'s>(snapshot: &'s Snapshot, line: &str) -> (&'s Route, Values) {
    let mut params = Values::new();
    match snapshot.router.find(0, &request(line, &[]), &mut params) {
        Found::Route(route) => (route, params),
        other => panic!("{line}: {other:?}"),
    }
}

/// The path an upstream is asked for.
fn path(snapshot: &Snapshot, path: &str) -> Result<String, UnsafePath> {
    let (route, params) = route(snapshot, &format!("GET h{path}"));
    let Action::Forward(forward) = &route.action else { panic!("{path} is not forwarded") };
    let mut out = String::new();
    forward.path(path, &params, &mut out).map(|()| out)
}

#[test]
fn the_path_changes_as_the_document_says() {
    let snapshot = compile_apis(
        "- { name: strip, path: /strip, upstream: up }
- { name: keep, path: /keep, strip_path: false, upstream: up }
- name: r
  path: /r
  upstream: up
  rewrite: { path: { prefix: /all } }
  routes:
    - { match: { path: '/t/{a}/{b}' }, rewrite: { path: '/x/{b}.y/{a}' } }
    - { match: { path: '/rest/{r*}' }, rewrite: { path: '/x/{r*}' } }
    - { match: { path: { prefix: /p/q } }, rewrite: { path: { prefix: /new/ } } }
    - { match: { path: { prefix: /gone } }, rewrite: { path: { prefix: / } } }
    - { match: { path: { prefix: /re } }, rewrite: { path: { regex: '^/re/([0-9]+)', to: '/n/$1' } } }
    - { match: { path: { regex: '/g/(?<g>[a-z%0-9A-F]+)' } }, rewrite: { path: '/got/{g}' } }
    - { match: { path: '/{any}' } }",
    );
    for (from, to) in [
        ("/strip", "/"),
        ("/strip/", "/"),
        ("/strip/a%20b/", "/a%20b/"),
        ("/keep", "/keep"),
        ("/keep/a", "/keep/a"),
        ("/r/t/1/2", "/x/2.y/1"),
        ("/r/rest/a/b/", "/x/a/b/"),
        ("/r/p/q", "/new"),
        ("/r/p/q/", "/new/"),
        ("/r/p/q/a", "/new/a"),
        ("/r/gone", "/"),
        ("/r/gone/x", "/x"),
        ("/r/re/42/x", "/n/42/x"),
        ("/r/re/x", "/re/x"),
        ("/r/g/a%2A", "/got/a%2A"),
        ("/r/other", "/all/other"),
    ] {
        assert_eq!(path(&snapshot, from).as_deref(), Ok(to), "{from}");
    }
}

#[test]
fn a_parameter_can_not_make_a_path_climb() {
    let snapshot = compile_apis(
        "- name: a
  upstream: up
  routes:
    - { match: { path: '/{name}.json' }, rewrite: { path: '/files/{name}/public' } }
    - { match: { path: { regex: '/x(?<a>[^/]*)/(?<b>.*)' } }, rewrite: { path: '/{a}/{b}' } }",
    );
    for (from, to) in [
        ("/a.json", Ok("/files/a/public")),
        // `..json` and `...json` are harmless names; what is left of them is not.
        ("/..json", Err(UnsafePath)),
        ("/...json", Err(UnsafePath)),
        ("/....json", Ok("/files/.../public")),
        ("/x1/b", Ok("/1/b")),
        ("/x/evil.example", Err(UnsafePath)),
        ("/x../etc", Err(UnsafePath)),
    ] {
        assert_eq!(path(&snapshot, from), to.map(str::to_owned), "{from}");
    }
}

#[test]
fn redirects_change_what_they_name_and_keep_the_rest() {
    let snapshot = compile_apis(
        "- name: a
  routes:
    - { match: { path: /host }, redirect: { host: New.example.com } }
    - { match: { path: /scheme }, redirect: { scheme: https, status: 308 } }
    - { match: { path: /port }, redirect: { port: 8443 } }
    - { match: { path: /usual }, redirect: { scheme: https, port: 443 } }
    - { match: { path: '/path/{id}' }, redirect: { path: '/new/{id}' } }
    - { match: { path: /query }, redirect: { path: /new, keep_query: false } }",
    );
    for (scheme, host, port, path, to) in [
        (Scheme::Http, "h", Some(8080), "/host?a=b", "http://new.example.com/host?a=b"),
        (Scheme::Http, "h", Some(8080), "/scheme", "https://h/scheme"),
        (Scheme::Https, "h", None, "/port", "https://h:8443/port"),
        (Scheme::Http, "h", None, "/usual", "https://h/usual"),
        (Scheme::Http, "h", Some(8080), "/path/a%20b?", "http://h:8080/new/a%20b?"),
        (Scheme::Http, "[::1]", Some(8080), "/query?a=b", "http://[::1]:8080/new"),
        (Scheme::Http, "", None, "/query?a=b", "/new"),
    ] {
        let mut request = request(&format!("GET {host}{path}"), &[]);
        request.target.scheme = scheme;
        request.target.authority.set(host, port);
        let (route, params) = route(&snapshot, &format!("GET h{path}"));
        let Action::Redirect(redirect) = &route.action else { panic!("{path}") };
        let mut out = String::new();
        redirect.location(&request, &params, &mut out).unwrap();
        assert_eq!(out, to);
    }
}

#[test]
fn a_split_gives_each_upstream_its_share_and_its_own_timeouts() {
    let text = "version: 1
listeners: [ { name: web, bind: '127.0.0.1:1' } ]
upstreams:
  - { name: a, endpoints: [ 'http://a' ], timeouts: { first_byte: 7s, total: 0s } }
  - { name: b, endpoints: [ 'http://b' ] }
apis:
  - name: s
    upstream: [ { to: a, weight: 1 }, { to: b, weight: 0 }, { to: 'http://c', weight: 3 } ]
    timeouts: { idle: 9s }
    routes: [ { timeouts: { total: 5s } } ]
  - { name: one, path: /one, upstream: a }";
    let snapshot = compile(text).expect("compiles");
    let (one, _) = route(&snapshot, "GET h/x");
    let Action::Forward(forward) = &one.action else { panic!("it is forwarded") };
    let mut taken = vec![0; snapshot.upstreams.len()];
    for number in 0..4096_u64 {
        taken[forward.split.pick(number << 52).upstream] += 1;
    }
    assert_eq!(taken, [1024, 0, 3072], "{:?}", forward.split);
    assert_eq!(forward.split.pick(u64::MAX).upstream, 2);
    let times: Vec<_> = forward
        .split
        .parts()
        .map(|part| {
            let times = &part.timeouts;
            (times.first_byte.as_secs(), times.idle.as_secs(), times.total.map(|t| t.as_secs()))
        })
        .collect();
    assert_eq!(times, [(7, 9, Some(5)), (30, 9, Some(5))]);
    let (one, _) = route(&snapshot, "GET h/one");
    let Action::Forward(forward) = &one.action else { panic!("it is forwarded") };
    assert_eq!(forward.split.first.timeouts.total, None);
    assert_eq!(forward.split.pick(12345).upstream, 0);
}
