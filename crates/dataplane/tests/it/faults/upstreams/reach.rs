//! Endpoints that can't be reached.

use testkit::attack::evil::{Evil, black_hole};

use super::{PLAIN, send_once, urls};
use crate::forwarding::{dead, gateway, get, send};

/// A refused connection is told as such at once, or goes elsewhere; either way it is tried twice at
/// most.
/// Seen to fail: with `retry.attempts` raised to 50, the failures counted are 51; with
/// `may_retry` always false the second half is not served.
#[tokio::test]
async fn fa_I01_connection_refused() {
    let alone = gateway(&[dead()], PLAIN);
    for tries in [2, 4, 6] {
        get(&alone).await.refuses(502, "connect_failed");
        assert_eq!(super::status(&alone).endpoints[0].failures, tries, "one retry, no storm");
    }
    let good = Evil::good("good").await;
    let settings = format!("{PLAIN}\nretry: {{ budget_floor: 1000 }}");
    let both = gateway(&[dead(), good.url()], &settings);
    for number in 0..20 {
        send_once(&both, "POST", &number.to_string(), "body").await.is("good");
    }
    assert!(good.executions().values().all(|times| *times == 1), "each once");
    assert_eq!(good.executions().len(), 20);
}

/// An endpoint that takes no connection and refuses none costs `timeouts.connect`, then another is
/// asked.
/// Seen to fail: without the deadline in `acquire.rs::open` the first half waits for
/// `timeouts.total` and is told so (`total_timeout`).
#[tokio::test]
async fn fa_I02_black_hole() {
    let (hole, _alive) = black_hole().await;
    let hole = format!("http://{hole}");
    let settings = format!("{PLAIN}\ntimeouts: {{ connect: 500ms, total: 20s }}");
    get(&gateway(std::slice::from_ref(&hole), &settings)).await.refuses(504, "connect_timeout");
    let good = Evil::good("good").await;
    let settings = format!("{PLAIN}\ntimeouts: {{ connect: 3s, total: 60s }}");
    let both = gateway(&[hole, urls(&[&good]).remove(0)], &settings);
    for _ in 0..2 {
        send(&both, "POST", "x").await.is("good");
    }
    assert_eq!(good.requests(), 2);
}
