use proptest::prelude::*;

use super::*;

/// Method, target and host in; `authority path?query` out, or the refusal's code.
fn normal(method: &str, target: &str, host: Option<&str>) -> String {
    normal_by(method, target, host, Paths::default())
}

fn normal_by(method: &str, target: &str, host: Option<&str>, paths: Paths) -> String {
    let mut x = Request { method: Method::new(method.as_bytes()).unwrap(), ..Request::default() };
    let host = host.map(str::as_bytes);
    match request(&mut x, target.as_bytes(), host, Scheme::Http, paths) {
        Ok(()) => {
            let query = x.target.query.map(|query| format!("?{query}")).unwrap_or_default();
            format!("{} {}{query}", x.target.authority.as_str(), x.target.path)
        }
        Err(refusal) => refusal.code.name.to_owned(),
    }
}

#[test]
fn targets_have_one_form() {
    let table = [
        ("/", "/"),
        ("/a/b.json", "/a/b.json"),
        ("/a/", "/a/"),
        ("//a///b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/.../b", "/a/.../b"),
        ("/.hidden/a..b", "/.hidden/a..b"),
        ("/%61dmin", "/admin"),
        ("/%7euser/%2d", "/~user/-"),
        ("/a%c3%a9%2b%3b", "/a%C3%A9%2B%3B"),
        ("/%252e%252e%252f", "/%252e%252e%252f"),
        ("/{id}|\"<>^`", "/%7Bid%7D%7C%22%3C%3E%5E%60"),
        ("/a;b=1/c", "/a;b=1/c"),
        ("/p?a=%zz&b=//../{x}", "/p?a=%zz&b=//../{x}"),
        ("/p?", "/p?"),
        ("/?a?b", "/?a?b"),
        ("http://h/a//b?c", "/a/b?c"),
        ("HTTP://H", "/"),
        ("http://h?q", "/?q"),
        ("//evil/x", "/evil/x"),
    ];
    for (target, expected) in table {
        assert_eq!(normal("GET", target, Some("h")), format!("h {expected}"), "{target}");
    }
}

/// Of every listener's `paths` there are.
fn every_policy() -> Vec<Paths> {
    let mut all = Vec::new();
    for encoded_slash in [EncodedSlash::Refuse, EncodedSlash::Keep] {
        for double_slash in [DoubleSlash::Merge, DoubleSlash::Refuse, DoubleSlash::Keep] {
            for dot_segments in [DotSegments::Remove, DotSegments::Refuse] {
                for semicolon in [Semicolon::Keep, Semicolon::Refuse] {
                    let version = 1;
                    let one =
                        Paths { version, encoded_slash, double_slash, dot_segments, semicolon };
                    all.push(one);
                }
            }
        }
    }
    all
}

#[test]
fn a_listener_may_read_odd_paths_otherwise() {
    let usual = Paths::default();
    let keep = Paths { encoded_slash: EncodedSlash::Keep, ..usual };
    let apart = Paths { double_slash: DoubleSlash::Keep, ..usual };
    let single = Paths { double_slash: DoubleSlash::Refuse, ..usual };
    let still = Paths { dot_segments: DotSegments::Refuse, ..usual };
    let bare = Paths { semicolon: Semicolon::Refuse, ..usual };
    let table = [
        (keep, "/a%2fb/c", "/a%2Fb/c"),
        (keep, "/a%2f..%2fb", "path_ambiguous"),
        (keep, "/..%2fb", "path_ambiguous"),
        (keep, "/a%2f.;x%2fb", "path_ambiguous"),
        (keep, "/a%2f%2e%2e", "path_ambiguous"),
        (keep, "/a%2f../b", "path_ambiguous"),
        (keep, "/a%5cb", "path_ambiguous"),
        (apart, "/a//b", "/a//b"),
        (apart, "/a//", "/a//"),
        (apart, "/a///../b", "/a//b"),
        (apart, "//a", "path_ambiguous"),
        (apart, "/.//a", "path_ambiguous"),
        (apart, "/a/..//b", "path_ambiguous"),
        (single, "/a//b", "path_ambiguous"),
        (single, "//a", "path_ambiguous"),
        (single, "/a/./b/", "/a/b/"),
        (still, "/a/./b", "path_ambiguous"),
        (still, "/a/%2e%2e", "path_ambiguous"),
        (still, "/a//b/...", "/a/b/..."),
        (bare, "/a;b", "path_ambiguous"),
        (bare, "/a%3bb", "path_ambiguous"),
        (bare, "/a?b;c", "/a?b;c"),
    ];
    for (paths, target, expected) in table {
        let told = normal_by("GET", target, Some("h"), paths);
        assert_eq!(told.strip_prefix("h ").unwrap_or(&told), expected, "{target} by {paths:?}");
    }
}

