//! An upstream that fails is left alone and taken back with care; one that is slow takes nothing
//! from the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use gateward_dataplane::BreakerState;
use testkit::attack::evil::{Evil, Step, answer, response};
use tokio::sync::Notify;

use super::{asking, heard, status, written};
use crate::forwarding::balance::wait_for;
use crate::forwarding::{get, send, send_with};
use crate::support::Gateway;

/// An upstream that fails three of five requests while the switch is on.
async fn failing() -> (Evil, Arc<AtomicBool>) {
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = ill.clone();
    let evil = Evil::start(move |heard| match heard.number % 5 {
        0 | 2 | 4 if is_ill.load(SeqCst) => answer(503, "", "ill"),
        _ => answer(200, "", "well"),
    })
    .await;
    (evil, ill)
}

/// When most of twenty requests fail the breaker opens: nothing is sent, callers are told at once
/// when to come again. After its time one request goes, and no other until it has its answer; then
/// a growing share, and in the end all. Seen to fail: with `Breaker::failed` always none all
/// requests are sent; with `ramp` none at once, all come back together.
#[tokio::test]
async fn fa_I14_a_breaker_opens_half_opens_and_ramps() {
    let (evil, ill) = failing().await;
    let (gateway, clock) = Gateway::timed(&written(&[evil.url()], ""));
    let mut sent = 0;
    while status(&gateway).breaker == BreakerState::Closed {
        assert!(sent < 40, "it opens soon");
        get(&gateway).await;
        sent += 1;
    }
    assert_eq!((sent, evil.requests()), (20, 20), "as soon as there are enough to tell");
    for _ in 0..50 {
        let refused = get(&gateway).await;
        refused.refuses(503, "breaker_open");
        assert!(
            refused.text.to_ascii_lowercase().contains("retry-after: 10\r\n"),
            "{}",
            refused.text
        );
    }
    assert_eq!(evil.requests(), 20, "nothing was sent");

    ill.store(false, SeqCst);
    clock.advance(Duration::from_secs(10));
    assert_eq!(status(&gateway).breaker, BreakerState::HalfOpen);
    get(&gateway).await.is("well");
    assert_eq!(status(&gateway).breaker, BreakerState::Ramping);
    for (after, share) in [(0, 10.0), (5, 55.0), (4, 91.0)] {
        clock.advance(Duration::from_secs(after));
        let before = evil.requests();
        for _ in 0..400 {
            get(&gateway).await;
        }
        let percent = (evil.requests() - before) as f64 / 4.0;
        assert!((percent - share).abs() < 12.0, "{percent} % instead of {share}");
    }
    clock.advance(Duration::from_secs(1));
    for _ in 0..50 {
        get(&gateway).await.is("well");
    }
    let status = status(&gateway);
    assert_eq!((status.breaker, status.breaker_opened), (BreakerState::Closed, 1));
    assert!(status.breaker_refused >= 50);
}

/// While the one request has no answer, no other goes; if it fails the breaker stays open for as
/// long again, and if its caller leaves the next request is the one.
/// Seen to fail: with the `HalfOpen` arm of `admit` gone the second request goes too; without
/// `Pass::drop` the last one is refused.
#[tokio::test]
async fn fa_I14_b_one_probe() {
    let until = Arc::new(Notify::new());
    let held = until.clone();
    let evil = Evil::start(move |heard| match heard.path() {
        "/held" => {
            vec![Step::Read, Step::Hold(held.clone()), Step::Say(response(503, "", "ill"))]
        }
        "/ill" => answer(503, "", "ill"),
        _ => answer(200, "", "well"),
    })
    .await;
    let (gateway, clock) = Gateway::timed(&written(&[evil.url()], ""));
    for _ in 0..20 {
        send_with(&gateway, "GET", "/ill", "", "").await;
    }
    clock.advance(Duration::from_secs(10));
    let probe = asking(&gateway, "/held").await;
    evil.until(|evil| evil.requests() == 21).await;
    for _ in 0..10 {
        get(&gateway).await.refuses(503, "breaker_open");
    }
    until.notify_one();
    assert!(heard(probe).await.ends_with("ill"));
    clock.advance(Duration::from_millis(9_900));
    get(&gateway).await.refuses(503, "breaker_open");
    clock.advance(Duration::from_millis(100));
    let probe = asking(&gateway, "/held").await;
    evil.until(|evil| evil.requests() == 22).await;
    drop(probe);
    wait_for(&gateway, |status| status.running == 0).await;
    get(&gateway).await.is("well");
    assert_eq!(status(&gateway).breaker_opened, 2);
}

