//! Active health checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::balance::wait_for;
use super::upstream::{Upstream, answer};
use super::{document, endpoints, gateway, get};

/// An upstream whose health a test decides.
async fn patient(name: &'static str) -> (Upstream, Arc<AtomicBool>) {
    let healthy = Arc::new(AtomicBool::new(true));
    let told = healthy.clone();
    let upstream = Upstream::start(move |_, request| {
        match (request.starts_with("GET /health "), told.load(Ordering::SeqCst)) {
            (true, false) => answer(500, ""),
            (true, true) => answer(204, ""),
            (false, _) => answer(200, name),
        }
    })
    .await;
    (upstream, healthy)
}

const CHECKED: &str = "health: { path: /health, interval: 20ms, fall: 2, rise: 2 }
    slow_start: 0s
    balance: round_robin";

#[tokio::test]
async fn who_fails_its_checks_gets_no_requests_until_it_passes_again() {
    let (one, healthy) = patient("one").await;
    let (two, _) = patient("two").await;
    let gateway = gateway(&[one.url(), two.url()], CHECKED);
    wait_for(&gateway, |status| status.endpoints.iter().all(|endpoint| endpoint.healthy)).await;
    healthy.store(false, Ordering::SeqCst);
    wait_for(&gateway, |status| !status.endpoints[0].healthy).await;
    let why = gateway.handle.upstreams()[0].endpoints[0].why.clone();
    assert_eq!(why.as_deref(), Some("health check: answered 500"));
    for _ in 0..6 {
        get(&gateway).await.is("two");
    }
    healthy.store(true, Ordering::SeqCst);
    wait_for(&gateway, |status| status.endpoints[0].healthy).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(get(&gateway).await.body().to_owned());
    }
    assert!(answers.contains(&"one".to_owned()), "{answers:?}");
}

#[tokio::test]
async fn a_check_asks_as_it_is_told() {
    let (one, _) = patient("one").await;
    let settings =
        "health: { path: /health, host: check.example, interval: 20ms, expect: ['204'] }";
    let gateway = gateway(&[one.url()], settings);
    one.read(1).await;
    let request = &one.requests()[0];
    assert!(request.starts_with("GET /health HTTP/1.1\r\nhost: check.example\r\n"), "{request}");
    assert!(request.contains("user-agent: gateward-health\r\n"), "{request}");
    wait_for(&gateway, |status| status.endpoints[0].healthy).await;
}

#[tokio::test]
async fn health_outlives_a_new_document() {
    let (one, healthy) = patient("one").await;
    healthy.store(false, Ordering::SeqCst);
    let (two, _) = patient("two").await;
    let urls = [one.url(), two.url()];
    let gateway = gateway(&urls, CHECKED);
    wait_for(&gateway, |status| !status.endpoints[0].healthy).await;
    // A document whose checks come too seldom to have found anything yet.
    let seldom = CHECKED.replace("20ms", "1h");
    gateway.swap(&document(&endpoints(&urls, &seldom)));
    assert!(!gateway.handle.upstreams()[0].endpoints[0].healthy);
    for _ in 0..4 {
        get(&gateway).await.is("two");
    }
    gateway.swap(&document(&endpoints(&urls, "")));
    assert!(gateway.handle.upstreams()[0].endpoints[0].healthy, "without checks nobody is ill");
}

#[tokio::test]
async fn connecting_is_a_check_too() {
    let (one, _) = patient("one").await;
    let urls = [one.url(), super::dead()];
    let gateway = gateway(&urls, "health: { kind: tcp, interval: 20ms }");
    wait_for(&gateway, |status| !status.endpoints[1].healthy).await;
    assert!(gateway.handle.upstreams()[0].endpoints[0].healthy);
    assert!(one.requests().is_empty());
}
