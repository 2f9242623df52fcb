//! Ejection by live traffic: an endpoint that fails several requests in a row gets none for a
//! while. Answers that say a gateway or the service is down (502, 503, 504) and missing answers are
//! counted apart: either alone is enough, and one does not excuse the other. It comes back by time
//! alone: a health check that passes says nothing about the requests that failed.

use std::sync::atomic::Ordering::Relaxed;

use base::Instant;
use snapshot::Outlier;

use super::endpoint::Endpoint;

/// How a request to an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// With an answer.
    Answered,
    /// With 502, 503 or 504, or gRPC's UNAVAILABLE.
    GatewayFailure,
    /// Without an answer: no connection, reset, timeout, or something unreadable.
    NoAnswer,
}

/// Counts `verdict` on `endpoint`, one of `all` of its upstream. True if it was ejected for it.
pub(crate) fn judge<'e>(
    outlier: &Outlier,
    endpoint: &Endpoint,
    all: impl Iterator<Item = &'e Endpoint> + Clone,
    verdict: Verdict,
    now: Instant,
) -> bool {
    let (counter, other) = (&endpoint.gateway_failures, &endpoint.local_failures);
    let counter = match verdict {
        Verdict::Answered => {
            // Written only where it changes something: the line stays shared between cores.
            for counter in [counter, other] {
                if counter.load(Relaxed) != 0 {
                    counter.store(0, Relaxed);
                }
            }
            return false;
        }
        Verdict::GatewayFailure => {
            // It did answer.
            other.store(0, Relaxed);
            counter
        }
        Verdict::NoAnswer => other,
    };
    if counter.fetch_add(1, Relaxed) + 1 < outlier.consecutive {
        return false;
    }
    if endpoint.ejected_until(now).is_some() || !has_room(outlier, all, now) {
        return false;
    }
    counter.store(0, Relaxed);
    endpoint.eject(now, outlier.base, outlier.max);
    true
}

/// Whether one more may be ejected: up to the share allowed, and one in any case where there are
/// two.
fn has_room<'e>(
    outlier: &Outlier,
    all: impl Iterator<Item = &'e Endpoint> + Clone,
    now: Instant,
) -> bool {
    let count = all.clone().count();
    let ejected = all.filter(|endpoint| endpoint.ejected_until(now).is_some()).count();
    let share = count * usize::from(outlier.max_percent) / 100;
    let most = if count >= 2 { share.max(1) } else { share };
    ejected < most
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use snapshot::{Bind, EndpointScheme};

    use super::*;
    use crate::forward::endpoint::Key;

    const OUTLIER: Outlier = Outlier {
        consecutive: 3,
        base: Duration::from_secs(30),
        max: Duration::from_secs(300),
        max_percent: 50,
    };

    fn endpoints(count: u16) -> Vec<Endpoint> {
        let endpoint = |port: u16| {
            let authority = format!("127.0.0.1:{port}");
            let at = Bind::Tcp(authority.parse().unwrap());
            Endpoint::new(
                Key { scheme: EndpointScheme::Http, at, other: None, authority: authority.into() },
                None,
            )
        };
        (1..=count).map(endpoint).collect()
    }

    fn ejected(endpoints: &[Endpoint], at: usize, verdicts: &[Verdict]) -> bool {
        let now = Instant::from_nanos(1);
        let all = endpoints.iter();
        verdicts.iter().any(|v| judge(&OUTLIER, &endpoints[at], all.clone(), *v, now))
    }

    #[test]
    fn failures_in_a_row_eject_each_kind_counted_apart() {
        use Verdict::{Answered, GatewayFailure, NoAnswer};
        for (verdicts, expected) in [
            (&[GatewayFailure; 3][..], true),
            (&[NoAnswer; 3], true),
            (&[GatewayFailure; 2], false),
            (&[NoAnswer, NoAnswer, Answered, NoAnswer], false),
            (&[NoAnswer, NoAnswer, GatewayFailure, NoAnswer], false),
            (&[GatewayFailure, NoAnswer, GatewayFailure, NoAnswer, GatewayFailure], true),
        ] {
            assert_eq!(ejected(&endpoints(2), 0, verdicts), expected, "{verdicts:?}");
        }
    }

    #[test]
    fn only_so_many_are_ejected_at_once() {
        for (count, expected) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5)] {
            let endpoints = endpoints(count);
            let out = (0..endpoints.len())
                .filter(|at| ejected(&endpoints, *at, &[Verdict::NoAnswer; 3]))
                .count();
            assert_eq!(out, expected, "of {count}");
        }
    }
}
