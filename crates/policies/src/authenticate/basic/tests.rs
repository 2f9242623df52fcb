//! What the policy does with what strangers send.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use policy::Flow;
use serde_json::json;

use super::*;
use crate::harness::{Bench, exchange};

const HASH: &str = "$2b$04$DfWKlDnNxfexwK8uF/Xkve9IkGgCgqeM1EnOVMAXzxFztpaWLYdM2";

/// What the policy says to this value of `Authorization`, and whether it had to think about it.
fn judged(policy: &Arc<dyn Policy>, value: &[u8]) -> (u16, bool) {
    let mut exchange = exchange();
    exchange.request.headers.append_known(Known::Authorization, value);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (flow, waited) = match policy.on_request(&mut exchange) {
        Step::Done(flow) => (flow, false),
        Step::Wait(flow) => (runtime.block_on(flow), true),
    };
    match flow {
        Flow::Refuse(refusal) => {
            assert!(exchange.caller.is_none());
            (refusal.code.status, waited)
        }
        _ => (exchange.caller.map_or(0, |_| 200), waited),
    }
}

fn basic(text: impl AsRef<[u8]>) -> Vec<u8> {
    format!("Basic {}", BASE64_STANDARD.encode(text)).into_bytes()
}

/// No colon, a NUL, no UTF-8, 8 KiB: refused with 401, and nothing is hashed. Seen to fail: with
/// the parser's checks taken out, the name without a colon and the one with a NUL came through to
/// the hashing.
#[test]
fn fa_E16_what_no_client_means_is_refused_without_hashing() {
    let settings = json!({ "users": [{ "name": "anna", "hash": HASH }] });
    let policy = Bench::default().compile(&KIND, &settings).unwrap();
    for value in [
        basic("anna"),
        basic("anna:secret\0"),
        basic(b"anna:\xff"),
        basic(format!("anna:{}", "s".repeat(8 << 10))),
        b"Basic !!!".to_vec(),
        b"Basic ".to_vec(),
    ] {
        assert_eq!(judged(&policy, &value), (401, false), "{}", value.escape_ascii());
    }
    assert_eq!(judged(&policy, &basic("anna:secret")), (200, true));
}

/// A right password is hashed once for a while, and a name nobody has costs what others do. Seen to
/// fail: without the memory every request was hashed anew; without the look at unknown
/// names those were refused at once, which tells names from others.
#[test]
fn fa_E16_a_right_password_is_hashed_once_and_an_unknown_name_costs_the_same() {
    let settings = json!({ "users": [{ "name": "anna", "hash": HASH }] });
    let policy = Bench::default().compile(&KIND, &settings).unwrap();
    assert_eq!(judged(&policy, &basic("anna:secret")), (200, true));
    assert_eq!(judged(&policy, &basic("anna:secret")), (200, false));
    assert_eq!(judged(&policy, &basic("anna:wrong")), (401, true));
    assert_eq!(judged(&policy, &basic("bert:secret")), (401, true));
    // The one whose hash was borrowed for it.
    assert_eq!(judged(&policy, &basic("bert:secret")), (401, true));
}

#[test]
fn users_come_from_files_too_and_a_new_hash_counts_at_once() {
    let mut bench = Bench::default();
    bench.world.files.insert("users".into(), format!("anna:{HASH}\n").into_bytes());
    let policy = bench.compile(&KIND, &json!({ "files": ["users"] })).unwrap();
    assert_eq!(judged(&policy, &basic("anna:secret")), (200, true));
    let changed = "$2y$05$EWt02iVCc66gjEhVlsoJ8OJ.tLK8oDZxxJ1ZNbBPYlsIB2JDmwknq";
    let changed = format!("anna:{changed}\n").replace("Mknq", "Mknr");
    bench.world.files.insert("users".into(), changed.into_bytes());
    let policy = bench.compile(&KIND, &json!({ "files": ["users"] })).unwrap();
    assert!(judged(&policy, &basic("anna:secret")).1, "the old hash is remembered no more");
    bench.world.files.insert("users".into(), b"# nobody\n".to_vec());
    assert!(bench.compile(&KIND, &json!({ "files": ["users"] })).is_err());
}

#[test]
fn no_hash_is_shown() {
    let settings: Settings =
        serde_json::from_value(json!({ "users": [{ "name": "anna", "hash": HASH }] })).unwrap();
    assert!(!format!("{settings:?}").contains("DfWK"));
    let policy =
        Bench::default().compile(&KIND, &json!({ "users": [{ "name": "a", "hash": HASH }] }));
    assert!(!format!("{:?}", policy.unwrap()).contains("DfWK"));
}
