//! Issuers that answer, rotate, break, stall and lie; time is the test's.

#![allow(non_snake_case, reason = "tests carry their number in the list of faults")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::Pointer;
use config::v1::UpstreamTls;
use policy::{Answer, Call, Chore, Remote, Unanswered};
use serde_json::json;

use super::{Place, Published, Times};
use crate::harness::Bench;
use crate::jose::{Algorithm, SigningKey, jwks};

type Said = Result<Answer, Unanswered>;

/// Says what the test has it say, by URL; says nothing to what is not there.
#[derive(Debug, Default)]
struct Script {
    says: Mutex<Vec<(String, Said)>>,
    calls: AtomicUsize,
}

impl Script {
    fn say(&self, url: &str, said: Said) {
        let mut says = self.says.lock().unwrap();
        says.retain(|(known, _)| known != url);
        says.push((url.to_owned(), said));
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Remote for Script {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Said> + Send>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let says = self.says.lock().unwrap();
        match says.iter().find(|(url, _)| *url == call.url) {
            Some((_, said)) => Box::pin(std::future::ready(said.clone())),
            None => Box::pin(std::future::pending()),
        }
    }
}

fn answer(status: u16, body: impl ToString) -> Said {
    let body = body.to_string().into();
    Ok(Answer { status, body, ..Answer::default() })
}

fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

const KEYS: &str = "https://idp.example/keys";
const NOW: Duration = Duration::from_secs(1_790_000_000);

fn published(script: &Arc<Script>, place: Place) -> (Published, Bench) {
    let mut bench = Bench::default();
    bench.world.remote = script.clone();
    let times = Times { refresh: Duration::from_secs(300), most: Duration::from_secs(3600) };
    let made = bench.with(|cx| {
        let tls = (&UpstreamTls::default(), &Pointer::root());
        Published::new(place, Algorithm::ASYMMETRIC, times, tls, cx).unwrap()
    });
    (made, bench)
}

fn set() -> (String, String) {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    (jwks([&key]).to_string(), key.kid().to_owned())
}

fn kid(published: &Published, now: Duration) -> Option<String> {
    let held = published.held(now)?;
    held.keys.keys()[0].kid().map(str::to_owned)
}

#[test]
fn keys_are_found_by_the_metadata_of_the_issuer_and_no_other() {
    let script = Arc::new(Script::default());
    let issuer = "https://idp.example/realm/";
    let place = Place::Issuer(issuer.to_owned());
    let metadata = "https://idp.example/realm/.well-known/openid-configuration";
    assert_eq!(place.url(), metadata);
    let (keys, id) = set();
    script.say(KEYS, answer(200, keys));
    let (published, _bench) = published(&script, place);
    let ask = || {
        poll(published.ask_for_any(NOW + Duration::from_secs(script.calls() as u64 * 10)).unwrap())
    };
    for (bad, why) in [
        (json!({ "issuer": "https://idp.example/realm", "jwks_uri": KEYS }), "another one"),
        (json!({ "jwks_uri": KEYS }), "another one"),
        (json!({ "issuer": issuer }), "no `jwks_uri`"),
        (json!({ "issuer": issuer, "jwks_uri": "http://idp.example/keys" }), "not https"),
        (json!({ "issuer": issuer, "jwks_uri": "file:///etc/passwd" }), "not https"),
        (json!([]), "no JSON object"),
    ] {
        script.say(metadata, answer(200, bad));
        let said = ask().unwrap().unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    script.say(metadata, answer(200, json!({ "issuer": issuer, "jwks_uri": KEYS })));
    assert_eq!(ask(), Some(Ok(())));
    assert_eq!(kid(&published, NOW), Some(id));
}

/// Whatever an issuer does, its last good keys are used for an hour, and none after that. Seen to
/// fail: with the age left unlooked at, keys were used after that; with the last good ones given up
/// at a failure, they were gone at once.
#[test]
fn fa_E11_keys_of_an_issuer_that_is_ill_are_used_for_an_hour_and_not_longer() {
    let script = Arc::new(Script::default());
    let (keys, id) = set();
    script.say(KEYS, answer(200, &keys));
    let (published, _bench) = published(&script, Place::Keys(KEYS.to_owned()));
    assert!(published.held(NOW).is_none());
    assert_eq!(poll(published.ask_for_any(NOW).unwrap()), Some(Ok(())));
    let found = Answer {
        status: 302,
        headers: vec![("location".into(), KEYS.into())],
        ..Answer::default()
    };
    for (number, ill) in [
        Err(Unanswered::Unreachable("refused".into())),
        Err(Unanswered::Late),
        Err(Unanswered::TooLong),
        answer(500, &keys),
        Ok(found),
        answer(200, "<html>"),
        answer(200, r#"{"keys":[]}"#),
        answer(200, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#),
        answer(200, ""),
    ]
    .into_iter()
    .enumerate()
    {
        script.say(KEYS, ill);
        let later = NOW + Duration::from_secs(60 * (number as u64 + 1));
        let asked = poll(published.ask_for_unknown(later).unwrap()).unwrap();
        assert!(asked.is_err(), "{number}");
        assert_eq!(kid(&published, later).as_ref(), Some(&id), "{number}");
    }
    assert!(published.held(NOW + Duration::from_secs(3600)).is_some());
    assert!(published.held(NOW + Duration::from_secs(3601)).is_none());
    // A failure is not asked about again at once, and its reason is told.
    let late = NOW + Duration::from_secs(86_400);
    assert!(poll(published.ask_for_any(late).unwrap()).unwrap().is_err());
    let why = published.ask_for_any(late + Duration::from_secs(4)).err().unwrap();
    assert!(why.contains("it is no JSON object"), "{why}");
    assert!(published.ask_for_any(late + Duration::from_secs(5)).is_ok());
}

/// Ten thousand made-up key ids bring one question every 30 s.
/// Seen to fail: without the look at the last question there were 10,000.
#[test]
fn fa_E05_made_up_keys_bring_one_question_in_half_a_minute() {
    let script = Arc::new(Script::default());
    script.say(KEYS, answer(200, set().0));
    let (published, _bench) = published(&script, Place::Keys(KEYS.to_owned()));
    for number in 0..10_000 {
        let now = NOW + Duration::from_millis(number);
        published.ask_for_unknown(now).map(poll);
    }
    assert_eq!(script.calls(), 1);
    published.ask_for_unknown(NOW + Duration::from_millis(29_999)).map(poll);
    assert_eq!(script.calls(), 1);
    published.ask_for_unknown(NOW + Duration::from_millis(30_000)).map(poll);
    assert_eq!(script.calls(), 2);
    // Set back by an hour, a clock does not silence it for an hour.
    published.ask_for_unknown(NOW - Duration::from_secs(3600)).map(poll);
    assert_eq!(script.calls(), 3);
}

#[test]
fn many_wait_for_one_question_and_it_ends_with_the_last_of_them() {
    let script = Arc::new(Script::default());
    let (published, _bench) = published(&script, Place::Keys(KEYS.to_owned()));
    {
        let mut waiting: Vec<_> =
            (0..100).map(|_| Box::pin(published.ask_for_any(NOW).unwrap())).collect();
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.iter_mut().all(|one| one.as_mut().poll(&mut context).is_pending()));
        assert_eq!(script.calls(), 1);
    }
    script.say(KEYS, answer(200, set().0));
    assert_eq!(
        poll(published.ask_for_any(NOW).unwrap()),
        Some(Ok(())),
        "nobody waits for the first"
    );
    assert_eq!(script.calls(), 2);
}

#[test]
fn what_uses_one_place_in_one_way_has_the_same_keys() {
    let script = Arc::new(Script::default());
    script.say(KEYS, answer(200, set().0));
    let (first, mut bench) = published(&script, Place::Keys(KEYS.to_owned()));
    let times = first.times();
    let place = Place::Keys(KEYS.to_owned());
    let tls = UpstreamTls::default();
    let mut again = |allowed: &[Algorithm], tls: &UpstreamTls| {
        bench.with(|cx| {
            Published::new(place.clone(), allowed, times, (tls, &Pointer::root()), cx).unwrap()
        })
    };
    let same = again(Algorithm::ASYMMETRIC, &tls);
    let narrow = again(&[Algorithm::EdDSA], &tls);
    let other = again(Algorithm::ASYMMETRIC, &UpstreamTls { verify: false, ..tls.clone() });
    assert_eq!(poll(first.ask_for_any(NOW).unwrap()), Some(Ok(())));
    assert!(same.held(NOW).is_some());
    assert!(narrow.held(NOW).is_none() && other.held(NOW).is_none());
    assert_eq!((first.generation(), same.generation()), (1, 1));
    // The same keys again are no new ones; others are.
    let later = NOW + Duration::from_secs(60);
    published_again(&script, &first, later, None);
    assert_eq!(first.generation(), 1);
    published_again(&script, &first, later * 2, Some(set().0));
    assert_eq!(first.generation(), 2);
}

fn published_again(script: &Script, keys: &Published, now: Duration, set: Option<String>) {
    if let Some(set) = set {
        script.say(KEYS, answer(200, set));
    }
    assert_eq!(keys.ask_for_unknown(now).and_then(poll), Some(Ok(())));
}

#[test]
fn keys_are_fetched_beside_the_requests_before_they_are_old() {
    let script = Arc::new(Script::default());
    let (published, _bench) = published(&script, Place::Keys(KEYS.to_owned()));
    script.say(KEYS, Err(Unanswered::Late));
    let soon = poll(published.run()).unwrap();
    assert!(soon < Duration::from_secs(10), "{soon:?}");
    script.say(KEYS, answer(200, set().0));
    let next = poll(published.run()).unwrap();
    assert!(next < Duration::from_secs(300) && next > Duration::from_secs(200), "{next:?}");
    let calls = script.calls();
    let left = poll(published.run()).unwrap();
    assert_eq!(script.calls(), calls, "they are fresh");
    assert!(left <= Duration::from_secs(300));
}
