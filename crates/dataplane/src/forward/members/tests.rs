//! Members out of a document and out of answers of name servers, and what is kept of them.

use std::time::Duration;

use base::Clock;
use snapshot::Snapshot;

use super::*;
use crate::forward::Fleet;
use crate::forward::endpoint::Health;
use crate::forward::fleet::questions;
use crate::observe::testing::compile;

fn document(endpoints: &str) -> std::sync::Arc<Snapshot> {
    compile(&format!(
        "version: 1
listeners: [ {{ name: web, bind: '127.0.0.1:0' }} ]
upstreams: [ {{ name: u, endpoints: [ {endpoints} ] }} ]
apis: [ {{ name: all, upstream: u }} ]
"
    ))
}

fn found(address: &str, tier: u16, weight: u32, host: Option<&str>) -> Found {
    let address = address.parse().unwrap();
    Found { tier, address, other: None, weight, host: host.map(Into::into) }
}

fn answer(found: Vec<Found>) -> Answer {
    Answer { found, problem: None }
}

/// A fleet with this document, and how to answer its one question.
fn fleet(endpoints: &str) -> (Arc<Fleet>, Clock) {
    let clock = Clock::fixed(Duration::ZERO);
    clock.advance(Duration::from_secs(1_000));
    let fleet = Fleet::new(clock.clone());
    fleet.apply(&document(endpoints));
    (fleet, clock)
}

fn tell(fleet: &Fleet, answer: Answer) {
    let (dns, question) = questions(&fleet.current()).next().unwrap();
    fleet.answered(&dns, &question, answer);
}

/// Each member: label, weight, tier.
fn listed(fleet: &Fleet) -> Vec<(String, u32, u16)> {
    let members = fleet.current()[0].state.members();
    let line =
        |member: &Member| (member.endpoint.label.to_string(), member.weight, member.tier / TIERS);
    members.list.iter().map(line).collect()
}

#[test]
fn addresses_are_members_at_once() {
    let (fleet, _) =
        fleet("'http://10.0.0.1:81', { url: 'http://10.0.0.2:82', weight: 3, priority: 1 }");
    assert_eq!(
        listed(&fleet),
        [("http://10.0.0.1:81".to_owned(), 1, 0), ("http://10.0.0.2:82".to_owned(), 3, 1)]
    );
}

#[test]
fn the_same_service_told_twice_is_one_with_both_shares() {
    let (fleet, _) = fleet("'srv+http://_orders._tcp.example'");
    let one = |weight| found("10.0.0.1:81", 0, weight, Some("a.example"));
    tell(&fleet, answer(vec![one(1), one(2)]));
    assert_eq!(listed(&fleet), [("http://a.example:81 (10.0.0.1:81)".to_owned(), 3, 0)]);
}

#[test]
fn a_name_is_waited_for_and_becomes_an_endpoint_for_each_address() {
    let (fleet, _) = fleet("{ url: 'http://orders:9001', weight: 2 }");
    assert!(fleet.current()[0].state.members().waiting);
    tell(&fleet, answer(vec![found("10.0.0.1:0", 0, 1, None), found("10.0.0.2:0", 0, 1, None)]));
    assert!(!fleet.current()[0].state.members().waiting);
    assert_eq!(
        listed(&fleet),
        [
            ("http://orders:9001 (10.0.0.1:9001)".to_owned(), 2, 0),
            ("http://orders:9001 (10.0.0.2:9001)".to_owned(), 2, 0)
        ]
    );
}

#[test]
fn services_bring_ports_weights_and_ranks() {
    let (fleet, _) = fleet("'srv+http://_orders._tcp.example'");
    let one = found("10.0.0.1:81", 0, 10, Some("a.example"));
    let two = found("10.0.0.2:82", 1, 20, Some("b.example"));
    tell(&fleet, answer(vec![one, two]));
    let members = fleet.current()[0].state.members();
    let authority = |at: usize| members.list[at].endpoint.key.authority.to_string();
    assert_eq!((authority(0), authority(1)), ("a.example:81".into(), "b.example:82".into()));
    assert!(members.list[0].tier < members.list[1].tier);
    assert_eq!((members.list[0].weight, members.list[1].weight), (10, 20));
}

#[test]
fn what_is_known_of_an_address_stays_as_long_as_the_address() {
    let (fleet, clock) = fleet("'http://orders:9001'");
    let (one, two) = (found("10.0.0.1:0", 0, 1, None), found("10.0.0.2:0", 0, 1, None));
    tell(&fleet, answer(vec![one.clone()]));
    let state = fleet.current()[0].state.clone();
    let first = state.members().list[0].endpoint.clone();
    first.set_health(Health::Unhealthy, clock.now());
    // Health is kept where there are checks, and this document has none: the address is.
    tell(&fleet, answer(vec![one.clone(), two]));
    assert!(Arc::ptr_eq(&first, &state.members().list[0].endpoint));
    let slow = Duration::from_secs(30);
    assert_eq!(first.ramp(clock.now(), slow), 100, "it was there from the start");
    assert_eq!(state.members().list[1].endpoint.ramp(clock.now(), slow), 10, "it joined");
    fleet.apply(&document("'http://orders:9001', 'http://10.0.0.9:80'"));
    assert!(Arc::ptr_eq(&first, &fleet.current()[0].state.members().list[0].endpoint));
    assert!(!fleet.current()[0].state.members().waiting, "the answer is known already");
}

#[test]
fn a_lookup_that_fails_takes_nothing_away() {
    let (fleet, _) = fleet("'http://orders:9001'");
    let kept = vec![found("10.0.0.1:0", 0, 1, None)];
    tell(&fleet, answer(kept.clone()));
    tell(&fleet, Answer { found: kept, problem: Some("SERVFAIL".into()) });
    assert_eq!(listed(&fleet).len(), 1);
    let status = fleet.status();
    assert_eq!(status[0].endpoints.len(), 1);
}

#[test]
fn a_name_with_thousands_of_addresses_is_bounded() {
    let (fleet, _) = fleet("'http://orders:9001'");
    let many = (0..5_000u32).map(|n| {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + n);
        found(&format!("{address}:0"), 0, 1, None)
    });
    tell(&fleet, answer(many.collect()));
    assert_eq!(listed(&fleet).len(), MEMBERS_MAX);
}
