//! Copies, and callers who leave.

use std::time::Duration;

use testkit::attack::evil::{Evil, Step, black_hole, response, stalling};

use super::{asking, status, urls};
use crate::forwarding::balance::wait_for;
use crate::forwarding::{gateway, send_with};
use crate::support::Gateway;

fn document(main: &str, copy: &str) -> String {
    format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams:
  - {{ name: main, endpoints: [ '{main}' ] }}
  - {{ name: copy, endpoints: [ '{copy}' ], breaker: {{ running: 40 }} }}
apis: [ {{ name: all, upstream: main, mirror: {{ to: copy, percent: 100 }} }} ]
"
    )
}

/// A mirror that is dead, takes no connection, says nothing, or never ends its answer changes
/// nothing about the answers, and its own are not read.
/// Seen to fail: with the copy awaited in `mirror.rs` the requests wait for it; with its answer's
/// body read to the end the bytes it sends grow without end.
#[tokio::test]
async fn fa_I26_a_mirror_that_misbehaves() {
    let (hole, _alive) = black_hole().await;
    let head = Step::Say("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n".into());
    let endless = Evil::start(move |_| {
        vec![Step::Read, head.clone(), Step::Repeat(vec![b'x'; 64 << 10], 10 << 14)]
    })
    .await;
    let silent = Evil::start(|_| stalling("")).await;
    let trickling = Evil::start(|_| {
        vec![Step::Read, Step::Trickle(response(200, "", "slow"), Duration::from_millis(50))]
    })
    .await;
    let dead = crate::forwarding::dead();
    let hole = format!("http://{hole}");
    for copy in [&dead, &hole, &silent.url(), &trickling.url(), &endless.url()] {
        let main = Evil::good("main").await;
        let gateway = Gateway::real(&document(&main.url(), copy));
        for _ in 0..100 {
            send_with(&gateway, "POST", "/", "", "body").await.is("main");
        }
        assert_eq!(main.requests(), 100);
        let copies = gateway.handle.upstreams().remove(1);
        let active: u64 = copies.endpoints.iter().map(|endpoint| endpoint.active).sum();
        assert!(active <= 10, "{active} copies at once: a quarter of what may run");
    }
    endless.until(|endless| endless.left() == endless.connections()).await;
    let (sent, copies) = (endless.bytes_out(), endless.requests().max(1));
    assert!(sent / copies < 16 << 20, "{sent} bytes for {copies} copies: what sockets hold");
}

/// Callers who leave take their requests back: the endpoint sees its connections end, and nothing
/// of them is left. Seen to fail: with `unless` in `serve.rs` never looking whether the client
/// left, those without an answer stay; without the look in `wire.rs::judge`, those with half of
/// one.
#[tokio::test]
async fn fa_I27_callers_leave() {
    let evil = Evil::by_path(vec![
        ("/silent", stalling("")),
        ("/half", stalling("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")),
    ])
    .await;
    // Nothing but their leaving ends these in time.
    let settings = "breaker: { pending: 400 }
        timeouts: { total: 0s, first_byte: 600s, idle: 600s }";
    let gateway = gateway(&urls(&[&evil]), settings);
    let mut clients = Vec::new();
    for number in 0..400 {
        clients.push(asking(&gateway, if number % 2 == 0 { "/silent" } else { "/half" }).await);
    }
    evil.until(|evil| evil.requests() == 400).await;
    drop(clients);
    evil.until(|evil| evil.left() == 400).await;
    wait_for(&gateway, |status| {
        let endpoint = &status.endpoints[0];
        (status.running, endpoint.active, endpoint.connections) == (0, 0, 0)
    })
    .await;
    let endpoint = status(&gateway).endpoints.remove(0);
    assert!(!endpoint.ejected, "it is not to blame: {endpoint:?}");
}
