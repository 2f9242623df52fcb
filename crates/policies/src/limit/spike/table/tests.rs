use std::sync::atomic::AtomicU32;
use std::task::Wake;

use proptest::prelude::*;

use super::*;
use crate::limit::keyed::SHARDS;

/// A step of a test's time.
const STEP: u64 = 1_000_000;

fn limits(interval: u64, burst: u64, wait: u64, queue: usize, all: usize) -> Limits {
    let pace = Pace::new(1, interval * STEP, burst).unwrap();
    Limits { pace, wait: wait * STEP, queue, all, keys: 1000 }
}

fn waits(arrival: Arrival) -> Place {
    match arrival {
        Arrival::Waits(place) => place,
        other => panic!("{other:?}"),
    }
}

/// A key as a bucket of tokens that is filled step by step, and a list.
struct Model {
    tokens: u64,
    waiting: Vec<(usize, u64, Place)>,
}

impl Model {
    /// Those who go, by the model; each must go, and nobody else.
    fn go(&mut self, now: u64, one: u64) -> Result<(), TestCaseError> {
        while self.tokens >= one && !self.waiting.is_empty() {
            self.tokens -= one;
            let (_, latest, place) = self.waiting.remove(0);
            prop_assert_eq!(place.turn(now * STEP, Waker::noop()), Turn::Goes);
            prop_assert!(now <= latest, "it waited until {}, not {}", now, latest);
        }
        for (number, (_, _, place)) in self.waiting.iter().enumerate() {
            let turn = place.turn(now * STEP, Waker::noop());
            let opens = (now + one - self.tokens) * STEP;
            let expected = if number == 0 { Turn::At(opens) } else { Turn::Behind };
            prop_assert_eq!(turn, expected);
        }
        Ok(())
    }
}

proptest! {
    /// Whoever comes and leaves, each key is a bucket of tokens with a list of its own: nobody goes
    /// early, late or out of turn, and nobody waits longer than is allowed.
    #[test]
    fn it_does_as_buckets_and_lists_do(
        (interval, burst, wait, queue) in (1_u64..6, 1_u64..4, 0_u64..20, 1_usize..6),
        moves in prop::collection::vec((0_usize..3, 0_usize..8, 0_u64..4), 1..200),
    ) {
        let table = Arc::new(Table::default());
        let limits = limits(interval, burst, wait, queue, 12);
        let full = interval * burst;
        let mut models: Vec<Model> =
            (0..3).map(|_| Model { tokens: full, waiting: Vec::new() }).collect();
        let mut now = 100;
        for (number, (key, leaves, pass)) in moves.into_iter().enumerate() {
            let all: usize = models.iter().map(|model| model.waiting.len()).sum();
            prop_assert_eq!(table.waiting.load(Ordering::Acquire), all);
            let model = &mut models[key];
            let before = model.waiting.len();
            if leaves < before {
                drop(model.waiting.remove(leaves));
            } else {
                let lacks = (interval * (before as u64 + 1)).saturating_sub(model.tokens);
                let room = before < queue && before < 12 - all;
                match table.arrive(key, &limits, now * STEP) {
                    Arrival::Goes => {
                        prop_assert!(before == 0 && lacks == 0);
                        model.tokens -= interval;
                    }
                    Arrival::Waits(place) => {
                        prop_assert!(lacks > 0 && lacks <= wait && room);
                        model.waiting.push((number, now + wait, place));
                    }
                    Arrival::TooEarly(after) => prop_assert_eq!(after, (lacks - wait) * STEP),
                    Arrival::Full(_) => prop_assert!(lacks > 0 && !room),
                }
            }
            models[key].go(now, interval)?;
            for _ in 0..pass {
                now += 1;
                for model in &mut models {
                    model.tokens = (model.tokens + 1).min(full);
                    model.go(now, interval)?;
                }
            }
        }
    }
}

#[test]
fn a_key_with_many_takes_no_more_than_half_and_no_line_delays_another() {
    let table = Arc::new(Table::default());
    let limits = limits(10, 1, 1_000_000, 1000, 100);
    let mut held: Vec<Place> = Vec::new();
    for _ in 0..1000 {
        if let Arrival::Waits(place) = table.arrive("greedy", &limits, STEP) {
            held.push(place);
        }
    }
    assert_eq!(held.len(), 50);
    for key in 0..20 {
        assert!(matches!(table.arrive(key, &limits, STEP), Arrival::Goes), "{key}");
        let place = waits(table.arrive(key, &limits, STEP));
        assert_eq!(place.turn(STEP, Waker::noop()), Turn::At(11 * STEP), "{key}");
        held.push(place);
    }
    held.clear();
    assert_eq!(table.waiting.load(Ordering::Acquire), 0);
}

#[test]
fn late_timers_do_not_slow_the_pace() {
    let table = Arc::new(Table::default());
    let limits = limits(10, 1, 1000, 100, 1000);
    let mut now = STEP;
    assert!(matches!(table.arrive("a", &limits, now), Arrival::Goes));
    let held: Vec<Place> = (0..50).map(|_| waits(table.arrive("a", &limits, now))).collect();
    for place in &held {
        let Turn::At(at) = place.turn(now, Waker::noop()) else { panic!("not the first") };
        now = at + 2 * STEP;
        assert_eq!(place.turn(now, Waker::noop()), Turn::Goes);
    }
    assert_eq!(now, (1 + 50 * 10 + 2) * STEP);
}

struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[test]
fn whoever_becomes_the_first_is_woken_and_nobody_else() {
    let table = Arc::new(Table::default());
    let limits = limits(10, 1, 1000, 100, 1000);
    assert!(matches!(table.arrive("a", &limits, STEP), Arrival::Goes));
    let counts: Vec<_> = (0..4).map(|_| Arc::new(Count(AtomicU32::new(0)))).collect();
    let mut held: Vec<Place> = counts
        .iter()
        .map(|count| {
            let place = waits(table.arrive("a", &limits, STEP));
            place.turn(STEP, &Waker::from(count.clone()));
            place
        })
        .collect();
    let woken = || -> Vec<u32> { counts.iter().map(|c| c.0.load(Ordering::Acquire)).collect() };
    drop(held.remove(1));
    assert_eq!(woken(), [0, 0, 0, 0], "the first stays the first");
    drop(held.remove(0));
    assert_eq!(woken(), [0, 0, 1, 0]);
    assert_eq!(held[0].turn(11 * STEP, Waker::noop()), Turn::Goes);
    assert_eq!(woken(), [0, 0, 1, 1]);
}

#[test]
fn a_flood_of_keys_takes_no_more_room_than_allowed_and_frees_nobody() {
    let table = Arc::new(Table::default());
    let limits = limits(1_000_000, 1, 0, 1, 100);
    for key in 0..100_000 {
        let _ = table.arrive(key, &limits, STEP);
    }
    assert!(table.lines.len() <= 1000 + 2 * SHARDS, "{}", table.lines.len());
    let again = |key: u32, now: u64| table.arrive(key, &limits, now);
    assert!(matches!(again(0, 2 * STEP), Arrival::TooEarly(_)), "it is known still");
    assert!(matches!(again(200_000, 2 * STEP), Arrival::TooEarly(_)), "it shares a line");
    let later = 2_000_000 * STEP;
    assert!(matches!(again(200_000, later), Arrival::Goes), "the others are forgotten");
    assert!(table.lines.len() <= SHARDS * 63, "{}", table.lines.len());
}
