use proptest::prelude::*;

use super::*;

#[test]
fn documents_of_the_specification_are_read() {
    for text in [
        "{ user(id: 4) { id name profilePic(width: 100, height: 50.5) } }",
        "mutation { likeStory(storyID: 12345) { story { likeCount } } }",
        "query withFragments { user(id: 4) { friends(first: 10) { ...friendFields } } } fragment friendFields on User { id }",
        "query inlineFragmentNoType($expandedInfo: Boolean) { user(handle: \"zuck\") { ... @include(if: $expandedInfo) { firstName } } }",
        "{ nearestThing(location: { lon: 12.43, lat: -53.211 }) }",
        "subscription S { newMessage(roomId: 123) { sender } }",
        "{ smallPic: profilePic(size: 64) }",
        "mutation { sendEmail(message: \"\"\"\n Hello, \\\"\"\" World!\n\"\"\") }",
        "{ f(a: \"\\\"\", b: null, c: true, d: ENUM, e: [], f: {}, g: -1e5, h: $v) }",
        "# comment\n{ a, b, # more\n c }",
        "\u{feff}{ a }",
        "query ($a: [[Int!]!]! = [[1]] @d) { a }",
        "{ on fragment query true null }",
    ] {
        assert!(read(text, 1000, 20).is_ok(), "{text}: {:?}", read(text, 1000, 20));
    }
}

#[test]
fn what_is_none_is_told_as_that() {
    for text in [
        "",
        "{",
        "}",
        "{}",
        "{ a",
        "a",
        "{ a }}",
        "{ a( }",
        "{ a() { }",
        "{ a(b) }",
        "{ a(b:) }",
        "{ a: }",
        "{ ...on }",
        "{ . }",
        "{ .. }",
        "query ( { a }",
        "query ($a) { a }",
        "{ a(b: 01) }",
        "{ a(b: 1.) }",
        "{ a(b: 1x) }",
        "{ a(b: \"x) }",
        "{ a(b: \"x\n\") }",
        "{ a(b: \"\"\"x) }",
        "{ a @ }",
        "fragment F on T { a }",
        "{ a } fragment on on T { a }",
        "{ a } fragment F T { a }",
        "{ a } fragment F on T { a } fragment F on T { a }",
        "{ ä }",
        "type T { a: Int }",
        "{ a(b: [1) }",
        "{ a(b: {c}) }",
        "\"text\" { a }",
    ] {
        assert!(
            matches!(read(text, 1000, 20), Err(Bad::Malformed(_))),
            "{text}: {:?}",
            read(text, 1000, 20)
        );
    }
}

#[test]
fn extremes_end_at_the_first_bound() {
    let deep = "{a".repeat(100_000);
    assert_eq!(read(&deep, 1_000_000, 20).unwrap_err(), Bad::Depth);
    let lists = format!("{{ a(b: {}", "[".repeat(100_000));
    assert_eq!(read(&lists, 1_000_000, 20).unwrap_err(), Bad::Depth);
    let kinds = format!("query ($a: {}", "[".repeat(100_000));
    assert_eq!(read(&kinds, 1_000_000, 20).unwrap_err(), Bad::Depth);
    let wide = format!("{{{}}}", "a ".repeat(100_000));
    assert_eq!(read(&wide, 5_000, 20).unwrap_err(), Bad::Tokens);
}

proptest! {
    #[test]
    fn any_text_ends(text in "(\\{|\\}|\\(|\\)|\\[|\\]|:|\\$|@|!|=|\\.\\.\\.|a|on|query|fragment|1|-|\"|\\\\|#|\n| ){0,60}") {
        let _ = read(&text, 1000, 20);
    }
}