#[test]
fn targets_that_mean_two_things_are_refused() {
    let table = [
        ("/..", "path_ambiguous"),
        ("/a/../../b", "path_ambiguous"),
        ("/%2e%2e/", "path_ambiguous"),
        ("/a%2fb", "path_ambiguous"),
        ("/a%5Cb", "path_ambiguous"),
        ("/a\\b", "path_ambiguous"),
        ("/a%00", "path_ambiguous"),
        ("/a%0a", "path_ambiguous"),
        ("/a%7f", "path_ambiguous"),
        ("/a/..;/b", "path_ambiguous"),
        ("/a/.;x/b", "path_ambiguous"),
        ("/a/..%3b/b", "path_ambiguous"),
        ("/a%", "request_malformed"),
        ("/a%4", "request_malformed"),
        ("/a%g1", "request_malformed"),
        ("/a%c0%af", "request_malformed"),
        ("/a%ff", "request_malformed"),
        ("/a#b", "request_malformed"),
        ("/a?b#c", "request_malformed"),
        ("/\u{e9}", "request_malformed"),
        ("/?\u{e9}", "request_malformed"),
        ("/a b", "request_malformed"),
        ("", "request_malformed"),
        ("a", "request_malformed"),
        ("*", "request_malformed"),
        ("?a", "request_malformed"),
        ("h:80", "request_malformed"),
        ("http:http://internal/admin", "request_malformed"),
        ("https://h/", "request_malformed"),
        ("ftp://h/", "request_malformed"),
        ("http:/h/", "request_malformed"),
        ("http://other/", "host_invalid"),
        ("http://u@h/", "host_invalid"),
        ("http:///a", "host_invalid"),
        ("http://h*", "host_invalid"),
        ("http://h:81/", "host_invalid"),
    ];
    for (target, expected) in table {
        assert_eq!(normal("GET", target, Some("h")), expected, "{target}");
    }
    let query = |count: usize| format!("/?{}", vec!["a"; count].join("&"));
    assert_eq!(normal("GET", &query(1001), Some("h")), "request_malformed");
    assert_eq!(normal("GET", &query(1000), Some("h")), format!("h {}", query(1000)));
    let long = format!("/{}", "a".repeat(TARGET_MAX));
    assert_eq!(normal("GET", &long, Some("h")), "uri_too_long");
    assert_eq!(normal("GET", &long[..TARGET_MAX], Some("h")), format!("h {}", &long[..TARGET_MAX]));
}

#[test]
fn hosts_have_one_form() {
    let table = [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("example.com:80", "example.com"),
        ("example.com:", "example.com"),
        ("example.com:8080", "example.com:8080"),
        ("example.com:443", "example.com:443"),
        ("my_service-1", "my_service-1"),
        ("XN--Bcher-KVA.example", "xn--bcher-kva.example"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:0:0:1]:80", "[::1]"),
        ("[2001:DB8::A]:81", "[2001:db8::a]:81"),
    ];
    for (host, expected) in table {
        assert_eq!(normal("GET", "/", Some(host)), format!("{expected} /"), "{host}");
    }
}

#[test]
fn hosts_that_are_none_are_refused() {
    let long = "a".repeat(64);
    let table = [
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "a,b",
        "u@a",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a%41",
        "\u{e9}",
        "a:x",
        "a:-1",
        "a:0",
        "a:65536",
        "a:000080",
        "a:80:80",
        "[::1",
        "[::1]x",
        "[fe80::1%25e]",
        "[1.2.3.4]",
        "[v1.a]",
        "::1",
        "1.2.3",
        "1.2.3.256",
        "01.2.3.4",
        "0x7f.1",
        "a.0x7f",
        "xn--example-.org",
        "xn--a.test",
        "127.1",
        &long,
    ];
    for host in table {
        assert_eq!(normal("GET", "/", Some(host)), "host_invalid", "{host}");
    }
    assert_eq!(normal("GET", "/", None), "host_invalid");
}

#[test]
fn methods_that_are_not_carried_are_refused() {
    assert_eq!(normal("CONNECT", "h:80", Some("h:80")), "method_unsupported");
    assert_eq!(normal("TRACE", "/", Some("h")), "method_unsupported");
    assert_eq!(normal("OPTIONS", "*", Some("h")), "h *");
}

#[test]
fn http_1_0_needs_no_host() {
    let mut x = Request { version: Version::Http10, method: Method::Get, ..Request::default() };
    request(&mut x, b"/a", None, Scheme::Http, Paths::default()).unwrap();
    assert_eq!((x.target.authority.host(), x.target.path.as_str()), ("", "/a"));
}

/// Segments that come close to what is special.
fn nasty_path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("/"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2F"),
        Just("%25"),
        Just("%c3%a9"),
        Just(";"),
        Just("%3b"),
        Just("a"),
        Just("%41"),
        Just("{"),
        Just("\\"),
        Just("%"),
        Just("//"),
        Just("~"),
        Just("%7E"),
        Just("?"),
        Just("*"),
        Just(":"),
        Just("@"),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| format!("/{}", parts.concat()))
}

proptest! {
    #[test]
    fn the_canonical_form_is_its_own(path in nasty_path()) {
        for paths in every_policy() {
            let once = normal_by("GET", &path, Some("h"), paths);
            if let Some(target) = once.strip_prefix("h ") {
                prop_assert_eq!(&normal_by("GET", target, Some("h"), paths), &once);
            }
        }
    }

    #[test]
    fn what_is_accepted_holds_nothing_that_is_read_in_two_ways(path in nasty_path()) {
        for paths in every_policy() {
            if let Some(target) = normal_by("GET", &path, Some("h"), paths).strip_prefix("h ") {
                let path = target.split('?').next().unwrap_or_default();
                prop_assert!(path.starts_with('/') && !path.starts_with("//"), "{}", path);
                let mut segments = path.split('/').skip(1).peekable();
                while let Some(segment) = segments.next() {
                    prop_assert!(segment != "." && segment != "..", "{}", path);
                    let apart = paths.double_slash == DoubleSlash::Keep;
                    let empty = segment.is_empty() && segments.peek().is_some();
                    prop_assert!(apart || !empty, "{}", path);
                }
                let slash = paths.encoded_slash == EncodedSlash::Keep;
                prop_assert!(!path.contains('\\') && (slash || !path.contains("%2F")), "{}", path);
                prop_assert!(paths.semicolon == Semicolon::Keep || !path.contains(';'), "{}", path);
            }
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(target in prop::collection::vec(any::<u8>(), 0..40),
        host in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut x = Request { method: Method::Get, ..Request::default() };
        let _ = request(&mut x, &target, Some(&host), Scheme::Https, Paths::default());
    }
}
