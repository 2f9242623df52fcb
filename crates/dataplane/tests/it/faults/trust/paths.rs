//! D01–D08, D24: one path, whatever it was written as.

use super::super::contract::{Bench, DOCUMENT};
use super::wire::{comes_to, get};

/// `/admin` is closed to everyone, by its API and by a condition on the path; all else is open.
const GUARDED: &str = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:0' } ]
upstreams: [ { name: up, endpoints: [ 'http://@UP@' ] } ]
policies:
  - ip: { deny: [ 0.0.0.0/0 ] }
    when: request.path.startsWith('/secret')
apis:
  - { name: admin, hosts: [ a.test ], path: /admin, upstream: up, strip_path: false,
      policies: [ { ip: { deny: [ 0.0.0.0/0 ] } } ] }
  - { name: all, hosts: [ a.test ], upstream: up }
";

async fn all_come_to(document: &str, table: &[(&str, &str)]) {
    let bench = Bench::new(document).await;
    for (target, wanted) in table {
        comes_to(&bench, get(target), wanted).await;
    }
}

/// Dot segments and empty ones are resolved before anything is matched.
/// Seen to fail: with `end_segment` keeping them.
#[tokio::test]
async fn fa_D01_dot_segments_and_empty_ones() {
    all_come_to(
        GUARDED,
        &[
            ("/admin", "address_denied"),
            ("/public/../admin", "address_denied"),
            ("/./admin", "address_denied"),
            ("//admin", "address_denied"),
            ("/x/..//admin/./y", "address_denied"),
            ("/public/../secret", "address_denied"),
            ("/public/.././/secret/", "address_denied"),
            ("/a/./b/../c", "GET /a/c"),
            ("/a/..", "GET /"),
            ("/a/...", "GET /a/..."),
            ("/admin./x", "GET /admin./x"),
            ("/admin../x", "GET /admin../x"),
            ("/..", "path_ambiguous"),
            ("/a/../../admin", "path_ambiguous"),
        ],
    )
    .await;
}

/// Escaped dots are dots; escaped slashes and backslashes are refused, unless the listener keeps
/// escaped slashes as a part of their segment.
/// Seen to fail: with `set_path` undoing every escape.
#[tokio::test]
async fn fa_D02_a_escaped_dots_and_slashes() {
    all_come_to(
        GUARDED,
        &[
            ("/x/%2e%2e/admin", "address_denied"),
            ("/x/%2E./admin", "address_denied"),
            ("/%2e/secret", "address_denied"),
            ("/x/..%2fadmin", "path_ambiguous"),
            ("/x/%2F..%2Fadmin", "path_ambiguous"),
            ("/x%2fadmin", "path_ambiguous"),
            ("/x%5cadmin", "path_ambiguous"),
            ("/x\\admin", "path_ambiguous"),
        ],
    )
    .await;
}

/// A listener that keeps escaped slashes: they separate nothing, neither for the router nor for
/// policies, and hide no dot segment.
/// Seen to fail: with `hidden_dots` always false.
#[tokio::test]
async fn fa_D02_b_escaped_slashes_kept() {
    let document = GUARDED.replace("bind:", "paths: { encoded_slash: keep }, bind:");
    all_come_to(
        &document,
        &[
            ("/a%2fb", "GET /a%2Fb"),
            ("/a%2Fb/c", "GET /a%2Fb/c"),
            ("/admin/a%2fb", "address_denied"),
            ("/admin%2fa", "GET /admin%2Fa"),
            ("/x/..%2fadmin", "path_ambiguous"),
            ("/x%2f..%2fadmin", "path_ambiguous"),
            ("/x%2f%2e%2e", "path_ambiguous"),
            ("/x%5cadmin", "path_ambiguous"),
        ],
    )
    .await;
}

/// Escapes are undone once.
/// Seen to fail: with `set_path` reading its own output again.
#[tokio::test]
async fn fa_D03_double_escapes() {
    all_come_to(
        GUARDED,
        &[
            ("/%252e%252e%252fadmin", "GET /%252e%252e%252fadmin"),
            ("/x/%252e%252e/admin", "GET /x/%252e%252e/admin"),
            ("/%2561dmin", "GET /%2561dmin"),
            ("/%25", "GET /%25"),
        ],
    )
    .await;
}

