use std::cmp::Ordering;

use super::*;

#[test]
fn a_path_has_one_form() {
    for (written, canonical_form) in [
        ("/", "/"),
        ("/a/b/", "/a/b/"),
        ("/a b", "/a%20b"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/%63af%c3%a9", "/caf%C3%A9"),
        ("/a%3bb", "/a%3Bb"),
        ("/{x}", "/%7Bx%7D"),
        ("/a:b@c;d=e,f", "/a:b@c;d=e,f"),
    ] {
        assert_eq!(canonical(written).as_deref(), Ok(canonical_form));
        assert_eq!(canonical(canonical_form).as_deref(), Ok(canonical_form), "stays");
    }
}

#[test]
fn what_is_no_path_is_refused_with_a_reason() {
    for (written, what) in [
        ("orders", "`orders` does not start with `/`"),
        ("", "`` does not start with `/`"),
        ("/a//b", "`/a//b` has an empty segment"),
        ("/a/../b", "`/a/../b` has the dot segment `..`"),
        ("/%2e", "`/%2e` has the dot segment `.`"),
        ("/a%2", "`a%2` has a `%` that is no escape"),
        ("/a%2fb", "`a%2fb` has a backslash or an escaped slash"),
        ("/a\\b", "`a\\b` has a backslash or an escaped slash"),
        ("/a?b=c", "`a?b=c` has a `?`"),
        ("/a#b", "`a#b` has a `#`"),
        ("/a\tb", "`a\\tb` has a control character"),
        ("/a%00", "`a%00` has a control character"),
    ] {
        assert_eq!(canonical(written).unwrap_err().what, what);
    }
    let deep = "/a".repeat(64);
    assert!(canonical(&deep).unwrap_err().what.contains("64 segments"));
}

#[test]
fn templates_are_taken_apart() {
    let parsed = parse_template("/v1/{id}.json/x{name}/{rest*}").unwrap();
    assert_eq!(
        parsed.segments,
        [
            Segment::Text("v1".into()),
            Segment::Param("".into(), ".json".into()),
            Segment::Param("x".into(), "".into()),
        ]
    );
    assert!(parsed.rest);
    assert_eq!(parsed.params.iter().map(|p| &**p).collect::<Vec<_>>(), ["id", "name", "rest"]);
}

#[test]
fn what_is_no_template_is_refused_with_a_reason() {
    for (written, what) in [
        ("/{id", "`{id` has a brace without its other half"),
        ("/id}", "`id}` has a brace without its other half"),
        ("/{a}{b}", "`{a}{b}` has two parameters in one segment"),
        ("/{a}/{a}", "`/{a}/{a}` has two parameters named `a`"),
        ("/{}", "`{}` is no parameter"),
        ("/{1a}", "`{1a}` is no parameter"),
        ("/{rest*}/x", "`/{rest*}/x` goes on after the parameter that takes the rest"),
        ("/x{rest*}", "`x{rest*}` puts text beside a parameter with `*`"),
    ] {
        assert_eq!(parse_template(written).unwrap_err().what, what);
    }
}

fn pattern(text: &str, end: End) -> Pattern {
    let parsed = parse_template(text).unwrap();
    Pattern { segments: parsed.segments, end, params: parsed.params.into() }
}

#[test]
fn of_two_patterns_the_one_that_says_more_from_the_left_goes_first() {
    let in_order = [
        pattern("/a/b", End::Exact),
        pattern("/a/b", End::Rest),
        pattern("/a/b", End::Prefix(false)),
        pattern("/a/b{x}c", End::Exact),
        pattern("/a/b{x}", End::Exact),
        pattern("/a/{x}c", End::Exact),
        pattern("/a/{x}/b", End::Exact),
        pattern("/a/{x}", End::Exact),
        pattern("/a/{x}", End::Prefix(false)),
        pattern("/a", End::Rest),
        pattern("/a", End::Prefix(false)),
        pattern("/{x}/b", End::Exact),
    ];
    for (i, first) in in_order.iter().enumerate() {
        for (j, second) in in_order.iter().enumerate() {
            assert_eq!(first.precedence(second), i.cmp(&j), "{first} and {second}");
        }
    }
    let same = (pattern("/{x}", End::Exact), pattern("/{y}", End::Exact));
    assert_eq!(same.0.precedence(&same.1), Ordering::Equal);
}
