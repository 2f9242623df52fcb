//! The request as the upstream sees it, and the response as the client does.

use super::upstream::{Act, Upstream, answer_with};
use super::{Gateway, document, endpoints, gateway, send, send_with};

async fn seen(gateway: &Gateway, upstream: &Upstream, path: &str, lines: &str) -> String {
    assert_eq!(send_with(gateway, "GET", path, lines, "").await.status, 200);
    upstream.requests().last().expect("a request").clone()
}

fn values<'r>(request: &'r str, name: &str) -> Vec<&'r str> {
    let field = |line: &'r str| {
        let (known, value) = line.split_once(": ")?;
        known.eq_ignore_ascii_case(name).then_some(value)
    };
    request.lines().filter_map(field).collect()
}

#[tokio::test]
async fn what_a_client_says_of_others_is_not_believed() {
    let one = Upstream::named("one").await;
    let gateway = gateway(&[one.url()], "");
    let lies = "X-Forwarded-For: 1.2.3.4\r\nx-forwarded-host: evil\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=1.2.3.4\r\n\
        X-Real-IP: 1.2.3.4\r\nX-Request-Id: mine\r\nX-Forwarded-Client-Cert: me\r\nVia: 1.1 other\r\n";
    let request = seen(&gateway, &one, "/", lies).await;
    for (name, expected) in [
        ("x-forwarded-for", &["unknown"][..]),
        ("x-forwarded-host", &["api.example"]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-port", &["80"]),
        ("x-forwarded-prefix", &[]),
        ("x-forwarded-client-cert", &[]),
        ("x-real-ip", &[]),
        ("forwarded", &["for=unknown;host=api.example;proto=http"]),
        ("via", &["1.1 other, 1.1 gateward"]),
        ("host", &["api.example"]),
    ] {
        assert_eq!(values(&request, name), expected, "{name} in {request}");
    }
    let id = values(&request, "x-request-id");
    assert!(id.len() == 1 && id[0].len() == 36, "{id:?}");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_its_chain_goes_on() {
    let one = Upstream::named("one").await;
    let settings = document(&endpoints(&[one.url()], ""));
    let trusting = "client_address: { trusted: ['0.0.0.0/32'] } }";
    let gateway =
        Gateway::real(&settings.replace("'127.0.0.1:0' }", &format!("'127.0.0.1:0', {trusting}")));
    let told = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n\
        Forwarded: for=1.2.3.4\r\n";
    let request = seen(&gateway, &one, "/", told).await;
    for (name, expected) in [
        ("x-forwarded-for", "1.2.3.4, unknown"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop"),
        ("forwarded", "for=1.2.3.4, for=unknown;host=api.example;proto=http"),
    ] {
        assert_eq!(values(&request, name), [expected], "{request}");
    }
}

#[tokio::test]
async fn the_base_path_is_stripped_and_told() {
    let one = Upstream::named("one").await;
    let settings = document(&endpoints(&[one.url()], ""));
    let gateway = Gateway::real(&settings.replace("name: all,", "name: all, path: /orders,"));
    let request = seen(&gateway, &one, "/orders/7?a=%20b", "").await;
    assert!(request.starts_with("GET /7?a=%20b HTTP/1.1\r\n"), "{request}");
    assert_eq!(values(&request, "x-forwarded-prefix"), ["/orders"]);
}

#[tokio::test]
async fn fields_of_the_connection_end_here_both_ways() {
    let one = Upstream::start(|_, _| {
        answer_with(
            200,
            "connection: x-inner\r\nx-inner: 1\r\nkeep-alive: timeout=5\r\nx-kept: 2\r\n",
            "",
        )
    })
    .await;
    let gateway = gateway(&[one.url()], "");
    let lines =
        "Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nX-Kept: Yes\r\n";
    let answer = send_with(&gateway, "GET", "/", lines, "").await;
    let request = &one.requests()[0];
    for gone in ["x-hop", "keep-alive", "te", "connection"] {
        assert!(values(request, gone).is_empty(), "{gone} in {request}");
    }
    assert!(request.contains("X-Kept: Yes\r\n"), "untouched, also in case: {request}");
    for gone in ["x-inner", "keep-alive"] {
        assert!(values(&answer.text, gone).is_empty(), "{gone} in {}", answer.text);
    }
    assert_eq!(values(&answer.text, "x-kept"), ["2"]);
}

#[tokio::test]
async fn what_can_not_be_read_is_not_passed_on() {
    for bad in [
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\nx: y\n\n",
        "SMTP ready\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ] {
        let one = Upstream::start(move |_, _| Act::Say(bad.into())).await;
        let gateway = gateway(&[one.url()], "");
        send(&gateway, "GET", "").await.refuses(502, "upstream_malformed");
        assert_eq!(one.requests().len(), 1, "not tried again: {bad:?}");
    }
}