/// Parameters of segments are a part of them; dot segments with parameters are refused.
/// Seen to fail: with `dots_with_parameters` always false.
#[tokio::test]
async fn fa_D04_a_parameters_of_segments() {
    all_come_to(
        GUARDED,
        &[
            ("/x/..;/admin", "path_ambiguous"),
            ("/x/..;a=b/admin", "path_ambiguous"),
            ("/.;x/admin", "path_ambiguous"),
            ("/x/..%3b/admin", "path_ambiguous"),
            ("/x/%2e%2e;/admin", "path_ambiguous"),
            ("/admin;jsession=1/", "GET /admin;jsession=1/"),
            ("/a;b=1/c", "GET /a;b=1/c"),
        ],
    )
    .await;
}

/// A listener may refuse semicolons, and dot segments and empty ones, altogether.
/// Seen to fail: with `set_path` and `end_segment` by the usual rules.
#[tokio::test]
async fn fa_D04_b_a_stricter_listener() {
    let strict = "paths: { version: 1, double_slash: refuse, dot_segments: refuse,
        semicolon: refuse }, bind:";
    all_come_to(
        &GUARDED.replace("bind:", strict),
        &[
            ("/admin;jsession=1/", "path_ambiguous"),
            ("/a%3Bb", "path_ambiguous"),
            ("//admin", "path_ambiguous"),
            ("/a//b", "path_ambiguous"),
            ("/a/./b", "path_ambiguous"),
            ("/a/%2e%2e/b", "path_ambiguous"),
            ("/a/b/?c;d//../e", "GET /a/b/?c;d//../e"),
        ],
    )
    .await;
}

/// Empty segments that are kept are kept for everyone; at the start they are refused, and so is a
/// path that starts with two slashes once the API's own was cut off.
/// Seen to fail: the last two with `Forward::path` not looking at what is left.
#[tokio::test]
async fn fa_D01_b_empty_segments_kept() {
    let document = GUARDED.replace("bind:", "paths: { double_slash: keep }, bind:");
    let document =
        format!("{document}  - {{ name: cut, hosts: [ a.test ], path: /cut, upstream: up }}\n");
    all_come_to(
        &document,
        &[
            ("/a//b", "GET /a//b"),
            ("/admin//b", "address_denied"),
            ("/secret//b", "address_denied"),
            ("//admin", "path_ambiguous"),
            ("/a/..//admin", "path_ambiguous"),
            ("/cut/a//b", "GET /a//b"),
            ("/cut//evil.test/a", "path_ambiguous"),
            ("/cut///a", "path_ambiguous"),
        ],
    )
    .await;
}

/// Case counts; escapes of what needs none are undone; what is not UTF-8 is refused.
/// Seen to fail: with `check_utf8` taking anything.
#[tokio::test]
async fn fa_D05_case_escapes_and_unicode() {
    all_come_to(
        GUARDED,
        &[
            ("/%61dmin", "address_denied"),
            ("/%61%64%6d%69%6E", "address_denied"),
            ("/Admin", "GET /Admin"),
            ("/ADMIN", "GET /ADMIN"),
            ("/caf%c3%a9", "GET /caf%C3%A9"),
            ("/cafe%cc%81", "GET /cafe%CC%81"),
            ("/%c0%afadmin", "request_malformed"),
            ("/%e0%80%af", "request_malformed"),
            ("/%ff", "request_malformed"),
            ("/%ed%a0%80", "request_malformed"),
            ("/a%2", "request_malformed"),
            ("/a%zz", "request_malformed"),
            ("/a%u002e", "request_malformed"),
        ],
    )
    .await;
}

/// Escaped control characters are refused.
/// Seen to fail: with `set_path` keeping their escapes.
#[tokio::test]
async fn fa_D06_escaped_control_characters() {
    let targets: Vec<String> =
        (0..0x20).chain([0x7f]).map(|byte: u8| format!("/a%{byte:02x}b")).collect();
    let bench = Bench::new(GUARDED).await;
    for target in &targets {
        comes_to(&bench, get(target), "path_ambiguous").await;
    }
}

