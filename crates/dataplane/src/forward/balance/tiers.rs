//! Tiers with failover, and panic.
//!
//! A tier takes all the traffic that reaches it while its healthy share times 1.4 (the
//! overprovisioning) is at least one: up to two of seven endpoints may be out before any of it goes
//! to the next tier, and then only what is missing. Where all tiers together can't take the whole,
//! what they can take is scaled up to it, and health is not believed in tiers with too few healthy
//! endpoints: the little that is left would only be run over.

use super::Candidate;

/// All the traffic.
pub(super) const WHOLE: u64 = 10_000;

/// How much more than its share each healthy endpoint is trusted to take, in percent.
const OVERPROVISIONING: u64 = 140;

/// A tier that gets traffic.
#[derive(Debug)]
pub(super) struct Tier {
    /// The sum of the shares up to and with this tier, of [`WHOLE`].
    pub up_to: u64,
    /// Everyone in it with a weight, by place.
    pub all: Vec<usize>,
    /// Those who get traffic, by place.
    pub members: Vec<usize>,
    /// Whether health is not believed here.
    pub panics: bool,
}

/// The tiers that get traffic, lowest first; none where nobody can take any.
pub(super) fn tiers(candidates: &[Candidate], panic_threshold: u8) -> Vec<Tier> {
    let mut tiers = by_number(candidates);
    let capacity = |tier: &Tier| {
        let healthy = tier.members.len() as u64;
        (healthy * WHOLE * OVERPROVISIONING / 100 / (tier.all.len() as u64).max(1)).min(WHOLE)
    };
    let total: u64 = tiers.iter().map(capacity).sum();
    let short = total < WHOLE;
    let mut left = WHOLE;
    for (at, tier) in tiers.iter_mut().enumerate() {
        let share = match total {
            0 if at == 0 => WHOLE,
            0 => 0,
            total if short => capacity(tier) * WHOLE / total,
            _ => capacity(tier).min(left),
        };
        left = left.saturating_sub(share);
        tier.up_to = WHOLE - left;
        let enough = 100 * tier.members.len() >= usize::from(panic_threshold) * tier.all.len();
        if short && share > 0 && !enough {
            tier.members.clone_from(&tier.all);
            tier.panics = true;
        }
    }
    let mut before = 0;
    tiers.retain(|tier| {
        let gets = tier.up_to > before && !tier.members.is_empty();
        before = tier.up_to;
        gets
    });
    // What rounding left over.
    if let Some(last) = tiers.last_mut() {
        last.up_to = WHOLE;
    }
    tiers
}

fn by_number(candidates: &[Candidate]) -> Vec<Tier> {
    let weighty = || candidates.iter().enumerate().filter(|(_, c)| c.weight > 0);
    let mut numbers: Vec<u16> = weighty().map(|(_, candidate)| candidate.tier).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let places = |number: u16, usable: bool| {
        let of = weighty().filter(move |(_, c)| c.tier == number && (c.usable || !usable));
        of.map(|(place, _)| place).collect()
    };
    let tier = |number| Tier {
        up_to: 0,
        all: places(number, false),
        members: places(number, true),
        panics: false,
    };
    numbers.into_iter().map(tier).collect()
}