/// What a caller brings about does not open the breaker nor eject an endpoint: a deadline of its
/// own, a body that it sends too slowly.
/// Seen to fail: with `is_blameless` always false the breaker is open in the end, or the endpoint
/// ejected.
#[tokio::test]
async fn fa_I14_c_callers_open_no_breaker() {
    let evil = Evil::start(|heard| match heard.method() {
        "GET" => answer(200, "", "well"),
        _ => vec![Step::Read, Step::Stall],
    })
    .await;
    let settings = "timeouts: { total: 300ms }
        retry: { attempts: 0 }";
    let gateway = Gateway::real(&written(&[evil.url()], settings));
    let slow = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhalf";
    let mut slow_ones = Vec::new();
    for _ in 0..40 {
        let mut client = crate::forwarding::connect(&gateway);
        tokio::io::AsyncWriteExt::write_all(&mut client, slow.as_bytes()).await.unwrap();
        slow_ones.push(client);
    }
    for client in slow_ones {
        let text = heard(client).await;
        assert!(text.contains("\"code\":\"total_timeout\""), "{text}");
    }
    let status = status(&gateway);
    assert_eq!(status.breaker, BreakerState::Closed);
    assert!(!status.endpoints[0].ejected && status.endpoints[0].failures == 0, "{status:?}");
    send(&gateway, "GET", "").await.is("well");
}

/// What is too much for one upstream is refused at once and in full, and the other upstream is not
/// touched.
/// Seen to fail: with `most` usize::MAX in `Place::take` nothing is refused and the test waits for
/// ever.
#[tokio::test]
async fn fa_I15_bulkhead_overflow() {
    let until = Arc::new(Notify::new());
    let held = until.clone();
    let ok = Step::Say(response(200, "", "late"));
    let slow = Evil::start(move |heard| match heard.number {
        0 => vec![Step::Read, Step::Hold(held.clone()), ok.clone()],
        _ => vec![Step::Read, ok.clone()],
    })
    .await;
    let other = Evil::good("other").await;
    let document = format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams:
  - {{ name: slow, endpoints: [ '{}' ], breaker: {{ connections: 1, pending: 256 }} }}
  - {{ name: other, endpoints: [ '{}' ] }}
apis:
  - {{ name: slow, path: /slow, upstream: slow }}
  - {{ name: other, upstream: other }}
",
        slow.url(),
        other.url()
    );
    let (gateway, _clock) = Gateway::timed(&document);
    let mut clients = vec![asking(&gateway, "/slow").await];
    slow.until(|slow| slow.requests() == 1).await;
    for _ in 0..600 {
        clients.push(asking(&gateway, "/slow").await);
    }
    // All but those that run or wait have their answer before anything comes free.
    let mut waiting = Vec::new();
    wait_for(&gateway, |status| status.refused >= 600 - 256).await;
    for _ in 0..20 {
        send_with(&gateway, "GET", "/", "", "").await.is("other");
    }
    assert_eq!((slow.requests(), status(&gateway).pending), (1, 256));
    until.notify_one();
    let mut refused = 0;
    for client in clients {
        let text = heard(client).await;
        match text.contains("\"code\":\"upstream_overloaded\"") {
            true => refused += 1,
            false => waiting.push(text),
        }
    }
    assert_eq!((refused, waiting.len()), (600 - 256, 1 + 256));
    assert!(waiting.iter().all(|text| text.ends_with("late")));
}
