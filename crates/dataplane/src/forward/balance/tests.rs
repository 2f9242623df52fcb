//! How picks spread, over many of them, with seeded randomness.

use std::cell::RefCell;
use std::collections::HashMap;

use fastrand::Rng;
use policy::message::Name;
use proptest::prelude::{Strategy, any, prop, prop_assert, proptest};

use super::*;

const ROUND_ROBIN: Balance = Balance::By(BalanceBy::RoundRobin);
const LEAST_REQUESTS: Balance = Balance::By(BalanceBy::LeastRequests);

fn hashed() -> Balance {
    Balance::HashHeader(Name::new("x-tenant").unwrap())
}

/// Candidates by weight, tier and whether they are usable.
fn candidates(of: &[(u32, u16, bool)]) -> Vec<Candidate> {
    let candidate = |(at, (weight, tier, usable)): (usize, &(u32, u16, bool))| Candidate {
        id: hash(format!("http://10.0.0.{at}:80").as_bytes()),
        weight: *weight,
        ramp: 100,
        tier: *tier,
        usable: *usable,
    };
    of.iter().enumerate().map(candidate).collect()
}

fn balancer(balance: &Balance, candidates: &[Candidate], threshold: u8) -> Balancer {
    Balancer::new(balance, candidates, threshold, None, &mut Rng::with_seed(1))
}

/// Picks of each candidate, out of so many.
fn picks(balancer: &mut Balancer, candidates: usize, of: u64) -> Vec<u64> {
    let mut rng = Rng::with_seed(2);
    let mut counts = vec![0; candidates];
    for number in 0..of {
        let hash = Some(hash(&number.to_le_bytes()));
        if let Some(at) = balancer.pick(hash, &mut rng, |_| false, |_, _| 1.0) {
            counts[at] += 1;
        }
    }
    counts
}

#[test]
fn shares_are_kept_by_every_way_of_choosing() {
    for (balance, tolerance) in [(&ROUND_ROBIN, 0.01), (&LEAST_REQUESTS, 0.05), (&hashed(), 0.25)] {
        for weights in [&[1, 1, 1][..], &[1, 2, 3], &[5, 1, 1, 1], &[7], &[0, 1, 1]] {
            let of: Vec<_> = weights.iter().map(|weight| (*weight, 0, true)).collect();
            let candidates = candidates(&of);
            let counts = picks(&mut balancer(balance, &candidates, 50), weights.len(), 20_000);
            let sum: u32 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(weights) {
                let expected = 20_000.0 * f64::from(*weight) / f64::from(sum);
                let off = (*count as f64 - expected).abs();
                assert!(off <= expected * tolerance, "{balance:?} {weights:?}: {counts:?}");
            }
        }
    }
}

#[test]
fn round_robin_is_exact_and_smooth() {
    let candidates = candidates(&[(5, 0, true), (1, 0, true), (1, 0, true)]);
    let mut balancer = balancer(&ROUND_ROBIN, &candidates, 50);
    let mut rng = Rng::with_seed(1);
    let turns: Vec<usize> =
        (0..700).map(|_| balancer.pick(None, &mut rng, |_| false, |_, _| 1.0).unwrap()).collect();
    for window in turns.windows(7) {
        let heavy = window.iter().filter(|at| **at == 0).count();
        assert!((4..=6).contains(&heavy), "any 7 in a row have 5 of the heavy one: {window:?}");
    }
    assert_eq!(turns.iter().filter(|at| **at == 0).count(), 500);
}

#[test]
fn of_two_drawn_the_less_busy_is_picked() {
    let candidates = candidates(&[(1, 0, true); 4]);
    let mut balancer = balancer(&LEAST_REQUESTS, &candidates, 50);
    let mut rng = Rng::with_seed(3);
    let busy = RefCell::new([0.0; 4]);
    // Requests that never end pile up evenly; one endpoint is already far behind.
    busy.borrow_mut()[0] = 500.0;
    for _ in 0..900 {
        let at = balancer.pick(None, &mut rng, |_| false, |at, _| busy.borrow()[at]).unwrap();
        busy.borrow_mut()[at] += 1.0;
    }
    let busy = busy.into_inner();
    assert_eq!(busy[0], 500.0, "the busy one gets none");
    assert!(busy[1..].iter().all(|busy| (290.0..310.0).contains(busy)), "{busy:?}");
}

#[test]
fn load_is_measured_against_the_share() {
    let candidates = candidates(&[(1, 0, true), (3, 0, true)]);
    let mut balancer = balancer(&LEAST_REQUESTS, &candidates, 50);
    let mut rng = Rng::with_seed(1);
    let mut busy = [0.0; 2];
    for _ in 0..4_000 {
        let load = |at: usize, share: f64| busy[at] / share;
        let at = balancer.pick(None, &mut rng, |_| false, load).unwrap();
        busy[at] += 1.0;
    }
    assert!((980.0..1_020.0).contains(&busy[0]), "a quarter each of the shares: {busy:?}");
}

