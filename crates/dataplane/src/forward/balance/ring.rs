//! Consistent hashing: a ring of points, many for each endpoint, as many as its weight says. A key
//! goes to the first point at or after its hash whose endpoint is usable. Health does not move
//! points, so an endpoint that comes back gets its own keys again, and one that is added or removed
//! moves no others.

use super::hash::mix;

/// Points of an endpoint of average weight. With 160, shares differ from the weights by less than a
/// tenth, mostly.
const POINTS: u64 = 160;

/// Points of a whole ring at most, so that memory stays bounded: 1 MiB.
const POINTS_MAX: u64 = 1 << 16;

/// A ring over members numbered from 0.
pub(super) struct Ring {
    members: Vec<(u64, u32)>,
    points: Vec<(u64, u32)>,
}

impl Ring {
    /// A ring over members with these ids and weights.
    pub fn new(members: Vec<(u64, u32)>) -> Self {
        let count = members.len() as u64;
        let weights: u64 = members.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let each = POINTS.min(POINTS_MAX / count.max(1)).max(1);
        let mut points = Vec::new();
        for (at, (id, weight)) in members.iter().enumerate() {
            let share = (each * count * u64::from(*weight) / weights.max(1)).max(1);
            points.extend((0..share).map(|n| (mix(id.wrapping_add(mix(n))), at as u32)));
        }
        points.sort_unstable();
        Self { members, points }
    }

    /// Whether it is the ring of these members.
    pub fn is_of(&self, members: &[(u64, u32)]) -> bool {
        self.members == members
    }

    /// The member a key of this hash goes to.
    pub fn find(&self, hash: u64, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let start = self.points.partition_point(|(point, _)| *point < hash);
        let (before, after) = self.points.split_at_checked(start)?;
        after.iter().chain(before).map(|(_, at)| *at as usize).find(|at| usable(*at))
    }
}