/// Cutting off an API's path makes no dot segment: only whole segments are cut. Seen to fail: with
/// the API's path at the root, where `/api../x` is served. The router's tree knows whole segments
/// alone, so that there is nothing to take out.
#[tokio::test]
async fn fa_D07_a_cut_off_path_does_not_climb() {
    let document = DOCUMENT.replace("name: echo,", "name: echo, path: /api,");
    all_come_to(
        &document,
        &[
            ("/api/x", "GET /x"),
            ("/api", "GET /"),
            ("/api../x", "route_not_found"),
            ("/api./x", "route_not_found"),
            ("/api..%2fx", "path_ambiguous"),
            ("/api/../x", "route_not_found"),
            ("/api/..", "route_not_found"),
            ("/apix", "route_not_found"),
        ],
    )
    .await;
}

/// What a caller writes into a rewritten path stays in the path, and a path that climbs is refused.
/// Seen to fail: with `is_safe` always true.
#[tokio::test]
async fn fa_D08_rewritten_paths() {
    let document = "
version: 1
listeners: [ { name: web, bind: '127.0.0.1:0' } ]
upstreams: [ { name: up, endpoints: [ 'http://@UP@' ] } ]
apis:
  - name: echo
    hosts: [ a.test ]
    upstream: up
    routes:
      - { match: { path: '/t/v{v}/{rest*}' }, rewrite: { path: '/{v}/{rest}' } }
      - { match: { path: { prefix: /r } }, rewrite: { path: { regex: '^/r/([^/]*)(.*)', to: '/$1$2' } } }
      - { match: { path: { prefix: /u } }, rewrite: { path: { regex: '^/u', to: '' } } }
";
    all_come_to(
        document,
        &[
            ("/t/v1/x", "GET /1/x"),
            ("/t/v1/x?a=b", "GET /1/x?a=b"),
            ("/t/v../x", "path_ambiguous"),
            ("/t/v./x", "path_ambiguous"),
            ("/t/vx%3Fa=b/y", "GET /x%3Fa=b/y"),
            ("/t/vx%23/y", "GET /x%23/y"),
            ("/r/evil.test/x", "GET /evil.test/x"),
            ("/r/", "GET /"),
            ("/r/http:%20x/y", "GET /http:%20x/y"),
            ("/u/x", "GET /x"),
            ("/u", "path_ambiguous"),
            ("/ux", "route_not_found"),
        ],
    )
    .await;
}

/// Queries: policies and routes see every value, the origin gets the bytes as they came; more than
/// 1,000 parameters are refused.
/// Seen to fail: with `PARAMS_MAX` at 100,000.
#[tokio::test]
async fn fa_D24_queries() {
    let document = DOCUMENT.replace(
        "upstream: up }",
        "upstream: up, policies: [ { ip: { deny: [ 0.0.0.0/0 ] },
           when: \"'a' in request.query && request.query['a'].contains('2')\" } ] }",
    );
    let many = |count: usize| format!("/?{}", vec!["b"; count].join("&"));
    let (most, more) = (many(1000), many(1001));
    let seen = format!("GET {most}");
    all_come_to(
        &document,
        &[
            ("/?a=1;b=2", "address_denied"),
            ("/?a=1&a=2", "address_denied"),
            ("/?a=2&a=1", "address_denied"),
            ("/?%61=%32", "address_denied"),
            ("/?b=2&a=1", "GET /?b=2&a=1"),
            ("/?a=1%26b=3", "GET /?a=1%26b=3"),
            ("/?b=1+2&c=%2B", "GET /?b=1+2&c=%2B"),
            ("/?b=%zz&&=&c", "GET /?b=%zz&&=&c"),
            ("/?b=//../{x}", "GET /?b=//../{x}"),
            (&most, &seen),
            (&more, "request_malformed"),
        ],
    )
    .await;
}