#[test]
fn those_to_avoid_are_avoided_while_there_is_another() {
    for balance in [&ROUND_ROBIN, &LEAST_REQUESTS, &hashed()] {
        let candidates = candidates(&[(1, 0, true), (1, 0, true), (9, 0, true)]);
        let mut balancer = balancer(balance, &candidates, 50);
        let mut rng = Rng::with_seed(1);
        for number in 0..200 {
            let mut pick = |avoided: &dyn Fn(usize) -> bool| {
                balancer.pick(Some(number), &mut rng, avoided, |_, _| 1.0)
            };
            assert_ne!(pick(&|at| at == 2), Some(2), "{balance:?}");
            assert_eq!(pick(&|at| at != 1), Some(1), "{balance:?}");
            assert!(pick(&|_| true).is_some(), "{balance:?}: better one that failed than none");
        }
    }
}

#[test]
fn an_endpoint_of_another_tier_is_used_where_all_of_the_first_are_to_be_avoided() {
    let candidates = candidates(&[(1, 0, true), (1, 1, true)]);
    let mut balancer = balancer(&ROUND_ROBIN, &candidates, 50);
    // The second tier gets no traffic while the first is whole: there is nobody else.
    let at = balancer.pick(None, &mut Rng::with_seed(1), |at| at == 0, |_, _| 1.0);
    assert_eq!(at, Some(0));
}

#[test]
fn tiers_spill_over_as_they_lose_endpoints() {
    const UP: bool = true;
    const OUT: bool = false;
    // Each tier's endpoints, and the share of the picks each tier gets.
    type Case = (&'static [bool], &'static [bool], (u64, u64));
    let cases: &[Case] = &[
        (&[UP, UP, UP, UP], &[UP, UP], (100, 0)),
        (&[UP, UP, UP, OUT], &[UP, UP], (100, 0)),
        (&[UP, UP, OUT, OUT], &[UP, UP], (70, 30)),
        (&[UP, OUT, OUT, OUT], &[UP, UP], (35, 65)),
        (&[OUT, OUT, OUT, OUT], &[UP, UP], (0, 100)),
        (&[UP, OUT, OUT, OUT], &[UP, OUT], (33, 67)),
        (&[OUT, OUT, OUT, OUT], &[OUT, OUT], (100, 0)),
    ];
    for (first, second, expected) in cases {
        let tier = |up: &[bool], tier| up.iter().map(move |up| (1, tier, *up)).collect::<Vec<_>>();
        let candidates = candidates(&[tier(first, 0), tier(second, 1)].concat());
        let counts = picks(&mut balancer(&ROUND_ROBIN, &candidates, 50), candidates.len(), 20_000);
        let sums = counts.split_at(first.len());
        let share = |counts: &[u64]| (counts.iter().sum::<u64>() + 100) / 200;
        let shares = (share(sums.0), share(sums.1));
        let off = shares.0.abs_diff(expected.0);
        assert!(off <= 2, "{first:?} {second:?}: {shares:?}, not {expected:?}");
        if *expected != (100, 0) || first.contains(&UP) {
            let out = candidates.iter().zip(&counts).filter(|(c, _)| !c.usable);
            let enough = 2 * first.iter().filter(|up| **up).count() >= first.len();
            assert!(!enough || out.clone().all(|(_, count)| *count == 0), "{counts:?}");
        }
    }
}

#[test]
fn health_is_not_believed_below_the_threshold() {
    for (healthy, threshold, panics, used) in [
        (3, 50, false, 3),
        (2, 50, false, 2),
        (1, 50, true, 4),
        (0, 50, true, 4),
        (1, 0, false, 1),
        (0, 0, false, 0),
        // Three of four still take all there is to take.
        (3, 100, false, 3),
        (2, 100, true, 4),
    ] {
        let of: Vec<_> = (0..4).map(|at| (1, 0, at < healthy)).collect();
        let candidates = candidates(&of);
        let panics_now = super::panics(&candidates, threshold);
        let mut balancer = balancer(&ROUND_ROBIN, &candidates, threshold);
        let used_now = picks(&mut balancer, 4, 400).iter().filter(|count| **count > 0).count();
        assert_eq!((panics_now, used_now), (panics, used), "{healthy} of 4, {threshold} %");
    }
}

