//! Who is asked, from outside: shares, tiers, splits, hashing. The ways of choosing are tested
//! where they stand.

use std::collections::HashMap;

use super::upstream::{Act, Upstream, answer};
use super::{Gateway, dead, document, gateway, get, send_with};

async fn count(gateway: &Gateway, requests: usize) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for _ in 0..requests {
        *counts.entry(get(gateway).await.body().to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn weights_are_shares() {
    let (one, two) = (Upstream::named("one").await, Upstream::named("two").await);
    let gateway = Gateway::real(&document(&format!(
        "    endpoints: [ {{ url: '{}', weight: 3 }}, '{}' ]\n    balance: round_robin\n",
        one.url(),
        two.url()
    )));
    let counts = count(&gateway, 40).await;
    assert_eq!((counts["one"], counts["two"]), (30, 10));
}

#[tokio::test]
async fn the_next_tier_is_asked_when_the_first_is_out() {
    let (first, second) =
        (Upstream::start(|_, _| Act::Close).await, Upstream::named("second").await);
    let gateway = Gateway::real(&document(&format!(
        "    endpoints: [ '{}', {{ url: '{}', priority: 1 }} ]
    outlier: {{ consecutive: 1 }}
    retry: {{ attempts: 0 }}\n",
        first.url(),
        second.url()
    )));
    get(&gateway).await.refuses(502, "upstream_reset");
    // Ejected: one may always be, of two.
    for _ in 0..5 {
        get(&gateway).await.is("second");
    }
    let status = &gateway.handle.upstreams()[0].endpoints[0];
    assert!(status.ejected, "{status:?}");
    assert!(status.why.as_deref().is_some_and(|why| why.contains("ejected for another")));
}

#[tokio::test]
async fn who_answers_badly_is_ejected() {
    let bad = Upstream::start(|_, _| answer(503, "bad")).await;
    let good = Upstream::named("good").await;
    let settings = "balance: round_robin
        outlier: { consecutive: 3 }";
    let gateway = gateway(&[bad.url(), good.url()], settings);
    let counts = count(&gateway, 40).await;
    assert_eq!((counts["bad"], counts["good"]), (3, 37));
    let status = &gateway.handle.upstreams()[0];
    assert!(!status.panic && status.endpoints[0].ejected && !status.endpoints[1].ejected);
}

#[tokio::test]
async fn a_key_goes_to_the_same_endpoint_and_another_way_when_that_fails() {
    let names = ["a", "b", "c", "d"];
    let mut upstreams = Vec::new();
    for name in names {
        upstreams.push(Upstream::named(name).await);
    }
    let mut urls: Vec<String> = upstreams.iter().map(Upstream::url).collect();
    let settings = "balance: { hash: { header: x-tenant } }
        outlier: { enabled: false }";
    let gateway = gateway(&urls, settings);
    let mut owners = HashMap::new();
    for tenant in 0..20 {
        let line = format!("x-tenant: t{tenant}\r\n");
        let first = send_with(&gateway, "GET", "/", &line, "").await.body().to_owned();
        for _ in 0..3 {
            send_with(&gateway, "GET", "/", &line, "").await.is(&first);
        }
        owners.insert(line, first);
    }
    let used: std::collections::HashSet<_> = owners.values().collect();
    assert!(used.len() > 1, "{owners:?}");
    // One of them dies: its keys are served by others.
    urls[0] = dead();
    gateway.swap(&document(&super::endpoints(&urls, settings)));
    for (line, _) in owners {
        assert_eq!(send_with(&gateway, "GET", "/", &line, "").await.status, 200);
    }
}

#[tokio::test]
async fn all_are_used_when_too_few_are_healthy() {
    let bad = Upstream::start(|_, request| match request.starts_with("GET /health") {
        true => answer(500, ""),
        false => answer(200, "served"),
    })
    .await;
    let settings = "health: { path: /health, interval: 20ms }";
    let urls = [bad.url()];
    let all = gateway(&urls, settings);
    bad.read(3).await;
    wait_for(&all, |status| !status.endpoints[0].healthy).await;
    assert!(all.handle.upstreams()[0].panic);
    get(&all).await.is("served");
    let strict = gateway(&urls, &format!("{settings}\npanic_threshold: 0"));
    wait_for(&strict, |status| !status.endpoints[0].healthy).await;
    get(&strict).await.refuses(503, "no_healthy_endpoint");
}

/// Waits until the first upstream of `gateway` is like this.
pub(crate) async fn wait_for(
    gateway: &Gateway,
    like: impl Fn(&gateward_dataplane::UpstreamStatus) -> bool,
) {
    let waits = async {
        while !like(&gateway.handle.upstreams()[0]) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waits)
        .await
        .expect("it comes to that");
}

#[tokio::test]
async fn a_split_shares_requests_between_upstreams() {
    let (one, two) = (Upstream::named("one").await, Upstream::named("two").await);
    let gateway = Gateway::real(&format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams:
  - {{ name: one, endpoints: [ '{}' ] }}
  - {{ name: two, endpoints: [ '{}' ] }}
apis:
  - name: all
    upstream:
      - {{ to: one, weight: 1 }}
      - {{ to: two, weight: 3 }}
",
        one.url(),
        two.url()
    ));
    let counts = count(&gateway, 400).await;
    // Drawn at random: far outside of what chance gives in a lifetime.
    assert!((40..170).contains(&counts["one"]), "{counts:?}");
    assert_eq!(counts["one"] + counts["two"], 400);
}
