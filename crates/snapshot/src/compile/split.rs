//! One upstream, or several by weight.

use base::{Pointer, Problem};
use config::v1;

use super::Findings;
use crate::{Part, Split};

/// The upstreams with a share above zero, each with the sum of the shares up to and with its own.
/// `resolve` finds an upstream's number.
pub(super) fn shares(
    to: &v1::UpstreamRef,
    at: &Pointer,
    findings: &mut Findings,
    mut resolve: impl FnMut(&str, &Pointer, &mut Findings) -> Option<usize>,
) -> Vec<(usize, u64)> {
    let written = match to {
        v1::UpstreamRef::One(name) => {
            return resolve(name, at, findings).map(|number| (number, 1)).into_iter().collect();
        }
        v1::UpstreamRef::Split(written) => written,
    };
    let mut shares = Vec::with_capacity(written.len());
    let mut up_to = 0;
    for (number, share) in written.iter().enumerate() {
        let at = at.index(number).key("to");
        let Some(upstream) = resolve(&share.to, &at, findings) else { continue };
        if share.weight > 0 {
            up_to += u64::from(share.weight);
            shares.push((upstream, up_to));
        }
    }
    if written.iter().all(|share| share.weight == 0) {
        let problem = Problem::new(at, "none of these upstreams has a share above 0");
        findings.problem(problem.hint("give at least one of them a `weight` of 1 or more"));
    }
    shares
}

/// The split of these parts; none of none.
pub(super) fn of(parts: impl Iterator<Item = Part>) -> Option<Split> {
    let mut parts = parts;
    Some(Split { first: parts.next()?, others: parts.collect() })
}
