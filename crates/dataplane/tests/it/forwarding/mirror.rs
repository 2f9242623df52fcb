//! Copies of requests for another upstream.

use super::upstream::{Act, Upstream};
use super::{Gateway, dead, send};

fn document(main: &str, copy: &str, settings: &str) -> String {
    format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams:
  - {{ name: main, endpoints: [ '{main}' ] }}
  - {{ name: copy, endpoints: [ '{copy}' ]{settings} }}
apis: [ {{ name: all, upstream: main, mirror: {{ to: copy }} }} ]
"
    )
}

#[tokio::test]
async fn a_copy_goes_out_whole_and_its_answer_nowhere() {
    let (main, copy) = (Upstream::named("main").await, Upstream::named("copy").await);
    let gateway = Gateway::real(&document(&main.url(), &copy.url(), ""));
    let long = "y".repeat(20_000);
    for body in ["", "short", &long] {
        send(&gateway, "POST", body).await.is("main");
    }
    copy.read(3).await;
    let mut copied: Vec<String> = copy.requests();
    let mut sent = main.requests();
    copied.sort();
    sent.sort();
    let bodies = |requests: &[String]| -> Vec<String> {
        let body = |request: &String| request.split_once("\r\n\r\n").unwrap().1.to_owned();
        requests.iter().map(body).collect()
    };
    let (mut copied, mut sent) = (bodies(&copied), bodies(&sent));
    copied.sort();
    sent.sort();
    assert_eq!(copied, sent);
}

#[tokio::test]
async fn a_mirror_that_is_dead_slow_or_endless_has_no_effect() {
    let slow = Upstream::start(|_, _| Act::Stall(String::new())).await;
    let huge = Upstream::start(|_, _| {
        Act::Stall("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\nmore".into())
    })
    .await;
    for copy in [dead(), slow.url(), huge.url()] {
        let main = Upstream::named("main").await;
        let settings = ", breaker: { running: 8 }";
        let gateway = Gateway::real(&document(&main.url(), &copy, settings));
        for _ in 0..20 {
            send(&gateway, "POST", "x").await.is("main");
        }
        assert_eq!(main.requests().len(), 20);
    }
    // Copies have bounds of their own: a quarter of what may run.
    assert!(slow.requests().len() <= 2, "{}", slow.requests().len());
    // The connection goes as soon as the head of the answer is here.
    huge.until(|upstream| upstream.left() == upstream.connections()).await;
}
