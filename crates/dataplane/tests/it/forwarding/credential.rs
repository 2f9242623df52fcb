//! The gateway's own credential: on every try, and once more with another one where it is turned
//! down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::Clock;

use super::upstream::{Act, Upstream, answer};
use super::{Gateway, get, send, send_with, talk};

/// An authorization server whose tokens are `t1`, `t2` …
async fn issuer() -> Upstream {
    Upstream::start(|number, _| {
        let body = format!(
            "{{\"access_token\":\"t{}\",\"token_type\":\"bearer\",\"expires_in\":3600}}",
            number + 1
        );
        answer(200, &body)
    })
    .await
}

/// An API that takes tokens from `t<first>` on, and that one may turn others away by.
async fn api(first: Arc<AtomicUsize>) -> Upstream {
    Upstream::start(move |_, request| {
        let shown = request.split("Bearer t").nth(1).and_then(|rest| rest.split("\r\n").next());
        let number: usize = shown.and_then(|number| number.parse().ok()).unwrap_or(0);
        if number >= first.load(Ordering::SeqCst) {
            answer(200, "welcome")
        } else {
            answer(401, "who?")
        }
    })
    .await
}

fn document(api: &str, issuer: &str, settings: &str) -> String {
    format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams: [ {{ name: u, endpoints: [ '{api}' ]{settings} }} ]
apis:
  - name: all
    upstream: u
    policies:
      - upstream_auth:
          oauth2:
            token_url: '{issuer}/token'
            client_id: gw
            client_secret: secret
            tls: {{ verify: false }}
"
    )
}

struct Bed {
    gateway: Gateway,
    clock: Clock,
    issuer: Upstream,
    api: Upstream,
    first: Arc<AtomicUsize>,
}

async fn bed(settings: &str) -> Bed {
    let first = Arc::new(AtomicUsize::new(1));
    let (issuer, api) = (issuer().await, api(first.clone()).await);
    let (gateway, clock) = Gateway::timed(&document(&api.url(), &issuer.url(), settings));
    Bed { gateway, clock, issuer, api, first }
}

#[tokio::test]
async fn a_token_is_had_once_for_all_and_no_caller_takes_its_place() {
    let bed = bed("").await;
    let together = (0..8).map(|_| get(&bed.gateway));
    for answer in futures_util::future::join_all(together).await {
        answer.is("welcome");
    }
    let lines = "Authorization: Bearer t99\r\n";
    send_with(&bed.gateway, "GET", "/", lines, "").await.is("welcome");
    assert_eq!(bed.issuer.requests().len(), 1);
    for request in bed.api.requests() {
        assert_eq!(request.matches("Bearer t").count(), 1, "{request}");
        assert!(request.contains("Authorization: Bearer t1\r\n"), "{request}");
    }
}

#[tokio::test]
async fn a_token_that_is_turned_down_is_renewed_and_the_request_sent_once_more() {
    let bed = bed("").await;
    get(&bed.gateway).await.is("welcome");
    bed.clock.advance(Duration::from_secs(10));
    bed.first.store(2, Ordering::SeqCst);
    // Nothing was done for it, so that it may be a POST.
    send(&bed.gateway, "POST", "the body").await.is("welcome");
    let sent = bed.api.requests();
    assert_eq!(sent.len(), 3);
    assert!(sent[1].contains("Bearer t1") && sent[2].contains("Bearer t2"));
    assert!(sent[1].ends_with("\r\n\r\nthe body") && sent[2].ends_with("\r\n\r\nthe body"));
    get(&bed.gateway).await.is("welcome");
    assert_eq!(bed.issuer.requests().len(), 2);
}

#[tokio::test]
async fn an_upstream_that_turns_down_whatever_it_is_shown_costs_one_more_try() {
    let bed = bed("").await;
    bed.first.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(get(&bed.gateway).await.status, 401, "the token is fresh");
    assert_eq!((bed.api.requests().len(), bed.issuer.requests().len()), (1, 1));
    bed.clock.advance(Duration::from_secs(10));
    let answer = get(&bed.gateway).await;
    assert_eq!((answer.status, answer.body()), (401, "who?"));
    assert_eq!((bed.api.requests().len(), bed.issuer.requests().len()), (3, 2));
    get(&bed.gateway).await;
    assert_eq!((bed.api.requests().len(), bed.issuer.requests().len()), (4, 2));
}

#[tokio::test]
async fn a_body_that_is_not_at_hand_any_more_is_not_sent_again() {
    let bed = bed(", retry: { body: 1KiB }").await;
    get(&bed.gateway).await.is("welcome");
    bed.clock.advance(Duration::from_secs(10));
    bed.first.store(2, Ordering::SeqCst);
    let body = "x".repeat(10_000);
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10000\r\n\r\n";
    let pieces: Vec<&[u8]> =
        [head.as_bytes()].into_iter().chain(body.as_bytes().chunks(2_500)).collect();
    let answer = talk(&bed.gateway, &pieces).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(bed.api.requests().len(), 2);
}

#[tokio::test]
async fn without_a_token_nothing_goes_upstream_and_nothing_secret_comes_back() {
    let first = Arc::new(AtomicUsize::new(1));
    let issuer = Upstream::start(|_, _| answer(400, "{\"error\":\"invalid_client\"}")).await;
    let api = api(first).await;
    let gateway = Gateway::real(&document(&api.url(), &issuer.url(), ""));
    let answer = get(&gateway).await;
    answer.refuses(503, "upstream_credential_unavailable");
    assert!(!answer.text.contains("secret") && !answer.text.contains("invalid_client"));
    assert!(api.requests().is_empty());
}

#[tokio::test]
async fn a_mirror_gets_no_credential() {
    let (main, copy) = (Upstream::named("main").await, Upstream::named("copy").await);
    let document = format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams:
  - {{ name: main, endpoints: [ '{}' ] }}
  - {{ name: copy, endpoints: [ '{}' ] }}
apis:
  - name: all
    upstream: main
    mirror: {{ to: copy }}
    policies: [ upstream_auth: {{ bearer: t1 }} ]
",
        main.url(),
        copy.url()
    );
    let gateway = Gateway::real(&document);
    get(&gateway).await.is("main");
    copy.read(1).await;
    assert!(main.requests()[0].contains("Bearer t1"));
    assert!(!copy.requests()[0].contains("t1"), "{}", copy.requests()[0]);
}

/// Every try has it, and one parameter of the query stays one.
#[tokio::test]
async fn every_try_has_the_credential_once() {
    let bad = Upstream::start(|_, _| Act::Close).await;
    let document = format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams: [ {{ name: u, endpoints: [ '{}' ], outlier: {{ enabled: false }} }} ]
apis:
  - name: all
    upstream: u
    policies: [ upstream_auth: {{ query: {{ name: key, value: ours }} }} ]
",
        bad.url()
    );
    let gateway = Gateway::real(&document);
    assert_eq!(send_with(&gateway, "GET", "/?a=1", "", "").await.status, 502);
    let requests = bad.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert!(request.starts_with("GET /?a=1&key=ours HTTP/1.1\r\n"), "{request}");
    }
}
