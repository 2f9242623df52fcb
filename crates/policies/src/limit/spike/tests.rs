use std::future::Future;
use std::pin::Pin;
use std::task::Waker;
use std::time::Duration;

use base::Clock;
use serde_json::json;

use super::*;
use crate::harness::{Bench, Hands, exchange};

fn timed(clock: &Clock) -> Exchange {
    let mut exchange = exchange();
    exchange.timers = Some(Rc::new(Hands(clock.clone())));
    exchange
}

fn waits<'a>(step: Step<'a>) -> Pin<Box<dyn Future<Output = Flow> + 'a>> {
    match step {
        Step::Wait(flow) => flow,
        Step::Done(flow) => panic!("{flow:?}"),
    }
}

fn is_ready(flow: &mut Pin<Box<dyn Future<Output = Flow> + '_>>) -> bool {
    flow.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn one_that_leaves_frees_its_turn_for_the_next() {
    let clock = Clock::fixed(Duration::ZERO);
    let settings = json!({ "limit": 1, "window": "100ms" });
    let policy = Bench::default().compile(&KIND, &settings).unwrap();
    let (mut first, mut second, mut third) = (timed(&clock), timed(&clock), timed(&clock));
    assert!(matches!(policy.on_request(&mut first), Step::Done(Flow::Continue)));
    let mut leaver = waits(policy.on_request(&mut second));
    let mut stayer = waits(policy.on_request(&mut third));
    assert!(!is_ready(&mut leaver) && !is_ready(&mut stayer));
    drop(leaver);
    clock.advance(Duration::from_millis(99));
    assert!(!is_ready(&mut stayer));
    clock.advance(Duration::from_millis(1));
    assert!(is_ready(&mut stayer));
    drop(stayer);
    assert_eq!(third.times.queued, Duration::from_millis(100));
}

#[test]
fn lines_outlive_a_reload_and_a_quicker_pace_counts_at_once() {
    let clock = Clock::fixed(Duration::ZERO);
    let mut bench = Bench::default();
    let slow = bench.compile(&KIND, &json!({ "limit": 1, "window": "1h", "wait": "0s" })).unwrap();
    assert!(matches!(slow.on_request(&mut timed(&clock)), Step::Done(Flow::Continue)));
    let refused = |policy: &Arc<dyn Policy>| {
        matches!(policy.on_request(&mut timed(&clock)), Step::Done(Flow::Refuse(_)))
    };
    let quick = bench.compile(&KIND, &json!({ "limit": 1, "window": "1s", "wait": "0s" })).unwrap();
    assert!(refused(&quick), "what went before counts");
    clock.advance(Duration::from_secs(1));
    assert!(!refused(&quick));
}
