//! Which route a request takes: the manual's rules, as a table.

use crate::support::{compile, compile_apis, found, request};

#[test]
fn hosts_from_exact_to_any() {
    let snapshot = compile_apis(
        "- { name: exact, hosts: [a.b.example.com], upstream: up, routes: [ { name: exact } ] }
- { name: long, hosts: ['*.b.example.com'], upstream: up, routes: [ { name: long } ] }
- { name: short, hosts: ['*.example.com'], upstream: up, routes: [ { name: short } ] }
- { name: any, path: /any, upstream: up, routes: [ { name: any } ] }
- { name: six, hosts: ['[2001:DB8::1]'], upstream: up, routes: [ { name: six } ] }",
    );
    for (line, route) in [
        ("GET a.b.example.com/", "exact"),
        ("GET x.b.example.com/", "long"),
        ("GET y.x.b.example.com/", "long"),
        ("GET b.example.com/", "short"),
        ("GET example.com/", "404"),
        ("GET example.com/any", "any"),
        ("GET /any/x", "any"),
        ("GET other/any/x", "any"),
        ("GET [2001:db8::1]/", "six"),
    ] {
        assert_eq!(found(&snapshot, 0, &request(line, &[])), route, "{line}");
    }
}

#[test]
fn a_less_specific_host_answers_what_the_specific_one_has_no_route_for() {
    let snapshot = compile_apis(
        "- { name: a, hosts: [a.example.com], path: /a, upstream: up, routes: [ { name: a, match: { methods: [GET] } } ] }
- { name: w, hosts: ['*.example.com'], path: /w, upstream: up, routes: [ { name: w } ] }
- { name: any, upstream: up, path: /a, routes: [ { name: any, match: { methods: [POST] } } ] }",
    );
    for (line, route) in [
        ("GET a.example.com/a", "a"),
        ("GET a.example.com/w", "w"),
        ("POST a.example.com/a", "any"),
        ("PUT a.example.com/a", "405 GET, POST"),
        ("PUT b.example.com/a", "405 POST"),
        ("GET a.example.com/x", "404"),
    ] {
        assert_eq!(found(&snapshot, 0, &request(line, &[])), route, "{line}");
    }
}

#[test]
fn paths_from_the_left_text_before_parameter_before_rest() {
    let snapshot = compile_apis(
        "- name: t
  path: /t/
  upstream: up
  routes:
    - { name: exact, match: { path: { exact: /a/b } } }
    - { name: braces, match: { path: { exact: '/{a}' } } }
    - { name: both, match: { path: '/a/{x}' } }
    - { name: json, match: { path: '/{x}.json' } }
    - { name: vjson, match: { path: '/v{x}.json' } }
    - { name: one, match: { path: '/{x}' } }
    - { name: two, match: { path: '/{x}/b' } }
    - { name: number, match: { path: { regex: '/a/(?<n>[0-9]+)/c' } } }
    - { name: deep, match: { path: '/a/{rest*}' } }
    - { name: prefix, match: { path: { prefix: /a } } }
    - { name: slash, match: { path: /end/ } }
    - { name: own, match: { path: / } }
    - { name: everything, match: {} }",
    );
    for (line, route) in [
        ("GET h/t/a/b", "exact"),
        ("GET h/t/%7Ba%7D", "braces"),
        ("GET h/t/a/c", "both x=c"),
        ("GET h/t/x.json", "json x=x"),
        ("GET h/t/v1.json", "vjson x=1"),
        ("GET h/t/v.json", "json x=v"),
        ("GET h/t/.json", "one x=.json"),
        ("GET h/t/x", "one x=x"),
        ("GET h/t/x/b", "two x=x"),
        ("GET h/t/a/42/c", "number n=42"),
        ("GET h/t/a/x/c", "deep rest=x/c"),
        ("GET h/t/a/", "deep rest="),
        ("GET h/t/a", "prefix"),
        ("GET h/t/end/", "slash"),
        ("GET h/t/end", "one x=end"),
        ("GET h/t/x/y", "everything"),
        ("GET h/t", "own"),
        ("GET h/t/", "own"),
        ("GET h/tt", "404"),
        ("GET h/", "404"),
        ("OPTIONS h/t/a/b", "exact"),
    ] {
        assert_eq!(found(&snapshot, 0, &request(line, &[])), route, "{line}");
    }
}

