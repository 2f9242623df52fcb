//! Which endpoint next. Knows numbers only: shares, tiers, who is usable, how busy each is. No
//! socket, no clock.
//!
//! A [`Balancer`] is made anew whenever one of these changes, so that picking is cheap: the tiers
//! and their shares are settled, and each tier's [`Chooser`] draws among those that may be drawn.

mod draw;
mod hash;
mod ring;
mod round_robin;
#[cfg(test)]
mod tests;
mod tiers;

use std::rc::Rc;

use config::v1::BalanceBy;
use fastrand::Rng;
use snapshot::Balance;

use draw::Draw;
pub(crate) use hash::hash;
use ring::Ring;
use round_robin::RoundRobin;

/// An endpoint as the balancer sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Stable name of the endpoint, the same in every instance; what consistent hashing is by.
    pub id: u64,
    /// Its share as written; 0 takes none.
    pub weight: u32,
    /// How much of its share it gets now, in percent: less than 100 while it starts slowly.
    pub ramp: u32,
    /// Its tier; lower ones first.
    pub tier: u16,
    /// Whether it is healthy and not ejected.
    pub usable: bool,
}

/// Whether health is not believed, because too few of `candidates` are healthy.
pub(crate) fn panics(candidates: &[Candidate], panic_threshold: u8) -> bool {
    tiers::tiers(candidates, panic_threshold).iter().any(|tier| tier.panics)
}

/// Picks among candidates, by their place in the list it was made of.
pub(crate) struct Balancer {
    tiers: Vec<(tiers::Tier, Chooser)>,
}

enum Chooser {
    RoundRobin(RoundRobin),
    /// The better of two drawn.
    Draw(Draw),
    Ring(Rc<Ring>, Vec<bool>),
}

impl Balancer {
    /// A balancer over `candidates`. What can be kept of the one `before` is: a ring is costly to
    /// build.
    pub fn new(
        balance: &Balance,
        candidates: &[Candidate],
        panic_threshold: u8,
        before: Option<&Self>,
        rng: &mut Rng,
    ) -> Self {
        let tiers = tiers::tiers(candidates, panic_threshold);
        let tiers = tiers
            .into_iter()
            .map(|tier| {
                let chooser = Chooser::new(balance, candidates, &tier, before, rng);
                (tier, chooser)
            })
            .collect();
        Self { tiers }
    }

    /// The place of the endpoint to use; none where there is none. `hash` is what consistent
    /// hashing goes by, a random number where there is none. One for which `avoided` is true is
    /// picked only where it is for all. `load` tells how busy an endpoint is for its share (the
    /// average is 1), less being better.
    pub fn pick(
        &mut self,
        hash: Option<u64>,
        rng: &mut Rng,
        avoided: impl Fn(usize) -> bool,
        load: impl Fn(usize, f64) -> f64,
    ) -> Option<usize> {
        let at = match self.tiers.as_slice() {
            [] => return None,
            [_] => 0,
            tiers => {
                let drawn = hash.map_or_else(|| rng.u64(..), hash::mix) % tiers::WHOLE;
                tiers.iter().position(|(tier, _)| drawn < tier.up_to).unwrap_or_default()
            }
        };
        let (first, chooser) = self.tiers.get_mut(at)?;
        let place = chooser.pick(first, hash, rng, &avoided, &load)?;
        if !avoided(place) {
            return Some(place);
        }
        let other = self.tiers.iter_mut().enumerate().filter(|(other, _)| *other != at).find_map(
            |(_, (tier, chooser))| {
                let place = chooser.pick(tier, hash, rng, &avoided, &load)?;
                (!avoided(place)).then_some(place)
            },
        );
        other.or(Some(place))
    }
}

impl Chooser {
    fn new(
        balance: &Balance,
        candidates: &[Candidate],
        tier: &tiers::Tier,
        before: Option<&Balancer>,
        rng: &mut Rng,
    ) -> Self {
        let share = |place: &usize| {
            candidates.get(*place).map_or(0, |c| u64::from(c.weight) * u64::from(c.ramp))
        };
        let shares = tier.members.iter().map(share);
        match balance {
            Balance::By(BalanceBy::RoundRobin) => {
                Self::RoundRobin(RoundRobin::new(shares.collect(), rng))
            }
            Balance::By(BalanceBy::LeastRequests | BalanceBy::PeakEwma) => {
                Self::Draw(Draw::new(shares))
            }
            Balance::HashHeader(_) | Balance::HashCookie(_) | Balance::HashClientAddress => {
                let points = tier.all.iter().filter_map(|place| {
                    candidates.get(*place).map(|candidate| (candidate.id, candidate.weight))
                });
                let usable = tier
                    .all
                    .iter()
                    .map(|place| tier.members.binary_search(place).is_ok())
                    .collect();
                let known = points.collect::<Vec<_>>();
                let kept = before.and_then(|before| before.ring(&known));
                Self::Ring(kept.unwrap_or_else(|| Rc::new(Ring::new(known))), usable)
            }
        }
    }

    fn pick(
        &mut self,
        tier: &tiers::Tier,
        hash: Option<u64>,
        rng: &mut Rng,
        avoided: &impl Fn(usize) -> bool,
        load: &impl Fn(usize, f64) -> f64,
    ) -> Option<usize> {
        let member = |at: usize| tier.members.get(at).copied();
        match self {
            Self::RoundRobin(turns) => {
                let first = member(turns.next()?)?;
                if !avoided(first) {
                    return Some(first);
                }
                let others = (1..tier.members.len()).filter_map(|_| member(turns.next()?));
                others.into_iter().find(|place| !avoided(*place)).or_else(|| {
                    tier.members.iter().copied().find(|place| !avoided(*place)).or(Some(first))
                })
            }
            Self::Draw(draw) => {
                let load_of = |at: usize, share| member(at).map_or(f64::MAX, |at| load(at, share));
                let best = member(draw.pick(rng, load_of)?)?;
                if !avoided(best) {
                    return Some(best);
                }
                let rest = tier.members.iter().copied().filter(|place| !avoided(*place));
                rest.min_by(|a, b| load(*a, 1.0).total_cmp(&load(*b, 1.0))).or(Some(best))
            }
            Self::Ring(ring, usable) => {
                let usable = |at: usize| usable.get(at).copied().unwrap_or_default();
                let place = |at: usize| tier.all.get(at).copied();
                let hash = hash.unwrap_or_else(|| rng.u64(..));
                let free = |at: usize| usable(at) && place(at).is_some_and(|at| !avoided(at));
                place(ring.find(hash, free).or_else(|| ring.find(hash, usable))?)
            }
        }
    }
}

impl Balancer {
    fn ring(&self, points: &[(u64, u32)]) -> Option<Rc<Ring>> {
        self.tiers.iter().find_map(|(_, chooser)| match chooser {
            Chooser::Ring(ring, _) if ring.is_of(points) => Some(ring.clone()),
            _ => None,
        })
    }
}
