//! Section L: what quotas keep when processes end.
#![allow(non_snake_case, reason = "cases are called by their number")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{replaced, upgrade};
use crate::harness::{Gateway, curl, signal, until};

/// Calls to `/look` cost nothing, others one.
const DOCUMENT: &str = r#"
policies:
  - id: all
    quota:
      limit: 1000000
      window: year
      by: none
      cost: 'request.path == "/look" ? 0 : 1'
apis: [ { name: a, routes: [ { respond: { body: hello } } ] } ]
"#;

/// What is used, as answers tell it.
fn used(gateway: &Gateway) -> u64 {
    let head = curl(&["-D", "-", &gateway.url("/look")]);
    let left = head.split("\"all\";r=").nth(1).and_then(|rest| rest.split(';').next());
    1_000_000 - left.and_then(|left| left.parse::<u64>().ok()).expect(&head)
}

fn calls(gateway: &Gateway, count: usize) {
    for _ in 0..count {
        assert_eq!(curl(&[&gateway.url("/")]), "hello");
    }
}

/// 20 processes are killed while they count, each followed by another: each loses at most what came
/// within the last second, and none begins anew.
///
/// Seen to fail: without what the ledger has from before (`Ledger::read`), the first count after a
/// restart is 0.
#[test]
fn fa_L06_a_quotas_across_crashes() {
    let kept = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        let copied = Command::new("cp").arg("-rT").args([from, to]).status();
        assert!(copied.unwrap().success());
    };
    let (mut sent, mut sure) = (0, 0);
    for round in 0..20 {
        let from = |dir: &Path| copy(kept.path(), &dir.join("state"));
        let mut gateway = Gateway::start_with(DOCUMENT, &["--no-supervisor"], from);
        until("what was used before is known", || used(&gateway) >= sure);
        assert!(used(&gateway) <= sent, "round {round}: more than ever came");
        calls(&gateway, 5);
        sent += 5;
        sure = used(&gateway);
        std::thread::sleep(Duration::from_secs(1));
        calls(&gateway, 3);
        sent += 3;
        gateway.signal("KILL");
        gateway.wait();
        copy(&gateway.dir().join("state"), kept.path());
    }
    assert!(sure >= 20 * 5 && sure <= sent, "{sure} of {sent}");
}

/// Through a crash under a supervisor, a reload and an upgrade, all that was used stays so; the old
/// and the new process of an upgrade add to the same count.
///
/// Seen to fail: as `fa_L06_a`.
#[test]
fn fa_L06_b_quotas_across_upgrades_and_reloads() {
    let gateway = Gateway::start(DOCUMENT);
    calls(&gateway, 10);
    let settled = || std::thread::sleep(Duration::from_secs(1));
    settled();
    let before = gateway.serving();
    signal("KILL", before);
    replaced(&gateway, before);
    until("the count is known again", || used(&gateway) == 10);
    calls(&gateway, 10);
    gateway.write(&DOCUMENT.replace("1000000", "1000000\n      grace: 1"));
    assert_eq!(gateway.reload().0, "200");
    assert_eq!(used(&gateway), 20, "a reload keeps it in memory");
    settled();
    let (code, said) = upgrade(&gateway, &[]);
    assert_eq!(code, 0, "{said}");
    until("the new process knows it", || used(&gateway) == 20);
    calls(&gateway, 10);
    assert_eq!(used(&gateway), 30);
}