#[test]
fn a_longer_prefix_goes_before_a_shorter_one_and_whole_segments_count() {
    let snapshot = compile_apis(
        "- { name: root, upstream: up, routes: [ { name: root } ] }
- { name: a, path: /a, upstream: up, routes: [ { name: a } ] }
- { name: ab, path: /a/b, upstream: up, routes: [ { name: ab } ] }",
    );
    for (line, route) in [
        ("GET h/a/b/c", "ab"),
        ("GET h/a/b", "ab"),
        ("GET h/a/bc", "a"),
        ("GET h/a", "a"),
        ("GET h/ab", "root"),
        ("GET h/", "root"),
    ] {
        assert_eq!(found(&snapshot, 0, &request(line, &[])), route, "{line}");
    }
}

#[test]
fn of_one_path_methods_then_header_fields_then_query_then_the_document() {
    let snapshot = compile_apis(
        "- name: o
  upstream: up
  routes:
    - { name: plain, match: { path: /x } }
    - { name: query, match: { path: /x, query: { q: '1' } } }
    - { name: header, match: { path: /x, headers: { x-a: '1' } } }
    - { name: headers, match: { path: /x, headers: { x-a: '1', X-B: { present: true } } } }
    - { name: both, match: { path: /x, headers: { x-a: '1' }, query: { q: '1' } } }
    - { name: get, match: { path: /x, methods: [GET] } }
    - { name: first, match: { path: /x, headers: { x-c: { regex: '[0-9]+' } } } }
    - { name: second, match: { path: /x, headers: { x-d: { present: false }, x-e: '1' } } }",
    );
    for (line, headers, route) in [
        ("PUT h/x", &[][..], "plain"),
        ("PUT h/x?q=1", &[][..], "query"),
        ("PUT h/x?a=b&q=%31", &[][..], "query"),
        ("PUT h/x?q=2&q=1", &[][..], "plain"),
        ("PUT h/x?q=1", &[("X-A", "1")][..], "both"),
        ("PUT h/x", &[("X-A", "1")][..], "header"),
        ("PUT h/x?q=1", &[("X-A", "1"), ("x-b", "")][..], "headers"),
        ("PUT h/x", &[("X-A", "1"), ("X-A", "2")][..], "plain"),
        ("GET h/x", &[("X-A", "1"), ("x-b", "")][..], "get"),
        ("PUT h/x", &[("x-a", "1"), ("x-c", "42")][..], "header"),
        ("PUT h/x", &[("x-c", "42")][..], "first"),
        ("PUT h/x", &[("x-c", "a42")][..], "plain"),
        ("PUT h/x", &[("x-c", "42"), ("x-e", "1")][..], "second"),
        ("PUT h/x", &[("x-c", "42"), ("x-e", "1"), ("x-d", "")][..], "first"),
    ] {
        assert_eq!(found(&snapshot, 0, &request(line, headers)), route, "{line} {headers:?}");
    }
}

#[test]
fn what_fails_by_its_method_alone_is_405_with_the_methods_that_do() {
    let snapshot = compile_apis(
        "- name: m
  upstream: up
  routes:
    - { match: { path: '/{id}', methods: [GET, HEAD] } }
    - { match: { path: '/{name}', methods: [PUT], headers: { x-a: '1' } } }
    - { match: { path: { prefix: /x }, methods: [DELETE, GET] } }",
    );
    for (line, headers, answer) in [
        ("POST h/y", &[][..], "405 GET, HEAD"),
        ("POST h/x", &[][..], "405 DELETE, GET, HEAD"),
        ("POST h/x/y", &[][..], "405 DELETE, GET"),
        ("POST h/y", &[("x-a", "1")][..], "405 PUT, GET, HEAD"),
        ("POST h/y/z", &[][..], "404"),
    ] {
        assert_eq!(found(&snapshot, 0, &request(line, headers)), answer, "{line}");
    }
}

#[test]
fn an_api_answers_on_its_listeners_only() {
    let text = "version: 1
listeners: [ { name: web, bind: '127.0.0.1:1' }, { name: inner, bind: '127.0.0.1:2' } ]
apis:
  - { name: in, listeners: [inner], upstream: 'http://a', routes: [ { name: in } ] }
  - { name: out, listeners: [web], upstream: 'http://b', routes: [ { name: out } ] }
  - { name: all, upstream: 'http://b', routes: [ { name: all, match: { path: /all } } ] }";
    let snapshot = compile(text).expect("compiles");
    for (listener, line, route) in [
        (0, "GET h/", "out"),
        (1, "GET h/", "in"),
        (0, "GET h/all", "all"),
        (1, "GET h/all", "all"),
        (2, "GET h/", "404"),
    ] {
        assert_eq!(found(&snapshot, listener, &request(line, &[])), route);
    }
}