#[test]
fn who_has_no_weight_gets_nothing_even_in_panic() {
    let candidates = candidates(&[(0, 0, true), (1, 0, false), (1, 0, false)]);
    let counts = picks(&mut balancer(&ROUND_ROBIN, &candidates, 50), 3, 100);
    assert_eq!(counts[0], 0);
    assert_eq!(counts.iter().sum::<u64>(), 100);
}

#[test]
fn a_slow_start_takes_part_of_the_share() {
    let mut candidates = candidates(&[(1, 0, true), (1, 0, true)]);
    candidates[1].ramp = 10;
    for balance in [&ROUND_ROBIN, &LEAST_REQUESTS] {
        let mut balancer = balancer(balance, &candidates, 50);
        let mut rng = Rng::with_seed(1);
        // Under two drawn by share, the load decides; each carries what its share lets it.
        let mut busy = [0.0; 2];
        for _ in 0..11_000 {
            let at =
                balancer.pick(None, &mut rng, |_| false, |at, share| busy[at] / share).unwrap();
            busy[at] += 1.0;
        }
        assert!((900.0..1_100.0).contains(&busy[1]), "{balance:?}: {busy:?}");
    }
}

fn owners(balancer: &mut Balancer, keys: u64) -> HashMap<u64, usize> {
    let mut rng = Rng::with_seed(1);
    let owner = |key: u64| {
        let hash = Some(hash(&key.to_le_bytes()));
        (key, balancer.pick(hash, &mut rng, |_| false, |_, _| 1.0).unwrap())
    };
    (0..keys).map(owner).collect()
}

#[test]
fn keys_stay_where_they_are_but_for_those_of_who_came_or_went() {
    let ten = candidates(&[(1, 0, true); 10]);
    let before = owners(&mut balancer(&hashed(), &ten, 50), 10_000);
    let moved = |now: &HashMap<u64, usize>| before.iter().filter(|(k, at)| now[k] != **at).count();

    let mut one_out = ten.clone();
    one_out[3].usable = false;
    let now = owners(&mut balancer(&hashed(), &one_out, 50), 10_000);
    let of_the_one = before.values().filter(|at| **at == 3).count();
    assert_eq!(moved(&now), of_the_one, "a flap moves the keys of the one that flaps, no others");
    assert_eq!(moved(&owners(&mut balancer(&hashed(), &ten, 50), 10_000)), 0, "and back");

    let eleven = candidates(&[(1, 0, true); 11]);
    let now = owners(&mut balancer(&hashed(), &eleven, 50), 10_000);
    assert!(moved(&now) <= 1_500, "{} of 10000 moved", moved(&now));
    assert!(now.iter().all(|(key, at)| before[key] == *at || *at == 10), "to the new one only");
}

#[test]
fn a_ring_is_kept_while_its_members_stay() {
    let mut ten = candidates(&[(1, 0, true); 10]);
    let before = balancer(&hashed(), &ten, 50);
    ten[3].usable = false;
    let after = Balancer::new(&hashed(), &ten, 50, Some(&before), &mut Rng::with_seed(1));
    let ring = |balancer: &Balancer| match &balancer.tiers[0].1 {
        Chooser::Ring(ring, _) => ring.clone(),
        _ => panic!("not a ring"),
    };
    assert!(Rc::ptr_eq(&ring(&before), &ring(&after)));
}

fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (0..5u32, 0..3u16, any::<bool>(), 10..=100u32);
    prop::collection::vec(one, 0..20).prop_map(|of| {
        let plain: Vec<_> =
            of.iter().map(|(weight, tier, usable, _)| (*weight, *tier, *usable)).collect();
        let mut all = candidates(&plain);
        for (candidate, (.., ramp)) in all.iter_mut().zip(&of) {
            candidate.ramp = *ramp;
        }
        all
    })
}

proptest! {
    #[test]
    fn a_pick_has_weight_and_is_usable_unless_there_is_panic(
        candidates in any_candidates(),
        threshold in 0..=100u8,
        seed in any::<u64>(),
    ) {
        for balance in [&ROUND_ROBIN, &LEAST_REQUESTS, &hashed()] {
            let mut rng = Rng::with_seed(seed);
            let mut balancer = Balancer::new(balance, &candidates, threshold, None, &mut rng);
            let panics = panics(&candidates, threshold);
            for _ in 0..50 {
                match balancer.pick(Some(rng.u64(..)), &mut rng.clone(), |_| false, |_, _| 1.0) {
                    Some(at) => {
                        prop_assert!(candidates[at].weight > 0);
                        prop_assert!(candidates[at].usable || panics);
                    }
                    None => prop_assert!(
                        candidates.iter().all(|c| c.weight == 0 || !c.usable),
                        "somebody could have been picked"
                    ),
                }
            }
        }
    }
}
