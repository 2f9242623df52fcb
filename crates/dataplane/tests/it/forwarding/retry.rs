//! What is tried again, and what never is.

use super::upstream::{Act, Upstream, answer, answer_with};
use super::{dead, gateway, get, send, talk};

/// No ejections: each test looks at one request.
const PLAIN: &str = "outlier: { enabled: false }
    balance: round_robin";

#[tokio::test]
async fn a_request_nothing_of_which_was_sent_goes_elsewhere_whatever_its_method() {
    let good = Upstream::named("good").await;
    for method in ["GET", "POST", "PATCH"] {
        let gateway = gateway(&[dead(), good.url()], PLAIN);
        for _ in 0..4 {
            send(&gateway, method, "once").await.is("good");
        }
    }
    assert_eq!(good.requests().len(), 12, "each came once");
}

#[tokio::test]
async fn nobody_listens() {
    get(&gateway(&[dead()], PLAIN)).await.refuses(502, "connect_failed");
}

#[tokio::test]
async fn what_broke_after_it_was_sent_is_tried_again_only_if_it_is_idempotent() {
    for (method, tries) in [("GET", 2), ("PUT", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)] {
        for act in [Act::Close, Act::Reset] {
            let one = Upstream::start({
                let act = act.clone();
                move |_, _| act.clone()
            })
            .await;
            let gateway = gateway(&[one.url()], PLAIN);
            send(&gateway, method, "body").await.refuses(502, "upstream_reset");
            assert_eq!(one.requests().len(), tries, "{method} {act:?}");
        }
    }
}

#[tokio::test]
async fn another_endpoint_is_tried_and_the_body_goes_again() {
    let bad = Upstream::start(|_, _| Act::Close).await;
    let good = Upstream::named("good").await;
    let gateway = gateway(&[bad.url(), good.url()], PLAIN);
    for _ in 0..4 {
        send(&gateway, "PUT", "the body").await.is("good");
    }
    assert!(!bad.requests().is_empty());
    assert!(good.requests().iter().all(|request| request.ends_with("\r\n\r\nthe body")));
}

#[tokio::test]
async fn a_body_longer_than_is_kept_is_sent_once() {
    let body = "x".repeat(10_000);
    for (kept, tries) in [("64KiB", 2), ("1KiB", 1)] {
        let bad = Upstream::start(|_, _| Act::Close).await;
        // In pieces, so that it is not all there with the head.
        let settings = format!("{PLAIN}\nretry: {{ body: {kept} }}");
        let gateway = gateway(&[bad.url()], &settings);
        let head =
            "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10000\r\n\r\n";
        let pieces: Vec<&[u8]> =
            [head.as_bytes()].into_iter().chain(body.as_bytes().chunks(2_500)).collect();
        let answer = talk(&gateway, &pieces).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert_eq!(bad.requests().len(), tries, "{kept}");
    }
}

#[tokio::test]
async fn retries_can_be_turned_off() {
    let bad = Upstream::start(|_, _| Act::Close).await;
    let gateway = gateway(&[bad.url()], &format!("{PLAIN}\nretry: {{ attempts: 0 }}"));
    get(&gateway).await.refuses(502, "upstream_reset");
    assert_eq!(bad.requests().len(), 1);
}

#[tokio::test]
async fn answers_are_tried_again_where_the_settings_say_so() {
    for (on, first, expected) in [
        ("[gateway_error]", 503, 200),
        ("[gateway_error]", 500, 500),
        ("[server_error]", 500, 200),
        ("[server_error]", 404, 404),
        ("[reset]", 503, 503),
    ] {
        let one = Upstream::start(move |n, _| answer(if n == 0 { first } else { 200 }, "")).await;
        let settings = format!("{PLAIN}\nretry: {{ causes: {on} }}");
        let got = get(&gateway(&[one.url()], &settings)).await;
        assert_eq!(got.status, expected, "{on} {first}");
        let post = Upstream::start(move |_, _| answer(first, "")).await;
        let posted = send(&gateway(&[post.url()], &settings), "POST", "x").await;
        assert_eq!((posted.status, post.requests().len()), (first, 1), "{on}: never a POST");
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_up_to_a_second() {
    for (line, expected, tries) in [
        ("retry-after: 0\r\n", 200, 2),
        ("retry-after: 120\r\n", 503, 1),
        ("retry-after: later\r\n", 503, 1),
    ] {
        let one = Upstream::start(move |n, _| match n {
            0 => answer_with(503, line, "busy"),
            _ => answer(200, ""),
        })
        .await;
        let settings = format!("{PLAIN}\nretry: {{ causes: [gateway_error] }}");
        assert_eq!(get(&gateway(&[one.url()], &settings)).await.status, expected, "{line}");
        assert_eq!(one.requests().len(), tries, "{line}");
    }
}

#[tokio::test]
async fn the_budget_bounds_what_a_failing_upstream_sees() {
    let bad = Upstream::start(|_, _| Act::Close).await;
    let settings = format!("{PLAIN}\nretry: {{ attempts: 3, budget_percent: 0, budget_floor: 0 }}");
    let gateway = gateway(&[bad.url()], &settings);
    for _ in 0..10 {
        get(&gateway).await.refuses(502, "upstream_reset");
    }
    assert_eq!(bad.requests().len(), 10, "the first error is the answer");
}

#[tokio::test]
async fn a_connection_closed_while_it_was_idle_fails_nobody() {
    // Answers the first request of a connection; at the second it finds it closed.
    let one = Upstream::start(|number, _| match number % 2 {
        0 => answer(200, "good"),
        _ => Act::Close,
    })
    .await;
    let gateway = gateway(&[one.url()], &format!("{PLAIN}\nretry: {{ attempts: 0 }}"));
    get(&gateway).await.is("good");
    // By the idle connection, closed; then at once by a new one.
    get(&gateway).await.is("good");
    assert_eq!((one.requests().len(), one.connections()), (3, 2));
    // Whether a POST was carried out nobody knows.
    send(&gateway, "POST", "x").await.refuses(502, "upstream_reset");
    assert_eq!(one.requests().len(), 4, "it came once");
}

#[tokio::test]
async fn a_connection_found_closed_is_not_used() {
    let one = Upstream::start(|_, _| {
        Act::SayAndClose("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood".into())
    })
    .await;
    let gateway = gateway(&[one.url()], &format!("{PLAIN}\nretry: {{ attempts: 0 }}"));
    for number in 1..30 {
        send(&gateway, "POST", "x").await.is("good");
        one.until(|upstream| upstream.left() >= number).await;
        // The end of the connection is on its way through the loopback; another exchange lets it
        // arrive.
        get_fixed(&gateway).await;
    }
}

/// Lets the gateway look at its sockets once.
async fn get_fixed(gateway: &crate::support::Gateway) {
    let answer = talk(gateway, &[b"BAD\r\n\r\n"]).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}
