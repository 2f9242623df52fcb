//! Why a request takes the route it takes, in words.

use crate::support::{compile, request};

const TEXT: &str = "version: 1
listeners: [ { name: web, bind: '127.0.0.1:1' }, { name: inner, bind: '127.0.0.1:2' } ]
apis:
  - { name: inner, path: /o, listeners: [inner], upstream: 'http://a', routes: [ { name: inner } ] }
  - { name: host, path: /o, hosts: [ a.com, '*.b.com' ], upstream: 'http://a', routes: [ { name: host } ] }
  - { name: any, upstream: 'http://a', routes: [ { name: any } ] }
  - name: o
    path: /o
    upstream: 'http://a'
    routes:
      - { name: all }
      - { name: put, match: { path: '/{id}', methods: [ PUT, PATCH ] } }
      - { name: header, match: { path: '/{id}', headers: { X-A: '1' } } }
      - { name: query, match: { path: '/{id}', query: { q: '1' } } }
      - { name: id, match: { path: '/{id}' } }
      - { name: text, match: { path: /x } }
";

#[test]
fn every_route_says_how_near_it_was_and_what_it_failed_by() {
    let snapshot = compile(TEXT).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let explained = |line: &str, headers: &[(&str, &str)]| {
        let considered = snapshot.router.explain(0, &request(line, headers));
        let lines = considered.iter();
        lines.map(|one| format!("{} {}: {}", one.route.name, one.path, one.verdict)).collect()
    };
    let lines: Vec<String> = explained("GET h/o/7", &[]);
    assert_eq!(
        lines,
        [
            "id /o/{id}: takes the request",
            "any /*: matches, but a more specific path goes first",
            "all /o/*: matches, but a more specific path goes first",
            "put /o/{id}: takes only PUT, PATCH",
            "query /o/{id}: the query parameter `q` does not match",
            "header /o/{id}: the header field `x-a` does not match",
            "text /o/x: the path does not match",
            "host /o/*: answers only on a.com, *.b.com",
            "inner /o/*: its API does not answer on this listener",
        ]
    );
    for (line, headers, expected) in [
        (
            "PUT h/o/7",
            &[("x-a", "1")][..],
            "header /o/{id}: matches, but a route that names methods goes first",
        ),
        (
            "GET h/o/7?q=1",
            &[("x-a", "1")][..],
            "query /o/{id}: matches, but more header fields go first",
        ),
        ("GET h/o/7?q=1", &[][..], "id /o/{id}: matches, but more query parameters go first"),
        ("GET a.com/o/7", &[][..], "id /o/{id}: matches, but a more specific host goes first"),
    ] {
        let lines: Vec<String> = explained(line, headers);
        assert!(lines.iter().any(|line| line == expected), "{line}: {lines:#?}");
    }
}
